// Foreign text in a message: a path, a name, whatever a caller passed as an argument. It must not pass for the message
// itself, or control a terminal.

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

/** The text in quotes and escaped, shortened to limit characters. */
export function quotedText(text: string, limit = 200): string {
  return `"${escaped(text.slice(0, limit))}"${text.length > limit ? '…' : ''}`;
}

/** The text as it is if it is unambiguous, as most paths are; otherwise in quotes. */
export function plainOrQuoted(text: string): string {
  return /^[\x21-\x7e]+$/.test(text) && !/["\\]/.test(text)
    ? text
    : quotedText(text, Number.POSITIVE_INFINITY);
}

/** A message without control characters, and without characters that change the direction of writing. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, escapeOf);
}

function objectText(value: object): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array';
  try {
    const text = JSON.stringify(value);
    if (text.length <= 100) return printable(text);
  } catch {
    // The getter may throw.
  }
  return 'an object';
}

/** Any value that was passed where something else was needed. Never throws. */
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
