// Memory that is about to be written to.

/**
 * Memory that is not zeroed, so that no page of it is touched early. The caller must expose only what was written to
 * it.
 */
export function unzeroed(size: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
}
