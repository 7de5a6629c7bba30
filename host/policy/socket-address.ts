// A struct sockaddr as text.
import { familyName } from './tables/constants.js';

/** The address with the longest run of zeros left out, as in RFC 5952. */
function ipv6Text(view: DataView, offset: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => view.getUint16(offset + 2 * index).toString(16));
  const zeros = groups.map((_, start) => {
    const end = groups.findIndex((group, index) => index >= start && group !== '0');
    return (end < 0 ? groups.length : end) - start;
  });
  const longest = Math.max(...zeros);
  if (longest < 2) return groups.join(':');
  const start = zeros.indexOf(longest);
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + longest).join(':')}`;
}

/**
 * length: the length of the address, as the syscall gives it. textAt: how text is shown. undefined: the address could
 * not be read.
 */
export function socketAddressText(
  memory: Uint8Array | undefined,
  length: bigint,
  textAt: (bytes: Uint8Array) => string | undefined,
): string | undefined {
  if (memory === undefined || memory.length < 2 || length < 2n) return undefined;
  const bytes = length < BigInt(memory.length) ? memory.subarray(0, Number(length)) : memory;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = view.getUint16(0, true);
  const name = familyName(family) ?? `family ${family}`;
  if (name === 'AF_INET' && bytes.length >= 8) {
    return `{AF_INET, ${bytes.subarray(4, 8).join('.')}, port ${view.getUint16(2)}}`;
  }
  if (name === 'AF_INET6' && bytes.length >= 24) {
    return `{AF_INET6, ${ipv6Text(view, 8)}, port ${view.getUint16(2)}}`;
  }
  if (name === 'AF_UNIX') {
    const path = bytes.subarray(2);
    if (path.length > 1 && path[0] === 0) return `{AF_UNIX, abstract ${textAt(path.subarray(1)) ?? ''}}`;
    return `{AF_UNIX, ${textAt(path) ?? '""'}}`;
  }
  if (name === 'AF_NETLINK' && bytes.length >= 12) {
    return `{AF_NETLINK, port ${view.getUint32(4, true)}, groups 0x${view.getUint32(8, true).toString(16)}}`;
  }
  if (name === 'AF_VSOCK' && bytes.length >= 12) {
    return `{AF_VSOCK, cid ${view.getUint32(8, true)}, port ${view.getUint32(4, true)}}`;
  }
  return `{${name}}`;
}
