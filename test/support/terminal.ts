// Programs on a terminal of their own (test/sandboxees/on_terminal.c).
import * as assert from 'uvu/assert';
import { run } from './command.js';
import { checkout, sandboxeePath } from './sandbox.js';

const seconds = '60';

/** The last line if nothing was done to the terminal. */
export const untouched = 'terminal: ended 0, settings same, size same, output goes on';

/** What was written to the terminal, and a line on what has become of it. */
export async function onTerminal(...command: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run(sandboxeePath('on_terminal'), [seconds, ...command]);
  assert.match(stdout, /^terminal: /m, stdout + stderr);
  return stdout.replaceAll('\r', '');
}

/** A host on a terminal that its sandboxee inherits; see the fixture. */
export function hostOnTerminal(way: string, what: string, tokens: readonly string[] = []): Promise<string> {
  const fixture = `${checkout}dist/test/host/fixtures/on-terminal.js`;
  return onTerminal(process.execPath, fixture, way, what, ...tokens);
}
