// stdio: { file }, in directories where a sandboxee has been before.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  fstatSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, PolicyBuilder, Sandbox2, type StdioFile, type StdioOptions } from '../../host/index.js';
import { openStdioFile } from '../../host/stdio-file.js';
import { addon } from '../../native/addon.js';
import { countFds, fdsBecome } from '../support/fds.js';
import { isRoot, lenientPolicy, sandboxee } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('files as standard streams');
const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
test.after(() => rmSync(folder, { recursive: true }));

/** A directory that a sandboxee has been able to write in, and a file of the user's outside of it. */
function workplace(): { readonly work: string; readonly precious: string } {
  const work = mkdtempSync(path.join(folder, 'work-'));
  chmodSync(work, 0o777);
  const precious = path.join(folder, `precious-${path.basename(work)}`);
  writeFileSync(precious, 'precious');
  return { work, precious };
}

const policyFor = (program: string) =>
  new PolicyBuilder().defaultAction('allowAllSyscalls').addLibrariesForBinary(program).build();

async function cat(stdio: StdioOptions): Promise<string> {
  const sandbox = new Sandbox2(new Executor('/bin/cat', ['cat'], { stdio }), policyFor('/bin/cat'));
  return String(await sandbox.run());
}
const ok = 'OK - Exit code: 0';

/** What an earlier sandboxee does in its writable directory, which it sees as /work. */
async function earlier(work: string, program: string, ...args: readonly string[]): Promise<void> {
  const policy = new PolicyBuilder()
    .defaultAction('allowAllSyscalls')
    .addLibrariesForBinary(program)
    .addDirectoryAt(work, '/work', false)
    .build();
  const result = await new Sandbox2(new Executor(program, [program, ...args]), policy).run();
  assert.is(String(result), ok);
}

test('what is no file to be opened', () => {
  const make = (stdin: unknown) => () =>
    new Executor('/bin/cat', ['cat'], { stdio: { stdin: stdin as StdioFile } });
  assert.throws(make({ file: '' }), /stdio\.stdin: file is a path/);
  assert.throws(make({ file: 7 }), /stdio\.stdin: file is a path/);
  assert.throws(make({ file: '/etc/passwd\0.txt' }), /stdio\.stdin: file is a path/);
  assert.throws(make({}), /stdio\.stdin: file is a path/);
  assert.throws(make({ file: '/x', follow: true }), /there is no option "follow"/);
  assert.throws(make({ file: '/x', followLinks: 1 }), /followLinks is true or false/);
  assert.throws(make({ file: '/x', append: true }), /append is for what is written/);
  assert.throws(() => addon().openFile(undefined as unknown as string, {} as never), /bad arguments/);
});

test('read, made, emptied, appended to', async () => {
  const { work } = workplace();
  const [from, to] = [path.join(work, 'in'), path.join(work, 'out')];
  writeFileSync(from, 'from a file');
  assert.is(await cat({ stdin: { file: from }, stdout: { file: to } }), ok);
  assert.is(readFileSync(to, 'utf8'), 'from a file');
  assert.is(statSync(to).mode & 0o777, 0o666 & ~process.umask());
  writeFileSync(from, 'short');
  assert.is(await cat({ stdin: { file: from }, stdout: { file: to } }), ok);
  assert.is(readFileSync(to, 'utf8'), 'short');
  assert.is(await cat({ stdin: { file: from }, stdout: { file: to, append: true } }), ok);
  assert.is(readFileSync(to, 'utf8'), 'shortshort');
  assert.is(await cat({ stdin: { file: from }, stdout: { file: `${to}2`, append: true } }), ok);
  assert.is(readFileSync(`${to}2`, 'utf8'), 'short');
});

test('a relative path counts from where the host is when the run is made', async () => {
  const { work } = workplace();
  const before = process.cwd();
  process.chdir(work);
  try {
    const executor = new Executor('/bin/cat', ['cat'], { stdio: { stdout: { file: './here/../out' } } });
    mkdirSync('here');
    const sandbox = new Sandbox2(executor, policyFor('/bin/cat'));
    process.chdir(before);
    assert.is(String(await sandbox.run()), ok);
  } finally {
    process.chdir(before);
  }
  assert.ok(existsSync(path.join(work, 'out')));
});

