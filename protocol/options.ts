// The options of public calls.

/** Throws TypeError for an option that is misspelled, or no object at all: in silence it would be as if it were not set. */
export function checkOptions(where: string, options: unknown, known: readonly string[]): void {
  if (options === undefined) return;
  const list = known.join(', ');
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`${where}: the options are an object with ${list}, not ${String(options)}`);
  }
  for (const name in options) {
    if (!known.includes(name)) {
      throw new TypeError(`${where}: there is no option ${JSON.stringify(name)}, only ${list}`);
    }
  }
}
