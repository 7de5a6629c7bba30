// Checks what JSON.parse() does not report and a reviewer would not notice: the same name twice in an object, of which
// the last counts; and letters written as escapes, which no search finds.
import { shown } from '../quoting.js';

/** The index of the quote that ends the string which begins at start. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return end;
  }
}

/** True if a string, given with its quotes, has printable ASCII written as \u00…. */
function hidesLetters(written: string): boolean {
  return /\\u00(?:[2-6][0-9a-f]|7[0-9a-e])/i.test(written.replaceAll('\\\\', ''));
}

/** Throws Error, with the line number. The text must be one that JSON.parse() accepts. */
export function checkJsonText(text: string): void {
  // The names in each open object; undefined for an array.
  const open: (Set<string> | undefined)[] = [];
  let isName = false;
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '{':
        open.push(new Set());
        isName = true;
        break;
      case '[':
        open.push(undefined);
        isName = false;
        break;
      case '}':
      case ']':
        open.pop();
        isName = false;
        break;
      case ',':
        isName = open.at(-1) !== undefined;
        break;
      case '"': {
        const end = endOfString(text, at);
        const written = text.slice(at, end + 1);
        const fail = (why: string): never => {
          throw new Error(`line ${text.slice(0, at).split('\n').length}: ${why}`);
        };
        if (hidesLetters(written)) fail(`letters are written as \\u…: ${shown(written.slice(1, -1))}`);
        if (isName) {
          const name: string = JSON.parse(written);
          const names = open.at(-1);
          if (names?.has(name)) fail(`${shown(name)} exists twice in one object`);
          names?.add(name);
        }
        isName = false;
        at = end;
      }
    }
  }
}
