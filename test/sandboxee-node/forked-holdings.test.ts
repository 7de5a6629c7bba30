// What the child of a fork server holds, looked at from outside: each mapping and each descriptor is of a kind that is known
// here, with what stands behind it, and none is one with what the fork server, another child, the host, the supervisor or an
// init has. Then what hostile code in a child finds of rings.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, type ForkServer, PolicyBuilder, Sandbox2 } from '../../host/index.js';
import {
  checkout,
  isRoot,
  lenientPolicy,
  sandboxeePath,
  startForkServer,
  tellBehaviour,
} from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { hangMs } from '../support/time.js';

const test = suite('what forked children hold');
const commsFd = 1023;

// ---- Mappings ----

interface Mapping {
  readonly permissions: string;
  readonly name: string;
  readonly flags: readonly string[];
}

/** Out of smaps (proc_pid_smaps(5)): a line as in maps, figures, and VmFlags. */
function mappingsOf(pid: number): Mapping[] {
  const text = readFileSync(`/proc/${pid}/smaps`, 'utf8');
  return [...text.matchAll(/^[\da-f]+-[\da-f]+ (\S+) \S+ \S+ \d+ *(.*)\n(?:\w+:.*\n)*?VmFlags: (.*)$/gm)].map(
    ([, permissions = '', name = '', flags = '']) => ({ permissions, name, flags: flags.trim().split(' ') }),
  );
}

/**
 * Flags that are about this process alone: access, growth, swapping, huge pages, locking, dumping, forking, seals. Not among
 * them: a userfaultfd watches (um, uw, ui), equal pages of others are merged (mg), memory of a device (io, pf).
 */
const ownFlags = new Set(
  'rd wr ex sh mr mw me ms gd sr rr dc de ac nr ht sf wf dd sd mm hg nh lo lf bt mt nl ss sl dp'.split(' '),
);
const ofKernel = new Set(['[vdso]', '[vvar]', '[vvar_vclock]', '[vsyscall]']);

/** Why it does not reach beyond the process; undefined: it is of an unknown kind. */
function whyHarmless({ permissions, name, flags }: Mapping): string | undefined {
  if (ofKernel.has(name))
    return permissions[1] === '-' ? 'the kernel’s clock and code, for reading' : undefined;
  if (flags.some((flag) => !ownFlags.has(flag))) return undefined;
  if (permissions[3] === 's') {
    const isFile = name.startsWith('/') && !name.startsWith('/dev/') && !name.startsWith('/[');
    return isFile && !flags.includes('mw')
      ? 'a file, for reading for ever: nothing gets out by it'
      : undefined;
  }
  if (name === '' || name === '[heap]' || name === '[stack]' || name.startsWith('[anon:'))
    return 'its own copy';
  return name.startsWith('/') && !name.startsWith('/dev/') ? 'its own copy of a file' : undefined;
}

function unknownMappings(pid: number): Mapping[] {
  const mappings = mappingsOf(pid);
  assert.is(
    mappings.length,
    readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').length - 1,
    'all are seen',
  );
  return mappings.filter((mapping) => whyHarmless(mapping) === undefined);
}

// ---- Descriptors ----

interface Descriptor {
  readonly fd: number;
  readonly target: string;
  /** /proc/PID/fdinfo/FD */
  readonly info: string;
}

function descriptorsOf(pid: number): Descriptor[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      const target = readlinkSync(`/proc/${pid}/fd/${name}`);
      return [{ fd: Number(name), target, info: readFileSync(`/proc/${pid}/fdinfo/${name}`, 'utf8') }];
    } catch {
      return []; // closed meanwhile, as the host and the supervisor do
    }
  });
}

const nullDevice = statSync('/dev/null').rdev;
const idOf = ({ info }: Descriptor) => /^eventfd-id: *(\d+)/m.exec(info)?.[1];
const mayWrite = ({ info }: Descriptor) =>
  (Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? '0', 8) & 3) !== 0;

