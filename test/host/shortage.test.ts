// Hosts that may not have as many files or processes as they need: runs that cannot be had end with words, the others go on.
// Alone: it uses up the keys and files that a user may have.
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../support/command.js';
import { checkout, isRoot, sandboxeePath } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('shortage');
const fixture = (name: string) => path.join(checkout, 'dist/test/host/fixtures', `${name}.js`);

// Above 1,024 the host may have 66 more: 300 to 500 runs at once are about what exhausts the supervisor, or the host itself.
// A fork server has room for some 60 children on their way in, and lets the others wait.
for (const [name, count, rounds, mode] of [
  ['wait_forever', 330, 4, ''],
  ['wait_forever', 420, 4, ''],
  ['behave', 400, 2, 'fork'],
] as const) {
  test(`out of file descriptors, ${count} runs at once ${mode}`, async () => {
    const args = [
      process.execPath,
      fixture('out-of-fds'),
      sandboxeePath(name),
      `${count}`,
      `${rounds}`,
      mode,
    ];
    const { stdout, stderr } = await run('prlimit', ['--nofile=1090', ...args]);
    const lines = stdout.trimEnd().split('\n');
    assert.is(lines.pop(), 'still there', stdout + stderr);
    let total = 0;
    for (const line of lines) {
      const [, times, text = ''] = /^(\d+) × (.*)$/.exec(line) ?? [];
      total += Number(times);
      if (text.startsWith('Process killed by user')) continue;
      assert.match(text, /^(SETUP_ERROR - |throws ).*(\(ulimit -Hn|kernel\.keys)/, stdout);
    }
    assert.is(total, rounds * count, stdout);
  });
}

test('out of processes', async () => {
  if (!isRoot) return skip('out of processes', 'only root can give another user’s host a limit of its own');
  // A user that has no other process: what counts are all of one uid.
  const user = ['--reuid', '54321', '--regid', '54321', '--clear-groups', 'prlimit', '--nproc=30'];
  const args = [...user, process.execPath, fixture('out-of-fds'), sandboxeePath('wait_forever'), '40', '2'];
  const { stdout, stderr } = await run('setpriv', args);
  if (stdout === '' && /EACCES|Cannot find module|MODULE_NOT_FOUND/.test(stderr))
    return skip('out of processes', 'this folder cannot be read by other users');
  assert.match(stdout, /^still there$/m, stderr);
  assert.match(stdout, /SETUP_ERROR.*: EAGAIN \(.*ulimit -u/);
  assert.not.match(stdout, /EWOULDBLOCK|hangs|INTERNAL_ERROR/);
});

test.run();
