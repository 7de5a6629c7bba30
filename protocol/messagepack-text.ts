// Decodes the strings of a structured value.
import { isAscii, isUtf8 } from 'node:buffer';

const char = String.fromCharCode;

/** Shorter strings are checked in JavaScript; for longer ones a native call is worth its cost. */
const shortest = 64;

export class TextReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** The same bytes as a Buffer, made when it is first needed. */
  #buffer: Buffer | undefined;

  constructor(bytes: Uint8Array, view: DataView) {
    this.#bytes = bytes;
    this.#view = view;
  }

  /** The text of bytes[start, end), which must be within bounds. undefined: the bytes are not UTF-8. */
  read(start: number, end: number): string | undefined {
    const length = end - start;
    if (length < shortest) {
      const bytes = this.#bytes;
      let all = 0;
      for (let i = start; i < end; i++) all |= bytes[i] as number;
      if (all < 0x80) return length < 8 ? this.#few(start, length) : this.#toString('latin1', start, end);
    }
    const part = this.#bytes.subarray(start, end);
    if (isAscii(part)) return this.#toString('latin1', start, end);
    return isUtf8(part) ? this.#toString('utf8', start, end) : undefined;
  }

  #toString(encoding: 'latin1' | 'utf8', start: number, end: number): string {
    const { buffer, byteOffset, byteLength } = this.#bytes;
    this.#buffer ??= Buffer.from(buffer, byteOffset, byteLength);
    return this.#buffer.toString(encoding, start, end);
  }

  /** Up to seven ASCII characters, as most keys and many words have. This is several times as fast as any other way. */
  #few(at: number, length: number): string {
    const v = this.#view;
    if (length === 0) return '';
    const a = v.getUint8(at);
    if (length === 1) return char(a);
    const b = v.getUint8(at + 1);
    if (length === 2) return char(a, b);
    const c = v.getUint8(at + 2);
    if (length === 3) return char(a, b, c);
    const d = v.getUint8(at + 3);
    if (length === 4) return char(a, b, c, d);
    const e = v.getUint8(at + 4);
    if (length === 5) return char(a, b, c, d, e);
    const f = v.getUint8(at + 5);
    return length === 6 ? char(a, b, c, d, e, f) : char(a, b, c, d, e, f, v.getUint8(at + 6));
  }
}
