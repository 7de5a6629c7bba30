// How much there is in MessagePack bytes, found without making any of it: a byte can stand for an object of 200, so a
// message within its limit could fill the heap of whoever decodes it, and a full heap ends a Node process.

/** Extensions whose payload is one thing of its own size: typed arrays, and points in time. */
const plainExtensions: ReadonlySet<number> = new Set([0x74, 0xff]);

/**
 * Whether the bytes hold at most so many values, those inside of others and keys included. What they mean is not looked
 * at: each head of a value is counted, and of an extension, which may hold values in turn, each byte.
 */
export function hasAtMostValues(bytes: Uint8Array, limit: number): boolean {
  if (bytes.length <= limit) return true; // a value has a byte at least
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  /** A number of 1, 2 or 4 bytes; one that is cut off leads past the end. */
  const take = (size: number): number => {
    const from = at;
    at += size;
    if (at > bytes.length) return 0;
    return size === 1 ? view.getUint8(from) : size === 2 ? view.getUint16(from) : view.getUint32(from);
  };
  let count = 0;
  const extension = (size: number): void => {
    if (!plainExtensions.has(take(1))) count += size;
    at += size;
  };
  while (at < bytes.length) {
    if (++count > limit) return false;
    const head = take(1);
    if (head >= 0xa0 && head <= 0xbf) at += head & 0x1f;
    else if (head <= 0xc3 || head >= 0xe0) continue;
    else if (head <= 0xc6) at += take(1 << (head - 0xc4));
    else if (head <= 0xc9) extension(take(1 << (head - 0xc7)));
    else if (head <= 0xcb) at += head === 0xca ? 4 : 8;
    else if (head <= 0xcf) at += 1 << (head - 0xcc);
    else if (head <= 0xd3) at += 1 << (head - 0xd0);
    else if (head <= 0xd8) extension(1 << (head - 0xd4));
    else if (head <= 0xdb) at += take(1 << (head - 0xd9));
    else at += head === 0xdc || head === 0xde ? 2 : 4;
  }
  return count <= limit;
}
