// What the child of a fork server holds, looked at from outside: each mapping and each descriptor is of a kind that is known,
// and none is shared with the fork server or with another child so that one of them could act on the other.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, type ForkServer, PolicyBuilder, Sandbox2 } from '../../host/index.js';
import {
  checkout,
  lenientPolicy,
  sandboxeePath,
  startForkServer,
  tellBehaviour,
} from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('what forked children hold');

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

const ofKernel = new Set(['[vdso]', '[vvar]', '[vvar_vclock]', '[vsyscall]']);

/** Why this is nothing that reaches beyond the process; undefined: that is not known. */
function harmless({ permissions, name, flags }: Mapping): string | undefined {
  if (ofKernel.has(name)) return 'the kernel’s own, for reading';
  // Of files that are open for reading alone; what the host writes there is seen, and nothing can be written.
  if (permissions[3] === 's') return flags.includes('mw') ? undefined : 'shared, and never writable';
  if (name === '' || name === '[heap]' || name === '[stack]' || name.startsWith('[anon:'))
    return 'its own copy';
  return name.startsWith('/') && !name.startsWith('/dev/') ? 'its own copy of a file' : undefined;
}

/** By number. */
function fdsOf(pid: number): Map<number, string> {
  return new Map(
    readdirSync(`/proc/${pid}/fd`).map((fd) => [Number(fd), readlinkSync(`/proc/${pid}/fd/${fd}`)] as const),
  );
}

/** Throws where the kernel does not tell. */
function isSameFile(pid: number, fd: number, otherPid: number, otherFd: number): boolean {
  const { status } = spawnSync(sandboxeePath('same_file'), [pid, fd, otherPid, otherFd].map(String));
  assert.ok(status === 0 || status === 1, `kcmp: ${status}`);
  return status === 0;
}

const nullDevice = statSync('/dev/null').rdev;

/** Its own, or nobody's: what is open in the child and of a kind that Node or sandwire makes anew in it. */
const madeAnew = /^(pipe:\[\d+\]|anon_inode:\[(eventpoll|eventfd)\]|socket:\[\d+\])$/;

function checkHoldings(pid: number, others: readonly number[]): void {
  for (const mapping of mappingsOf(pid)) {
    assert.ok(harmless(mapping), `a mapping of an unknown kind: ${JSON.stringify(mapping)}`);
  }
  assert.ok(mappingsOf(pid).length > 5, 'smaps can be read');
  for (const [fd, target] of fdsOf(pid)) {
    if (target === '/dev/null') {
      assert.is(statSync(`/proc/${pid}/fd/${fd}`).rdev, nullDevice);
      continue;
    }
    assert.match(target, madeAnew, `fd ${fd} is of an unknown kind`);
    for (const other of others) {
      for (const [otherFd, otherTarget] of fdsOf(other)) {
        if (otherTarget.split('[')[0] !== target.split('[')[0]) continue;
        assert.not.ok(
          isSameFile(pid, fd, other, otherFd),
          `fd ${fd} (${target}) is fd ${otherFd} of process ${other} as well`,
        );
      }
    }
  }
}

/** No ring in the fork server itself. */
function checkNoRing(pid: number): void {
  assert.not.match(readFileSync(`/proc/${pid}/maps`, 'utf8'), /io_uring/);
  assert.not.ok([...fdsOf(pid).values()].some((target) => target.includes('io_uring')));
}

const { status: told } = spawnSync(sandboxeePath('same_file'), [process.pid, 0, process.pid, 0].map(String));

async function checkTwoChildren(server: ForkServer, start: () => Promise<Sandbox2>): Promise<void> {
  await using one = await start();
  await using two = await start();
  checkNoRing(server.pid);
  checkHoldings(one.pid, [server.pid, two.pid]);
  checkHoldings(two.pid, [server.pid, one.pid]);
}

if (told !== 0) {
  test('descriptors', () =>
    skip(
      'what forked children hold',
      `this kernel does not compare files (kcmp: errno ${(told ?? 100) - 100})`,
    ));
} else {
  test('a child of a fork server in C', async () => {
    await using server = await startForkServer();
    await checkTwoChildren(server, async () => {
      const sandbox = new Sandbox2(new Executor(server), lenientPolicy());
      assert.ok(await sandbox.runAsync());
      await tellBehaviour(sandbox, 'wait_forever');
      return sandbox;
    });
  });

  for (const args of [[], ['--expose-gc']]) {
    test(`a child of a Node fork server ${args}`, async () => {
      const script = path.join(checkout, 'dist/test/sandboxee-node/fixtures/zygote.js');
      await using server = await Executor.nodeForkServer(script, [''], {
        stdio: { stderr: 'null' },
        execArgv: args,
      }).startForkServer();
      const policy = new PolicyBuilder()
        .allowNode()
        .addTmpfs('/scratch', 1 << 20)
        .build();
      await checkTwoChildren(server, async () => {
        const sandbox = new Sandbox2(new Executor(server), policy);
        assert.ok(await sandbox.runAsync());
        await sandbox.comms.sendString('files');
        await sandbox.comms.recvValue({ timeoutMs: 30_000 });
        return sandbox;
      });
    });
  }
}

test.run();
