// The options of public calls.

/** Throws TypeError for a misspelled option or options that are no object. Otherwise they would be ignored silently. */
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