test('what cannot be opened is a result that names it', async () => {
  const { work, precious } = workplace();
  const refusals: readonly (readonly [StdioOptions, RegExp])[] = [
    [{ stdin: { file: `${work}/none` } }, /stdio\.stdin: cannot open .*none: ENOENT: .*\/none/],
    [{ stdout: { file: `${work}/none/out` } }, /stdio\.stdout: cannot open .*: ENOENT: .*\/none$/],
    [{ stdout: { file: `${precious}/out` } }, /ENOTDIR/],
    [{ stdout: { file: work } }, /EISDIR/],
    [{ stdout: { file: `${work}/out/` } }, /EISDIR|ENOENT/],
    [{ stdout: { file: '/' } }, /EISDIR/],
    [{ stdout: { file: `${work}/${'x'.repeat(300)}` } }, /ENAMETOOLONG/],
    [{ stdout: { file: `/${'x/'.repeat(5000)}` } }, /ENAMETOOLONG/],
  ];
  for (const [stdio, words] of refusals) {
    const result = await cat(stdio);
    assert.match(result, /SETUP_ERROR - Code: FAILED_IPC/);
    assert.match(result, words);
  }
  assert.not.ok(existsSync(path.join(work, 'out')));
});

test('a link that an earlier sandboxee left is not followed: at the end of the path, or on the way', async () => {
  const { work, precious } = workplace();
  const home = path.join(folder, 'home');
  mkdirSync(home, { recursive: true });
  await earlier(work, '/bin/ln', '-s', precious, '/work/out');
  await earlier(work, '/bin/ln', '-s', home, '/work/logs');
  await earlier(work, '/bin/ln', '-s', 'out', '/work/in');
  assert.is(readlinkSync(path.join(work, 'out')), precious);
  const owner = isRoot ? 65534 : process.geteuid?.();
  for (const file of ['out', 'logs/out', 'logs/../out', './/out', 'in']) {
    for (const append of [false, true]) {
      const result = await cat({ stdout: { file: `${work}/${file}`, append } });
      assert.match(
        result,
        new RegExp(`SETUP_ERROR.*ELOOP: .* is a symbolic link that uid ${owner} owns`),
        file,
      );
      assert.match(result, /followLinks: true/);
    }
  }
  assert.match(await cat({ stdin: { file: `${work}/in` } }), /SETUP_ERROR.*\/in is a symbolic link/);
  assert.is(readFileSync(precious, 'utf8'), 'precious');
  assert.not.ok(existsSync(path.join(home, 'out')));
  // Whoever means it says so.
  writeFileSync(`${work}/text`, 'text');
  const stdio = { stdin: { file: `${work}/text` }, stdout: { file: `${work}/logs/out`, followLinks: true } };
  assert.is(await cat(stdio), ok);
  assert.is(readFileSync(path.join(home, 'out'), 'utf8'), 'text');
  assert.is(await cat({ ...stdio, stdout: { file: `${work}/in`, followLinks: true } }), ok);
  assert.is(readFileSync(precious, 'utf8'), 'text');
});

test('links of root’s are followed, since no sandboxee is root', async () => {
  const { work } = workplace();
  if (isRoot) {
    mkdirSync(`${work}/place`);
    symlinkSync('place', `${work}/link`);
    symlinkSync(`${work}/link/../link/out`, `${work}/place/absolute`);
    symlinkSync('absolute', `${work}/place/relative`);
    assert.is(await cat({ stdout: { file: `${work}/link/out` } }), ok);
    assert.is(await cat({ stdin: { file: `${work}/link/relative` } }), ok);
    symlinkSync('round', `${work}/round`);
    assert.match(await cat({ stdout: { file: `${work}/round` } }), /SETUP_ERROR.*ELOOP/);
    lchownSync(`${work}/link`, 65534, 65534);
    assert.match(await cat({ stdin: { file: `${work}/link/relative` } }), /uid 65534 owns/);
    return;
  }
  const link = ['/bin', '/lib', '/var/run', '/etc/mtab'].find((one) => {
    const status = lstatSync(one, { throwIfNoEntry: false });
    return status?.isSymbolicLink() && status.uid === 0;
  });
  if (link === undefined) return skip('links of root’s', 'there is none of the usual ones here');
  // The directory it leads to, which is then refused for what it is.
  const result = await cat({ stdin: { file: link } });
  assert.match(result, link === '/etc/mtab' ? /EINVAL|regular|ELOOP|OK/ : /EISDIR/);
});

