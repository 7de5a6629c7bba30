// The executed file, and a file that is passed open, are the host's: who can change their mode, times and attributes.
import {
  chmodSync,
  chownSync,
  copyFileSync,
  fstatSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import * as os from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, type PolicyBuilder } from '../../host/index.js';
import { placeProgram } from '../../host/program-place.js';
import { addon } from '../../native/addon.js';
import { isRoot, lenientPolicy, runToEnd, sandboxeePath } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('program and given files');
const { EROFS } = os.constants.errno;
const folder = mkdtempSync(path.join(os.tmpdir(), 'sandwire-test-'));
chmodSync(folder, 0o755);
test.after(() => rmSync(folder, { recursive: true }));
const at = (name: string) => path.join(folder, name);

/** Gives the file to the sandboxee's kernel uid, which could then change it. */
function giveAway(file: string): string {
  if (isRoot) chownSync(file, 65534, 65534);
  return file;
}

/** Of open(2), the same on x86-64 and aarch64; Node does not name it. */
const O_PATH = 0o10000000;
const program = at('program');
copyFileSync(sandboxeePath('reach_out'), program);
chmodSync(giveAway(program), 0o755);
mkdirSync(at('closed'), 0o700);
copyFileSync(program, at('closed/program'));
chmodSync(giveAway(at('closed/program')), 0o755);
symlinkSync('program', at('link'));

const attributesOf = (file: string) => {
  const { mode, mtimeMs, ctimeMs } = statSync(file);
  return [mode, mtimeMs, ctimeMs];
};

type Extend = (builder: PolicyBuilder) => PolicyBuilder;

/** The result of trying to change the file's attributes: 0 if one of them could be changed. */
async function change(executor: Executor, extend: Extend): Promise<number | undefined> {
  const { result } = await runToEnd(
    executor,
    lenientPolicy((builder) => extend(builder).addDirectory('/proc')),
  );
  assert.is(result.finalStatus, 'OK', String(result));
  return result.exitCode;
}

const changesItself = (file = program) => new Executor(file, ['program', 'attributes', '/proc/self/exe']);

const shown: Readonly<Record<string, Extend>> = {
  'by addFile()': (builder) => builder.addFile(program),
  'at another place': (builder) => builder.addFileAt(program, '/bin/tool'),
  'in a directory': (builder) => builder.addDirectory(folder),
  'in a directory at another place': (builder) => builder.addDirectoryAt(folder, '/opt'),
  'not at all': (builder) => builder,
  'not at all, below a tmpfs': (builder) => builder.addTmpfs(path.dirname(folder), 1 << 20),
};

for (const [how, extend] of Object.entries(shown)) {
  test(`a program cannot change its own file: shown ${how}`, async () => {
    const before = attributesOf(program);
    assert.is(await change(changesItself(), extend), EROFS);
    assert.is(await change(changesItself(at('link')), extend), EROFS, 'by a symlink');
    assert.is(await change(changesItself().setCwd('/'), extend), EROFS, 'a second time, from a spare');
    assert.equal(attributesOf(program), before);
  });
}

test('a program that is replaced while its policy lives is executed as it is now', async () => {
  const tool = at('tool');
  const policy: Extend = (builder) => builder.addFile(tool);
  copyFileSync(program, tool);
  chmodSync(giveAway(tool), 0o755);
  for (let round = 0; round < 4; round++) {
    assert.is(await change(changesItself(tool), policy), EROFS);
    copyFileSync(program, at('next'));
    chmodSync(giveAway(at('next')), 0o755);
    renameSync(at('next'), tool);
  }
  // The policy shows another file than the one that was opened.
  const opened = openSync(tool, 'r');
  const status = fstatSync(opened);
  const place = placeProgram(lenientPolicy(policy), tool, status, undefined);
  assert.is(place.inside, tool);
  addon().closeFd(opened);
});

test('below a directory that the sandboxee may not enter it runs anyway', async () => {
  const file = at('closed/program');
  const executor = () => new Executor(file, ['program', 'list', '/']);
  for (const extend of [
    (builder: PolicyBuilder) => builder.addDirectory(folder),
    (builder: PolicyBuilder) => builder,
  ]) {
    const { result } = await runToEnd(
      executor(),
      lenientPolicy((builder) => extend(builder).addDirectory('/proc')),
    );
    assert.is(String(result), 'OK - Exit code: 0');
  }
});

