// kill -9 of every process that takes part in forking, at any moment: each run ends with a result, and no process is
// left.
import { readdirSync, readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, type ForkServer, PolicyBuilder, type Result, Sandbox2 } from '../../host/index.js';
import {
  checkout,
  eventually,
  isAlive,
  lenientPolicy,
  readAll,
  sandboxeePath,
  startForkServer,
  tellBehaviour,
} from '../support/sandbox.js';
import { hangMs } from '../support/time.js';

const test = suite('death around fork servers');
const policy = lenientPolicy();

interface Process {
  readonly pid: number;
  readonly name: string;
  readonly parent: number;
}

function processes(): Process[] {
  return readdirSync('/proc').flatMap((entry) => {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const [, name = '', parent = '0'] = /^\d+ \((.*)\) \S (\d+)/s.exec(stat) ?? [];
      return [{ pid: Number(entry), name, parent: Number(parent) }];
    } catch {
      return [];
    }
  });
}

/** Runs children, twenty at a time, while the victims that are found are killed again and again. */
async function runAmongKilling(
  victims: (server: number, supervisor: number) => readonly { readonly pid: number }[],
) {
  const server = await startForkServer();
  const supervisor = processes().find(({ pid }) => pid === server.pid)?.parent ?? 0;
  let going = true;
  let killed = 0;
  const killing = (async () => {
    while (going) {
      for (const victim of victims(server.pid, supervisor).slice(0, 1)) {
        try {
          process.kill(victim.pid, 'SIGKILL');
          killed += 1;
        } catch {} // it has ended by itself
      }
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
  })();
  const statuses = new Map<string, number>();
  const sandboxes: Sandbox2[] = [];
  for (let round = 0; round < 8 || (killed === 0 && round < 100); round++) {
    const runs = Array.from({ length: 20 }, async () => {
      const sandbox = new Sandbox2(new Executor(server), policy);
      sandboxes.push(sandbox);
      if (await sandbox.runAsync()) await tellBehaviour(sandbox, 'exit_with', ['7']).catch(() => {});
      const result = await sandbox.awaitResult({ timeoutMs: hangMs });
      if (result.finalStatus === 'OK') assert.is(result.exitCode, 7);
      statuses.set(result.finalStatus, (statuses.get(result.finalStatus) ?? 0) + 1);
      await sandbox[Symbol.asyncDispose]();
    });
    await Promise.all(runs);
  }
  going = false;
  await killing;
  await server[Symbol.asyncDispose]();
  assert.ok(killed > 0, 'somebody was killed');
  for (const sandbox of sandboxes) {
    await eventually('a sandboxee is gone', () => sandbox.pid <= 0 || !isAlive(sandbox.pid));
  }
  await eventually('nothing of the fork server is left, no zombie either', () => {
    const left = processes().filter(({ name, parent }) => parent === supervisor && name === 'behave');
    return left.length === 0;
  });
  return statuses;
}

/** Each lives for a fraction of a millisecond, so one looks for it without a pause. */
function findJoiners(server: number): readonly { readonly pid: number }[] {
  for (const until = performance.now() + 5; performance.now() < until; ) {
    const children = readFileSync(`/proc/${server}/task/${server}/children`, 'utf8').trim();
    if (children !== '') return children.split(' ').map((pid) => ({ pid: Number(pid) }));
  }
  return [];
}

test('the processes that lead sandboxees in', async () => {
  const statuses = await runAmongKilling(findJoiners);
  assert.ok(
    [...statuses.keys()].every((status) => ['OK', 'SETUP_ERROR'].includes(status)),
    [...statuses].join(),
  );
});

/** Fork servers with watch_joiner.c loaded into them. */
const watchedServers: readonly (readonly [string, (env: Record<string, string>) => Executor])[] = [
  ['of one thread', (env) => new Executor(dynamic, ['behave', 'fork'], { envs: env })],
  ['of two threads', (env) => new Executor(dynamic, ['behave', 'fork', 'threads'], { envs: env })],
  ['in Node', (env) => Executor.nodeForkServer(zygote, [''], { envs: env, stdio: { stderr: 'null' } })],
];
const dynamic = sandboxeePath('behave_dynamic');
const zygote = `${checkout}dist/test/sandboxee-node/fixtures/zygote.js`;
const nodePolicy = new PolicyBuilder().allowNode().build();

async function startWatched(make: (env: Record<string, string>) => Executor, joiner: string) {
  const executor = make({ LD_PRELOAD: sandboxeePath('watch_joiner.so'), JOINER: joiner });
  const stderr = readAll(executor.ipc.receiveFd(2));
  return { server: await executor.startForkServer(), stderr };
}

async function runChild(name: string, server: ForkServer): Promise<Result> {
  const isNode = name === 'in Node';
  await using sandbox = new Sandbox2(new Executor(server), isNode ? nodePolicy : policy);
  if (await sandbox.runAsync()) {
    if (isNode) await sandbox.comms.sendString('end');
    else await tellBehaviour(sandbox, 'exit_with', ['0']);
  }
  return await sandbox.awaitResult({ timeoutMs: hangMs });
}

for (const [name, make] of watchedServers) {
  test(`a joiner allocates nothing, in a fork server ${name}`, async () => {
    const { server, stderr } = await startWatched(make, 'watched');
    for (let round = 0; round < 5; round++) {
      const results = await Promise.all(Array.from({ length: 4 }, () => runChild(name, server)));
      for (const result of results) assert.ok(result.isOk, String(result));
    }
    await server[Symbol.asyncDispose]();
    assert.is(await stderr, '');
  });

  test(`a joiner is killed within fork(), in a fork server ${name}`, async () => {
    const { server, stderr } = await startWatched(make, 'dies');
    const lost = await runChild(name, server);
    assert.is(lost.finalStatus, 'SETUP_ERROR', String(lost));
    if (name === 'of one thread') {
      for (let round = 0; round < 3; round++) {
        const result = await runChild(name, server);
        assert.ok(result.isOk, String(result));
      }
      await server[Symbol.asyncDispose]();
      assert.is(await stderr, '');
      return;
    }
    // The locks it held are never released, so the server cannot go on, and says so.
    const reason = /the fork server ends: the joiner of a child was killed within fork\(\)/;
    assert.match(String(lost), reason);
    assert.is((await server.awaitResult()).exitCode, 121);
    assert.match(await stderr, reason);
    const late = await runChild(name, server);
    assert.is(late.finalStatus, 'SETUP_ERROR', String(late));
    await server[Symbol.asyncDispose]();
  });
}

test('the sandboxees, known or not yet', async () => {
  const statuses = await runAmongKilling((server, supervisor) =>
    processes().filter(
      ({ pid, name, parent }) => parent === supervisor && name === 'behave' && pid !== server,
    ),
  );
  const allowed = ['OK', 'SETUP_ERROR', 'SIGNALED'];
  assert.ok(
    [...statuses.keys()].every((status) => allowed.includes(status)),
    [...statuses].join(),
  );
});

test('the inits of their sandboxes, and what the supervisor forks', async () => {
  const statuses = await runAmongKilling((_, supervisor) =>
    processes().filter(({ name, parent }) => parent === supervisor && name.startsWith('sandwire')),
  );
  const allowed = ['OK', 'SETUP_ERROR', 'INTERNAL_ERROR'];
  assert.ok(
    [...statuses.keys()].every((status) => allowed.includes(status)),
    [...statuses].join(),
  );
});

test.run();