test('a FIFO holds nobody up, and is refused unless it is meant', async () => {
  const { work } = workplace();
  await earlier(work, '/usr/bin/mkfifo', '/work/pipe');
  const file = path.join(work, 'pipe');
  for (const name of ['stdin', 'stdout', 'stderr']) {
    assert.match(await cat({ [name]: { file } }), /SETUP_ERROR.*pipe is no regular file.*anyKind: true/);
  }
  assert.match(await cat({ stdout: { file, anyKind: true } }), /SETUP_ERROR.*ENXIO.*nobody reads/);
  assert.is(await cat({ stdin: { file, anyKind: true } }), ok, 'nobody writes: its end is there at once');
  const reader = spawn('cat', [file], { stdio: ['ignore', 'pipe', 'ignore'] });
  const text = (async () => {
    let all = '';
    for await (const chunk of reader.stdout) all += chunk;
    return all;
  })();
  writeFileSync(`${work}/text`, 'through a pipe');
  let result = '';
  do result = await cat({ stdin: { file: `${work}/text` }, stdout: { file, anyKind: true } });
  while (result.includes('ENXIO')); // cat(1) is not there yet
  assert.is(result, ok);
  assert.is(await text, 'through a pipe');
});

test('devices and sockets are refused unless they are meant', async () => {
  const { work } = workplace();
  assert.match(await cat({ stdout: { file: '/dev/null' } }), /SETUP_ERROR.*\/dev\/null is no regular file/);
  assert.is(await cat({ stdout: { file: '/dev/null', anyKind: true } }), ok);
  const listening = `require('node:net').createServer().listen(process.argv[1], () => process.reallyExit(0))`;
  execFileSync(process.execPath, ['-e', listening, `${work}/socket`]);
  assert.match(await cat({ stdin: { file: `${work}/socket` } }), /SETUP_ERROR.*socket is no regular file/);
  assert.match(await cat({ stdin: { file: `${work}/socket`, anyKind: true } }), /SETUP_ERROR.*ENXIO/);
});

test('a second name of another file is not written to', async () => {
  const { work, precious } = workplace();
  linkSync(precious, `${work}/out`);
  for (const append of [false, true]) {
    const result = await cat({ stdout: { file: `${work}/out`, append } });
    assert.match(result, /SETUP_ERROR.*EMLINK: .*out has several names/);
  }
  assert.is(readFileSync(precious, 'utf8'), 'precious');
  assert.is(await cat({ stdin: { file: `${work}/out` } }), ok, 'reading changes nothing');
  assert.is(await cat({ stdout: { file: `${work}/out`, followLinks: true } }), ok);
  assert.is(readFileSync(precious, 'utf8'), '');
});

/** Puts one thing after the other where the host opens a file, until it is told to stop. */
const changer = `
  const { linkSync, lchownSync, renameSync, symlinkSync, writeFileSync } = require('node:fs');
  const { workerData: { work, precious, isRoot, stop } } = require('node:worker_threads');
  const things = [
    (at) => writeFileSync(at, 'plain'),
    (at) => { symlinkSync(precious, at); if (isRoot) lchownSync(at, 65534, 65534); },
    (at) => linkSync(work + '/second', at),
    (at) => { linkSync(work + '/pipe', at); },
  ];
  for (let round = 0; Atomics.load(new Int32Array(stop), 0) === 0; round++) {
    const at = work + '/new' + round;
    things[round % things.length](at);
    renameSync(at, work + '/out');
  }`;