test('where a program is', () => {
  const status = statSync(program);
  const place = (extend: Extend, file = program, of = status, uid?: number) => {
    const { inside, mount } = placeProgram(lenientPolicy(extend), file, of, uid);
    return mount === undefined ? inside : `${inside} beside the policy's`;
  };
  const withProc =
    (extend: Extend): Extend =>
    (builder) =>
      extend(builder.addDirectory('/proc'));
  const others = { ...status, uid: 4711, mode: 0o100755 } as typeof status;
  assert.is(
    place((b) => b),
    undefined,
  );
  assert.is(
    place((b) => b.addFile(program)),
    program,
  );
  assert.is(
    place((b) => b.addFileAt(program, '/a').addFileAt(program, '/b')),
    '/a',
  );
  assert.is(
    place((b) => b.addFileAt(program, '/a').addDirectory(folder)),
    program,
    'its own place first',
  );
  assert.is(
    place((b) => b.addFile(program, false)),
    undefined,
    'writable, and noexec',
  );
  assert.is(
    place((b) => b.addDirectory(folder, false)),
    undefined,
  );
  assert.is(
    place((b) => b.addDirectory(folder, false).addFile(program)),
    program,
  );
  assert.is(
    place((b) => b.addDirectory(folder).addFileAt('/etc/passwd', program)),
    undefined,
    'covered',
  );
  assert.is(
    place((b) => b.addDirectory('/usr'), at('link')),
    undefined,
  );
  assert.is(
    place((b) => b.addDirectory(folder), at('no-such-file')),
    undefined,
    'gone',
  );
  assert.is(
    place((b) => b.enableLandlock().addFile(program)),
    undefined,
    'no mounts',
  );
  const added = `${program} beside the policy's`;
  assert.is(place(withProc((b) => b)), added);
  assert.is(
    place(
      withProc((b) => b),
      at('link'),
    ),
    added,
  );
  assert.is(
    place(
      withProc((b) => b),
      program,
      others,
    ),
    undefined,
    'the file of another user',
  );
  assert.is(
    place(
      withProc((b) => b),
      program,
      others,
      4711,
    ),
    added,
  );
  assert.is(
    place(
      withProc((b) => b),
      program,
      { ...others, mode: 0o100757 } as typeof status,
    ),
    added,
  );
  assert.is(place(withProc((b) => b.addTmpfs(folder, 1 << 20))), added);
  assert.is(
    place(withProc((b) => b.addDirectoryAt('/etc', folder))),
    undefined,
    'no place in the host’s own',
  );
  assert.is(place(withProc((b) => b.addDirectoryAt('/etc', program))), undefined, 'taken');
  assert.is(
    place(withProc((b) => b.addFileAt('/etc/passwd', `${program}/x`))),
    undefined,
    'on the way to another',
  );
});

test('a file that is passed open is the whole file to its owner', async () => {
  const file = at('given');
  const name = at('name');
  const changesInput = (stdin: number | { file: string }) =>
    new Executor(program, ['program', 'attributes', '/proc/self/fd/0'], { stdio: { stdin } });
  writeFileSync(file, 'x');
  linkSync(giveAway(file), name);
  for (const flags of ['r', O_PATH] as const) {
    const before = attributesOf(file);
    const fd = openSync(file, flags);
    assert.is(await change(changesInput(fd), (builder) => builder), 0, 'as docs/security.md says');
    addon().closeFd(fd);
    assert.not.equal(attributesOf(file), before);
    chmodSync(file, 0o644);
  }
  assert.is(await change(changesInput({ file }), (builder) => builder), 0);
  const shownFile = new Executor(program, ['program', 'attributes', '/name']);
  assert.is(await change(shownFile, (builder) => builder.addFileAt(name, '/name')), EROFS);
  if (!isRoot) return skip('a file of another user', 'only root has one that is not the user’s own');
  chownSync(file, 0, 0);
  chmodSync(file, 0o644);
  const before = attributesOf(file);
  assert.is.not(await change(changesInput({ file }), (builder) => builder), 0);
  assert.equal(attributesOf(file), before);
});

test('a file in memory that is open for reading can be opened for writing', async () => {
  const memory = addon().createBufferFd(4096);
  const fd = openSync(`/proc/self/fd/${memory}`, 'r');
  const executor = new Executor(program, ['program', 'write', '/proc/self/fd/5']);
  executor.ipc.mapFd(fd, 5);
  assert.is(await change(executor, (builder) => builder), 0, 'as docs/security.md says');
  addon().closeFd(memory);
});

test.run();
