// Text from elsewhere in a message: a path, a name, whatever was given in place of an argument. Nothing in it may pass for
// the message itself, or tell a terminal what to do.

const known: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\t', '\\t'],
  ['\r', '\\r'],
  ['"', '\\"'],
  ['\\', '\\\\'],
]);

function escapeOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x100) return known.get(character) ?? `\\x${code.toString(16).padStart(2, '0')}`;
  return `\\u{${code.toString(16)}}`;
}

/** Printable ASCII without quotes and backslashes; everything else escaped. */
export function escaped(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]|["\\]/gu, escapeOf);
}

/** "it", in quotes and escaped, at most limit characters of it. */
export function quotedText(text: string, limit = 200): string {
  return `"${escaped(text.slice(0, limit))}"${text.length > limit ? '…' : ''}`;
}

/** As it is where it can only be read in one way, as paths mostly are; else in quotes. */
export function plainOrQuoted(text: string): string {
  return /^[\x21-\x7e]+$/.test(text) && !/["\\]/.test(text)
    ? text
    : quotedText(text, Number.POSITIVE_INFINITY);
}

/** The rest of a message: without control characters, and without those that turn the direction of writing. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, escapeOf);
}

function objectText(value: object): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array';
  try {
    const text = JSON.stringify(value);
    if (text.length <= 100) return printable(text);
  } catch {
    // It need not be data.
  }
  return 'an object';
}

/** Anything that was given where something else was wanted. Never throws. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return quotedText(value);
    case 'bigint':
      return `${value}n`;
    case 'function':
      return 'a function';
    case 'object':
      return value === null ? 'null' : objectText(value);
    default:
      return printable(String(value));
  }
}