test('what changes while it is opened: never another file, and nobody waits', async () => {
  const { work, precious } = workplace();
  linkSync(precious, `${work}/second`);
  execFileSync('mkfifo', [`${work}/pipe`]);
  const stop = new SharedArrayBuffer(4);
  const changing = new Worker(changer, { eval: true, workerData: { work, precious, isRoot, stop } });
  const seen = new Set<string>();
  const inode = statSync(precious).ino;
  for (let round = 0; round < 400 || (seen.size < 4 && round < 20_000); round++) {
    try {
      const fd = await openStdioFile('stdout', { file: `${work}/out` });
      seen.add('opened');
      const found = fstatSync(fd);
      addon().closeFd(fd);
      assert.is.not(found.ino, inode);
      assert.ok(found.isFile());
    } catch (error) {
      if (error instanceof assert.Assertion) throw error;
      seen.add(/ELOOP:|EMLINK:|no regular file/.exec(String(error))?.[0] ?? String(error));
    }
  }
  Atomics.store(new Int32Array(stop), 0, 1);
  await once(changing, 'exit');
  assert.is(readFileSync(precious, 'utf8'), 'precious');
  assert.equal([...seen].sort(), ['ELOOP:', 'EMLINK:', 'no regular file', 'opened']);
});

test('of what was opened nothing is left open', async () => {
  const { work } = workplace();
  const good = { file: `${work}/out` };
  await cat({ stdout: good });
  const before = countFds();
  for (let round = 0; round < 20; round++) {
    await cat({ stdin: { file: `${work}/none` }, stdout: good, stderr: good });
    const sandbox = new Sandbox2(
      new Executor('/bin/cat', ['cat'], { stdio: { stdout: good, stderr: good } }),
      policyFor('/bin/cat'),
    );
    const started = sandbox.runAsync();
    sandbox.kill();
    assert.not.ok(await started);
    assert.is((await sandbox.awaitResult()).finalStatus, 'EXTERNAL_KILL');
    // Made, and never started.
    await using unused = new Sandbox2(
      new Executor('/bin/cat', ['cat'], { stdio: { stdout: good } }),
      policyFor('/bin/cat'),
    );
    assert.not.ok(unused.isTerminated);
  }
  await openStdioFile('stdout', good).then((fd) => addon().closeFd(fd)); // behind all that was opened in vain
  await fdsBecome(before);
});

test('a number that is taken already', async () => {
  const { work } = workplace();
  const executor = new Executor('/bin/cat', ['cat'], { stdio: { stdout: { file: `${work}/out` } } });
  executor.ipc.mapDupedFd(1, 1);
  assert.throws(
    () => new Sandbox2(executor, policyFor('/bin/cat')),
    /fd 1 of the sandboxee is mapped already/,
  );
  const other = new Executor('/bin/cat', ['cat'], { stdio: { stdout: { file: `${work}/out` } } });
  const sandbox = new Sandbox2(other, policyFor('/bin/cat'));
  assert.throws(() => other.ipc.mapDupedFd(1, 1), /fd 1 of the sandboxee is mapped already/);
  await sandbox[Symbol.asyncDispose]();
});

test('a fork server’s', async () => {
  const { work } = workplace();
  const start = (file: string) =>
    sandboxee('behave', ['fork'], { stdio: { stdin: { file } } }).startForkServer();
  await using refused = await start(`${work}/none`);
  assert.match(String(await refused.awaitResult()), /SETUP_ERROR.*stdio\.stdin: cannot open .*ENOENT/);
  writeFileSync(`${work}/some`, '');
  await using server = await start(`${work}/some`);
  const child = new Executor(server, { stdio: { stdout: { file: `${work}/none/out` } } });
  assert.match(
    String(await new Sandbox2(child, lenientPolicy()).run()),
    /SETUP_ERROR.*stdio\.stdout: .*ENOENT/,
  );
  assert.not.ok(server.isTerminated);
});

test.run();
