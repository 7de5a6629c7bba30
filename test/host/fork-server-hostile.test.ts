// Fork servers that answer nonsense, and children that lie about who and where they are: each run ends with a result
// and a message, nothing hangs, no process is left, and no other process is harmed.
import { readdirSync, readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, Sandbox2 } from '../../host/index.js';
import { eventually, isAlive, lenientPolicy, runToEnd, sandboxee } from '../support/sandbox.js';

const test = suite('hostile fork servers');

function parentOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1]);
}

/** The children of a process with their state, the dead ones included. */
function childrenOf(parent: number): string[] {
  return readdirSync('/proc').flatMap((entry) => {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const [, name = '', state = '', ppid] = /^\d+ \((.*)\) (\S) (\d+)/s.exec(stat) ?? [];
      return Number(ppid) === parent ? [`${entry} ${name} ${state}`] : [];
    } catch {
      return [];
    }
  });
}

// A bystander that shares its supervisor with everything that follows.
const bystander = new Sandbox2(sandboxee('echo'), lenientPolicy());
await bystander.runAsync();
const supervisor = parentOf(bystander.initPid);
test.after(() => bystander[Symbol.asyncDispose]());

const outcomes: readonly (readonly [string, RegExp])[] = [
  ['garbage', /SETUP_ERROR.*no child of the fork server/],
  ['no-fd', /SETUP_ERROR.*it answered what makes no sense, and was killed for it: .*expected Fd/],
  ['file', /SETUP_ERROR.*forking in the fork server: its child takes no messages: ENOTSOCK/],
  ['sandbox2', /SETUP_ERROR.*sandbox2’s protocol only.*libsandwire/],
  ['closes', /SETUP_ERROR.*no child of the fork server.*closed/],
  ['end', /SETUP_ERROR.*its child ended before it was in the sandbox/],
  ['hang', /TIMEOUT/],
  ['nonsense', /SETUP_ERROR.*its child sent what is no message/],
  ['number', /SETUP_ERROR.*its child sent something else than its credentials/],
  ['fd', /SETUP_ERROR.*its child sent something else than its credentials/],
  ['step', /SETUP_ERROR.*forking in the fork server: a made-up step/],
  ['stay', /SETUP_ERROR.*its child named a process that is not ours to watch/],
  ['orphan', /SETUP_ERROR.*its child is not in the sandbox/],
  ['init', /SETUP_ERROR.*its child named no process of the sandbox/],
  ['parent', /SETUP_ERROR.*its child named a process that is not ours to watch/],
  ['leave', /SETUP_ERROR.*its child is not in the sandbox/],
  ['die-inside', /SETUP_ERROR.*its child ended before it was in the sandbox/],
];
for (const [how, expected] of outcomes) {
  test(how, async () => {
    const server = await sandboxee('lie', [how]).startForkServer();
    for (let round = 0; round < 2; round++) {
      const executor = new Executor(server);
      executor.limits.setWalltimeLimitMs(how === 'hang' ? 500 : 9000);
      const sandbox = new Sandbox2(executor, lenientPolicy());
      assert.not(await sandbox.runAsync());
      const result = String(await sandbox.awaitResult());
      assert.match(result, expected);
      await sandbox[Symbol.asyncDispose]();
      await eventually('its init is gone', () => sandbox.initPid <= 0 || !isAlive(sandbox.initPid));
    }
    await server[Symbol.asyncDispose]();
    await eventually('of what it forked nothing is left, no zombie either', () => {
      const left = childrenOf(supervisor).filter((child) => child.includes('lie') || child.includes(' Z'));
      return left.length === 0;
    });
    await bystander.comms.sendUint32(7);
    assert.is(await bystander.comms.recvUint32(), 7, 'who has nothing to do with it goes on');
    assert.is((await runToEnd(sandboxee('exit_with', ['5']))).result.exitCode, 5);
  });
}

test.run();