/** What each stands for. Throws where one is not known, or reaches beyond the process. */
function nameAll(pid: number, others: readonly Descriptor[]): string[] {
  const own = descriptorsOf(pid);
  const names = own.map((descriptor) => {
    const { fd, target, info } = descriptor;
    const what = `fd ${fd}, ${target}, of process ${pid}`;
    if (target === '/dev/null') {
      assert.is(statSync(`/proc/${pid}/fd/${fd}`).rdev, nullDevice, what);
      return fd <= 2 ? 'standard' : 'stand-in';
    }
    if (target.startsWith('socket:')) {
      assert.is(fd, commsFd, what);
      return 'comms';
    }
    if (target.startsWith('pipe:')) {
      const ends = own.filter((end) => end.target === target);
      assert.equal(ends.map(mayWrite).sort(), [false, true], `${what}: both ends are its own`);
      assert.not.ok(
        others.some((other) => other.target === target),
        what,
      );
      return 'pipe to itself';
    }
    if (target === 'anon_inode:[eventfd]') {
      assert.ok(idOf(descriptor), `${what}: ${info}`);
      assert.not.ok(
        others.some((other) => idOf(other) === idOf(descriptor)),
        `${what}: ${info}`,
      );
      return 'eventfd';
    }
    assert.is(target, 'anon_inode:[eventpoll]', `${what}: of an unknown kind`);
    // A set watches open files, though nobody in the process may have them open any more.
    const watched = [...info.matchAll(/^tfd: *(\d+) .* ino:([\da-f]+) /gm)];
    assert.ok(watched.length > 0, `${what}: ${info}`);
    for (const [, number, inode] of watched) {
      const { ino } = statSync(`/proc/${pid}/fd/${number}`);
      assert.is(ino, Number.parseInt(inode ?? '', 16), `${what} watches what it has open: ${info}`);
    }
    return 'event queue';
  });
  return names.sort();
}

/** Open files of one process that others have too, each as "FD OTHER_PID OTHER_FD". */
function sharedFiles(pid: number, others: readonly number[]): string {
  const { status, stdout } = spawnSync(sandboxeePath('shared_files'), [pid, ...others].map(String));
  assert.is(status, 0, `shared_files of ${pid} and ${others.join(', ')}: ${status}`);
  return stdout.toString();
}

const { status: comparing } = spawnSync(
  sandboxeePath('shared_files'),
  [process.pid, process.pid].map(String),
);

function parentOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1]);
}

/** Throws unless two children hold what is known, and these, and nothing of anybody else's. */
async function checkTwoChildren(
  server: ForkServer,
  start: () => Promise<Sandbox2>,
  expected: readonly string[],
): Promise<void> {
  await using one = await start();
  await using two = await start();
  assert.not.match(readFileSync(`/proc/${server.pid}/maps`, 'utf8'), /io_uring/);
  assert.not.ok(descriptorsOf(server.pid).some(({ target }) => target.includes('io_uring')));
  // An ordinary user may not look into the supervisor and the inits, which are not dumpable.
  const aside = isRoot ? [parentOf(server.pid), one.initPid, two.initPid] : [];
  for (const [child, sibling] of [
    [one, two],
    [two, one],
  ] as const) {
    const others = [server.pid, sibling.pid, process.pid, ...aside];
    assert.equal(unknownMappings(child.pid), []);
    assert.equal(
      [...new Set(nameAll(child.pid, others.flatMap(descriptorsOf)))],
      [...expected].sort(),
      'what it holds',
    );
    if (comparing === 0) assert.is(sharedFiles(child.pid, others), '', 'open files that others have too');
  }
}

if (comparing !== 0) {
  test('open files compared', () =>
    skip(
      'open files compared',
      `this kernel does not compare them (kcmp: errno ${(comparing ?? 100) - 100})`,
    ));
}

const inC = (server: ForkServer) => async () => {
  const sandbox = new Sandbox2(new Executor(server), lenientPolicy());
  assert.ok(await sandbox.runAsync(), String(sandbox));
  await tellBehaviour(sandbox, 'wait_forever');
  return sandbox;
};

test('a child of a fork server in C', async () => {
  await using server = await startForkServer();
  await checkTwoChildren(server, inC(server), ['standard', 'comms']);
});

