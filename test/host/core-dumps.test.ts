// If the machine's core files go to a program, that program gets none of a sandboxee. This runs in a user-mode Linux,
// because the setting is the whole machine's.
// Early: a kernel is booted for it.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { probe } from '../../host/index.js';
import { run } from '../support/command.js';
import { asOtherUser, unreadable } from '../support/other-user.js';
import { checkout, sandboxeePath } from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { inUserModeLinux } from '../support/user-mode-linux.js';

const test = suite('core dumps');
const isOurs = process.env['SANDWIRE_IN_UML'] !== undefined;
const [helper, heard] = ['/tmp/helper', '/tmp/heard'];

/** True if the program is called for what this runs. It is called before the crash is over (core_pipe_limit). */
async function isProgramCalled(
  command: string,
  args: readonly string[],
): Promise<{ heard: boolean; output: string }> {
  rmSync(heard, { force: true });
  const { stdout, stderr } = await run(command, args);
  return { heard: existsSync(heard), output: stdout + stderr };
}

if (isOurs) {
  test.before(() => {
    writeFileSync(helper, `#!/bin/sh\necho "$1" >> ${heard}\ncat > /dev/null\n`, { mode: 0o755 });
    writeFileSync('/proc/sys/kernel/core_pipe_limit', '4');
    writeFileSync('/proc/sys/kernel/core_pattern', `|${helper} %e`);
  });

  const host = [process.execPath, `${checkout}dist/test/host/fixtures/crash.js`];
  const users: Readonly<Record<string, readonly string[]>> = {
    root: [],
    ...(unreadable === undefined ? { 'an ordinary user': asOtherUser } : {}),
  };
  for (const [user, as] of Object.entries(users)) {
    test(`${user}: the program is called for a limit of 0, and never for a sandboxee`, async () => {
      const crash = ['sh', '-c', 'ulimit -c 0; exec "$0" 6', sandboxeePath('die_by')];
      const [first = '', ...rest] = [...as, ...crash];
      assert.ok((await isProgramCalled(first, rest)).heard, 'this kernel calls it');
      for (const hardLimit of user === 'root' ? ['unlimited', '0'] : ['unlimited']) {
        const limited = ['sh', '-c', `ulimit -c ${hardLimit}; exec "$@"`, 'sh', ...as, ...host];
        const sandboxed = await isProgramCalled('env', limited);
        for (const way of ['before exec', 'sandboxMeHere', 'forked']) {
          assert.match(sandboxed.output, new RegExp(`^${way}: OK - Exit code: 0$`, 'm'));
        }
        assert.not(sandboxed.heard, `a hard limit of ${hardLimit}`);
      }
    });
  }

  test('an ordinary user whose own hard limit is 0 gets an error that says so', async () => {
    if (unreadable !== undefined) return; // the test that started this says so
    const status = spawnSync(
      'sh',
      ['-c', 'ulimit -c 0; exec "$@"', 'sh', ...asOtherUser].concat([
        process.execPath,
        `${checkout}dist/cli/main.js`,
        'doctor',
      ]),
    );
    assert.match(status.stdout.toString(), /absent +core dumps.*: EPERM\n/, status.stderr.toString());
    const found = (await probe()).capabilities.find(({ name }) => name === 'coreDumps');
    assert.is(found?.isAvailable, true);
  });
} else {
  test('all of it, in a user-mode Linux', async () => {
    const finished = await inUserModeLinux('dist/test/host/core-dumps.test.js');
    if (typeof finished === 'string') return skip('core dumps', finished);
    assert.is(finished.code, 0, finished.output);
    assert.match(finished.output, unreadable === undefined ? /Passed: +3/ : /Passed: +2/, finished.output);
    if (unreadable !== undefined) skip('core dumps of an ordinary user', unreadable);
  });
}

test.run();
