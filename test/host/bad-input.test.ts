// What a run can fail of before it begins, by the user's mistake or the machine's lack: each has a result one can act on.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, closeSync, copyFileSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, Sandbox2 } from '../../host/index.js';
import { countFds } from '../support/fds.js';
import { checkout, isRoot, lenientPolicy, runToEnd, sandboxee, sandboxeePath } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('bad input');

async function setupErrorOf(executor: Executor, policy = lenientPolicy()): Promise<string> {
  const before = countFds();
  const sandbox = new Sandbox2(executor, policy);
  const result = await sandbox.run();
  await sandbox[Symbol.asyncDispose]();
  assert.is(result.finalStatus, 'SETUP_ERROR', String(result));
  assert.ok(countFds() <= before + 2, 'no fd is left open (the supervisor’s own apart)');
  return String(result);
}

test('a path that does not exist', async () => {
  assert.match(
    await setupErrorOf(new Executor('/no/such/tool')),
    /cannot open the program \/no\/such\/tool: ENOENT/,
  );
});

test('a name that is no path', async () => {
  assert.match(await setupErrorOf(new Executor('wc')), /PATH is not searched/);
});

test('a directory', async () => {
  assert.match(await setupErrorOf(new Executor('/usr')), /it is a directory/);
});

test('a device', async () => {
  assert.match(await setupErrorOf(new Executor('/dev/null')), /not a regular file/);
});

test('a file that is not executable', async () => {
  assert.match(
    await setupErrorOf(new Executor('/etc/passwd')),
    /it is not executable \(chmod \+x \/etc\/passwd\)/,
  );
});

test('a script, and a file that is no program', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  try {
    chmodSync(folder, 0o755);
    const script = path.join(folder, 'script');
    writeFileSync(script, '#!/bin/sh\necho hello\n');
    chmodSync(script, 0o755);
    assert.match(
      await setupErrorOf(new Executor(script)),
      /it is a script; run its interpreter \(\/bin\/sh\)/,
    );
    const nonsense = path.join(folder, 'nonsense');
    writeFileSync(nonsense, 'nonsense');
    chmodSync(nonsense, 0o755);
    assert.match(await setupErrorOf(new Executor(nonsense)), /exec .*ENOEXEC \(it is not a program/);
    const ownersOnly = path.join(folder, 'owners-only');
    writeFileSync(ownersOnly, 'x');
    chmodSync(ownersOnly, 0o700);
    if (isRoot) assert.match(await setupErrorOf(new Executor(ownersOnly)), /EACCES .*uid 65534.*chmod o\+x/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a program that is open for writing', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  const program = path.join(folder, 'program');
  chmodSync(folder, 0o755);
  copyFileSync(sandboxeePath('exit_with'), program);
  chmodSync(program, 0o755);
  const writer = openSync(program, 'r+');
  try {
    assert.match(
      await setupErrorOf(new Executor(program)),
      /exec .*: ETXTBSY \(the file is open for writing/,
    );
  } finally {
    closeSync(writer);
    rmSync(folder, { recursive: true });
  }
});

test('an argument that is longer than one can be', async () => {
  assert.match(
    await setupErrorOf(sandboxee('exit_with', ['x'.repeat(200_000)])),
    /exec .*: E2BIG \(one argument.* may have 128 KiB.*send large data/,
  );
});

test('a dynamic program whose loader is not in the sandbox', async () => {
  assert.match(
    await setupErrorOf(new Executor('/bin/true')),
    /dynamic loader .* the PolicyBuilder’s addLibrariesForBinary\("\/bin\/true"\)/,
  );
});

test('Node without its runtime, and a Node script that is not shown', async () => {
  const script = '/srv/no-such-script.js';
  assert.match(
    await setupErrorOf(Executor.node(script)),
    /the policy does not show the script: \.addFile\("\/srv\/no-such-script\.js"\)/,
  );
  const shown = fileURLToPath(import.meta.url);
  assert.match(
    await setupErrorOf(
      Executor.node(shown),
      lenientPolicy((builder) => builder.addFile(shown)),
    ),
    /dynamic loader .* the PolicyBuilder’s addNodeRuntime\(\)/,
  );
});

test('more fds mapped than the limit of open files has room for', async () => {
  const executor = sandboxee('exit_with');
  executor.ipc.mapDupedFd(0, 3);
  executor.limits.setRlimitNofile(4);
  assert.match(await setupErrorOf(executor), /EMFILE \(setRlimitNofile\(\) leaves no number free/);
});

test('a working directory that is not there', async () => {
  assert.match(
    await setupErrorOf(sandboxee('exit_with', [], { cwd: '/nowhere' })),
    /FAILED_CWD: chdir.*\/nowhere: ENOENT/,
  );
});

test('a mount source that vanished after the policy was built', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  const policy = lenientPolicy((builder) => builder.addDirectoryAt(folder, '/data'));
  rmSync(folder, { recursive: true });
  assert.match(await setupErrorOf(sandboxee('exit_with'), policy), /opening the source of a mount.*ENOENT/);
});

test('a mount point that cannot be made', async () => {
  const policy = lenientPolicy((builder) =>
    builder.addDirectory('/usr').addFileAt('/etc/passwd', '/usr/no-such-file'),
  );
  assert.match(
    await setupErrorOf(sandboxee('exit_with'), policy),
    /mount \/etc\/passwd at \/usr\/no-such-file: EROFS/,
  );
});

test('a uid that only root can choose', async () => {
  if (isRoot) return skip('a uid that only root can choose', 'the host is root');
  assert.match(await setupErrorOf(sandboxee('exit_with', [], { uid: 0 })), /only root can choose/);
});

test('user namespaces forbidden', () => {
  // The setting is one of each user namespace: a fresh one can forbid them without touching the machine.
  const host = path.join(checkout, 'dist/test/host/fixtures/run-once.js');
  const script = `echo 0 > /proc/sys/user/max_user_namespaces && exec ${process.execPath} ${host} ${sandboxeePath('exit_with')}`;
  const run = spawnSync('unshare', ['--user', '--map-root-user', 'sh', '-c', script], { encoding: 'utf8' });
  if (run.error) return skip('user namespaces forbidden', `unshare(1): ${run.error.message}`);
  assert.match(
    run.stdout,
    /SETUP_ERROR - Code: FAILED_NAMESPACES.*max_user_namespaces is 0.*sysctl -w/,
    run.stderr,
  );
});

test('the native part is not built, or the code not where it is', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  try {
    execFileSync('cp', ['-r', path.join(checkout, 'dist'), path.join(checkout, 'package.json'), folder]);
    execFileSync('ln', ['-s', path.join(checkout, 'node_modules'), path.join(folder, 'node_modules')]);
    const script = `
      const { Executor, Sandbox2, PolicyBuilder } = await import(${JSON.stringify(`${folder}/dist/host/index.js`)});
      try {
        const result = await new Sandbox2(new Executor('/bin/true'), new PolicyBuilder().build()).run();
        console.log(String(result));
      } catch (error) { console.log(error.message); }`;
    const run = () =>
      spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).stdout;
    assert.match(run(), /sandwire's addon is not beside its code: .*external: \["sandwire"\]/);
    writeFileSync(path.join(folder, 'CMakeLists.txt'), '');
    assert.match(run(), /sandwire's addon is not built: .* npm run build/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a run after bad ones is fine', async () => {
  assert.is((await runToEnd(sandboxee('exit_with', ['3']))).result.exitCode, 3);
});

test.run();