test('a child of a fork server in C that has files, directories and memory of its own', async () => {
  for (const how of ['null', 'eventfd', 'file', 'directory', 'readonly']) {
    await using server = await startForkServer({}, how);
    const expected = ['standard', 'comms', ...(how === 'readonly' ? [] : ['stand-in'])];
    await checkTwoChildren(server, inC(server), expected);
  }
});

test('what a fork server in C shares on purpose is seen as shared', async () => {
  if (comparing !== 0) return;
  await using server = await startForkServer({}, 'null+');
  await using child = await inC(server)();
  assert.match(sharedFiles(child.pid, [server.pid]), /^9 \d+ \d+\n/);
  await using sharing = await startForkServer({}, 'shared+');
  await using sharer = await inC(sharing)();
  assert.equal(
    unknownMappings(sharer.pid).map(({ name }) => name),
    ['/dev/zero (deleted)'],
  );
});

const policy = new PolicyBuilder()
  .allowNode()
  .addTmpfs('/scratch', 1 << 20)
  .addDirectory('/proc')
  .addFileAt(`${checkout}build/sandboxees/libring_attack.so`, '/ring_attack.so')
  .build();

const zygote = path.join(checkout, 'dist/test/sandboxee-node/fixtures/zygote.js');

function nodeForkServer(execArgv: readonly string[] = []): Promise<ForkServer> {
  const stdio = { stderr: 'null' } as const;
  return Executor.nodeForkServer(zygote, [''], { stdio, execArgv }).startForkServer();
}

async function inNode(server: ForkServer): Promise<Sandbox2> {
  const sandbox = new Sandbox2(new Executor(server), policy);
  assert.ok(await sandbox.runAsync());
  await sandbox.comms.sendString('files');
  await sandbox.comms.recvValue({ timeoutMs: hangMs });
  return sandbox;
}

test('a child of a Node fork server', async () => {
  const expected = ['standard', 'comms', 'eventfd', 'stand-in', 'pipe to itself', 'event queue'];
  for (const execArgv of [[], ['--disable-sigusr1']]) {
    if (!process.allowedNodeEnvironmentFlags.has(execArgv[0] ?? '--max-old-space-size')) continue;
    await using server = await nodeForkServer(execArgv);
    await checkTwoChildren(server, () => inNode(server), expected);
  }
});

test('a child of a Node fork server that a script starts, by another name', async () => {
  const { path: node, args, stdio } = Executor.nodeForkServer(zygote, [''], { stdio: { stderr: 'null' } });
  const words = [node, ...args.slice(1)].map((word) => `'${word}'`).join(' ');
  const script = `exec 3</dev/null; exec -a tool ${words}`;
  await using server = await new Executor('/bin/bash', ['bash', '-c', script], { stdio }).startForkServer();
  const expected = ['standard', 'comms', 'eventfd', 'stand-in', 'pipe to itself', 'event queue'];
  await checkTwoChildren(server, () => inNode(server), expected);
});

// ---- Attacks ----

/** Whether there is a ring to be had on this machine, by which a child acts as the process that forked it. */
function isAttackable(): true | string {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-ring-'));
  try {
    const { status } = spawnSync(sandboxeePath('ring_attack'), [path.join(folder, 'made')]);
    if (status === 0) return true;
    assert.ok(status !== null && status > 100, `the attack does not work where there is a ring: ${status}`);
    return `there is no io_uring here: errno ${status - 100}`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const attackable = isAttackable();
if (attackable !== true) test('attacks by rings', () => skip('attacks by rings', attackable));

test('hostile code in a child of a fork server in C finds no ring', async () => {
  await using server = await startForkServer();
  await using sandbox = new Sandbox2(
    new Executor(server),
    lenientPolicy((builder) => builder.addDirectory('/proc')),
  );
  assert.ok(await sandbox.runAsync());
  await tellBehaviour(sandbox, 'ring_attack');
  assert.is((await sandbox.awaitResult()).exitCode, 0);
});

test('hostile code in a child of a Node fork server finds no ring', async () => {
  await using server = await nodeForkServer();
  await using sandbox = await inNode(server);
  await sandbox.comms.sendString('rings');
  assert.is(await sandbox.comms.recvValue({ timeoutMs: hangMs }), '0');
});

test.run();
