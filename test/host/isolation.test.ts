// What a sandboxee finds itself to be, and what it must not find.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRoot, lenientPolicy, runToEnd, sandboxee } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('isolation');

function lineOf(output: string, name: string): string | undefined {
  return output
    .split('\n')
    .find((line) => line.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}

test('identity, process and surroundings', async () => {
  const { output, result } = await runToEnd(sandboxee('inspect'));
  assert.is(String(result), 'OK - Exit code: 0');
  assert.match(output, /^uid=1000 gid=1000 euid=1000 egid=1000$/m);
  assert.match(output, /^pid=2 ppid=0 sid=2 pgid=2$/m);
  assert.is(lineOf(output, 'open fds'), '0 1 2 1023 ');
  assert.not.match(output, /^env=/m);
  assert.is(lineOf(output, 'cwd'), '/');
  assert.is(lineOf(output, 'umask'), '022');
  assert.is(lineOf(output, 'no_new_privs'), '1');
  assert.is(lineOf(output, 'bounding'), '0');
  assert.is(lineOf(output, 'tty'), 'no');
  assert.is(lineOf(output, 'ls /'), '');
  assert.is(lineOf(output, 'mkdir /'), 'Read-only file system');
  assert.is(lineOf(output, 'mkdir /tmp'), 'No such file or directory');
  if (isRoot) assert.is(lineOf(output, 'groups'), '0');
});

test('environment, working directory and host name are as given', async () => {
  const executor = sandboxee('inspect', [], { envs: { COLOUR: 'blue', EMPTY: '' }, cwd: '/data' });
  const policy = lenientPolicy((builder) => builder.addTmpfs('/data', 1 << 20).setHostname('elsewhere'));
  const { output } = await runToEnd(executor, policy);
  assert.match(output, /^env=COLOUR=blue$/m);
  assert.match(output, /^env=EMPTY=$/m);
  assert.is(output.match(/^env=/gm)?.length, 2);
  assert.is(lineOf(output, 'cwd'), '/data');
  assert.is(lineOf(output, 'hostname'), 'elsewhere');
});

test('only what the policy mounts is there', async () => {
  const policy = lenientPolicy((builder) => builder.addFile('/etc/passwd').addTmpfs('/tmp', 1 << 20));
  const { output } = await runToEnd(
    sandboxee('inspect', ['/etc/passwd', '/etc/group', '/proc/self']),
    policy,
  );
  assert.is(lineOf(output, 'open /etc/passwd'), 'ok');
  assert.is(lineOf(output, 'open /etc/group'), 'No such file or directory');
  assert.is(lineOf(output, 'open /proc/self'), 'No such file or directory');
  assert.is(lineOf(output, 'mkdir /tmp'), 'made');
  assert.equal(lineOf(output, 'ls /')?.trim().split(' ').sort(), ['etc', 'tmp']);
});

test('mounts: read-only, writable, and submounts too', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  try {
    chmodSync(folder, 0o755);
    mkdirSync(path.join(folder, 'inner'));
    chmodSync(path.join(folder, 'inner'), 0o777);
    const readOnly = lenientPolicy((builder) => builder.addDirectoryAt(path.join(folder, 'inner'), '/tmp'));
    assert.is(
      lineOf((await runToEnd(sandboxee('inspect'), readOnly)).output, 'mkdir /tmp'),
      'Read-only file system',
    );
    const writable = lenientPolicy((builder) =>
      builder.addDirectoryAt(path.join(folder, 'inner'), '/tmp', false),
    );
    assert.is(lineOf((await runToEnd(sandboxee('inspect'), writable)).output, 'mkdir /tmp'), 'made');
    const made = statSync(path.join(folder, 'inner', 'made'));
    assert.is(made.uid, isRoot ? 65534 : process.geteuid?.(), 'kernel uid of the sandboxee');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('root is not root inside: what only root can read stays closed', async () => {
  if (!isRoot) return skip('root is not root inside', 'needs a root host');
  const policy = lenientPolicy((builder) => builder.addDirectory('/etc'));
  const { output } = await runToEnd(sandboxee('inspect', ['/etc/shadow', '/etc/passwd']), policy);
  assert.is(lineOf(output, 'open /etc/shadow'), 'Permission denied');
  assert.is(lineOf(output, 'open /etc/passwd'), 'ok');
});

test('root can name the kernel uid', async () => {
  if (!isRoot) return skip('root can name the kernel uid', 'needs a root host');
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  try {
    chmodSync(folder, 0o777);
    const policy = lenientPolicy((builder) => builder.addDirectoryAt(folder, '/tmp', false));
    await runToEnd(sandboxee('inspect', [], { uid: 12345, gid: 12346 }), policy);
    const made = statSync(path.join(folder, 'made'));
    assert.equal([made.uid, made.gid], [12345, 12346]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an own /proc shows the sandbox and nothing else, and init is out of reach', async () => {
  const policy = lenientPolicy((builder) => builder.addDirectory('/proc'));
  const { output } = await runToEnd(
    sandboxee('inspect', ['/proc/1/cmdline', '/proc/1/mem', '/proc/1/environ', '/proc/3']),
    policy,
  );
  assert.is(lineOf(output, 'open /proc/1/cmdline'), 'ok');
  assert.is(lineOf(output, 'open /proc/1/mem'), 'Permission denied');
  assert.is(lineOf(output, 'open /proc/1/environ'), 'Permission denied');
  assert.is(lineOf(output, 'open /proc/3'), 'No such file or directory');
});

test('a symlink in a writable directory cannot steer a mount', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  try {
    chmodSync(folder, 0o777);
    const { symlinkSync } = await import('node:fs');
    symlinkSync('/etc', path.join(folder, 'link'));
    writeFileSync(path.join(folder, 'file'), 'x');
    const policy = lenientPolicy((builder) =>
      builder
        .addDirectoryAt(folder, '/work', false)
        .addFileAt(path.join(folder, 'file'), '/work/link/planted'),
    );
    const { result } = await runToEnd(sandboxee('exit_with'), policy);
    assert.is(result.finalStatus, 'SETUP_ERROR');
    assert.match(String(result), /ELOOP|ENOTDIR/);
    assert.throws(() => statSync('/etc/planted'), /ENOENT/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
