// Memory for what is about to be written.

/** Not zeroed, so that no page of it is touched before its time; only what was written to it is ever to be seen. */
export function unzeroed(size: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
}
