// kill -9 of whoever has a part in forking, at any moment: each run ends with a result, and nobody is left.
import { readdirSync, readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, Sandbox2 } from '../../host/index.js';
import { eventually, isAlive, lenientPolicy, startForkServer, tellBehaviour } from '../support/sandbox.js';

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

/** Runs children, twenty at a time, while the victims found again and again are killed. */
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
      const result = await sandbox.awaitResult({ timeoutMs: 20_000 });
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
function findLeaders(server: number): readonly { readonly pid: number }[] {
  for (const until = performance.now() + 5; performance.now() < until; ) {
    const children = readFileSync(`/proc/${server}/task/${server}/children`, 'utf8').trim();
    if (children !== '') return children.split(' ').map((pid) => ({ pid: Number(pid) }));
  }
  return [];
}

test('the processes that lead sandboxees in', async () => {
  const statuses = await runAmongKilling(findLeaders);
  assert.ok(
    [...statuses.keys()].every((status) => ['OK', 'SETUP_ERROR'].includes(status)),
    [...statuses].join(),
  );
});

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
