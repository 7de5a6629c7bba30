// Node sandboxees: the time until the first message of a forked, sandboxed Node process is in the host.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Comms, Executor, type ForkServer, PolicyBuilder, Sandbox2 } from '../host/index.js';
import { addon, forkableNodeFlags } from '../native/addon.js';
import { encodeMessage } from '../protocol/index.js';
import { ForkMode } from '../protocol/messages.generated.js';
import { floorPath, spawnFloor } from './floors.js';
import { type Section, summarise } from './table.js';

const script = fileURLToPath(new URL('fork-servers/node.js', import.meta.url));
const batches = 10;
const forksPerBatch = 20;
const startsPerBatch = 3;
const node = [process.execPath, '-e', '0'];
/** The environment of this process. Some variables make Node's start slow: NODE_EXTRA_CA_CERTS, for one. */
const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value ?? ''}`);
const policy = new PolicyBuilder().allowNode().build();

/** A fork server with requests like sandbox2's: its children are in no sandbox. */
function startUnsandboxed() {
  const [hostEnd, theirs] = addon().socketPair();
  // The child's fd 3 is its comms, as the variable says.
  const command = [process.execPath, ...forkableNodeFlags, script, 'plain'];
  const child = spawn(floorPath('without_io_uring'), command, {
    env: { SANDBOX2_COMMS_FD: '3' },
    stdio: ['ignore', 'ignore', 'inherit', theirs],
  });
  const comms = new Comms(hostEnd);
  return {
    forkOnce: async () => {
      await comms.sendProtobufBytes(encodeMessage('ForkRequest', { mode: ForkMode.FORK }));
      const setup = new Comms(await comms.recvFd());
      const [own, childs] = addon().socketPair();
      const channel = new Comms(own);
      await setup.sendFd(childs);
      addon().closeFd(childs);
      await channel.recvBool();
      await channel.recvMessage().catch(() => {}); // its end
      for (const closed of [setup, channel]) closed.close();
    },
    close: () => {
      comms.close();
      child.kill('SIGKILL');
      addon().closeFd(theirs);
    },
  };
}

async function firstMessage(executor: Executor): Promise<{ messageUs: number; endUs: number }> {
  const started = performance.now();
  await using sandbox = new Sandbox2(executor, policy);
  if (!(await sandbox.runAsync())) throw new Error(String(await sandbox.awaitResult()));
  await sandbox.comms.recvBool();
  const messageUs = (performance.now() - started) * 1000;
  const result = await sandbox.awaitResult();
  if (!result.isOk) throw new Error(String(result));
  return { messageUs, endUs: (performance.now() - started) * 1000 };
}

export async function benchNode(): Promise<Section> {
  const executor = Executor.nodeForkServer(script, ['sandboxed']);
  await using server: ForkServer = await executor.startForkServer();
  const plain = startUnsandboxed();
  const floor: number[] = [];
  const atHome: number[] = [];
  const unsandboxed: number[] = [];
  const messages: number[] = [];
  const ends: number[] = [];
  for (let batch = -1; batch < batches; batch++) {
    const starts = spawnFloor(startsPerBatch, node);
    const startsAtHome = spawnFloor(startsPerBatch, ['/usr/bin/env', ...environment, ...node]);
    for (let i = 0; i < forksPerBatch; i++) {
      const started = performance.now();
      await plain.forkOnce();
      const took = (performance.now() - started) * 1000;
      const { messageUs, endUs } = await firstMessage(new Executor(server));
      if (batch < 0) continue; // warm-up
      unsandboxed.push(took);
      messages.push(messageUs);
      ends.push(endUs);
    }
    if (batch < 0) continue;
    floor.push(...starts);
    atHome.push(...startsAtHome);
  }
  plain.close();
  const floorRow = summarise('floor: node -e 0, empty environment', floor);
  return {
    title: `Node ${process.version}: forked instead of started`,
    rows: [
      floorRow,
      summarise('node -e 0, in the environment of this process', atHome, floorRow),
      summarise('forked, one message, exit; no sandbox', unsandboxed, floorRow),
      summarise('forked and sandboxed: until its first message', messages, floorRow),
      summarise('forked and sandboxed: until its result', ends, floorRow),
    ],
  };
}
