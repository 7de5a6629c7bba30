// A terminal that the host has given to its sandboxee: the host uses it afterwards, whatever was done to it.
import { constants } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { sandboxeePath } from '../support/sandbox.js';
import { hostOnTerminal, onTerminal, untouched } from '../support/terminal.js';

const test = suite('terminals');
const { EBADF, EPERM } = constants.errno;
/** What every process may do to a terminal, without a sandbox around it. */
const alone: Readonly<Record<string, string>> = {
  keep: untouched,
  stop: 'terminal: ended 0, settings same, size same, output stands',
  answer: `terminal: ended ${256 + constants.signals.SIGQUIT}, settings changed, size same, output stands`,
  size: 'terminal: ended 0, settings same, size changed, output goes on',
  settings: 'terminal: ended 0, settings changed, size same, output goes on',
  read: `terminal: ended ${constants.errno.EAGAIN}, settings same, size same, output goes on`,
};
for (const [what, outcome] of Object.entries(alone)) {
  const output = await onTerminal(sandboxeePath('terminal'), what);
  assert.ok(output.includes(`\n${outcome}\n`), `${what} without a sandbox: ${output}`);
}

/** The exit code of the sandboxee, or what the host reports. */
const inSandbox: Readonly<Record<string, number | RegExp>> = {
  keep: 0,
  stop: /VIOLATION .*ioctl.*TCXONC/,
  answer: EPERM,
  size: EPERM,
  settings: EPERM,
  read: EBADF,
};

for (const way of ['before exec', 'sandboxMeHere', 'forked']) {
  for (const [what, outcome] of Object.entries(inSandbox)) {
    test(`${what}, ${way}`, async () => {
      const output = await hostOnTerminal(way, what);
      const words = typeof outcome === 'number' ? new RegExp(`OK - Exit code: ${outcome}$`, 'm') : outcome;
      assert.match(/the host goes on: .*/.exec(output)?.[0] ?? output, words);
      assert.ok(output.includes(`\n${untouched}\n`), output);
    });
  }
}

test('with the token the terminal is the sandboxee’s to set', async () => {
  for (const what of ['size', 'settings']) {
    const output = await hostOnTerminal('before exec', what, ['allowTerminalSettings']);
    assert.match(output, /the host goes on: OK - Exit code: 0$/m);
    // Node itself restores settings when it exits, the host's too.
    if (what === 'size') assert.ok(output.includes(`\n${alone[what]}\n`), output);
  }
});

test.run();
