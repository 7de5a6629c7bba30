// Round trip of a Uint32 between the host and a C sandboxee.
import { fileURLToPath } from 'node:url';
import { Executor, PolicyBuilder, Sandbox2 } from '../host/index.js';
import { roundTripFloor } from './floors.js';
import { type Section, summarise } from './table.js';

const echo = fileURLToPath(new URL('../../build/sandboxees/echo', import.meta.url));
const batches = 10;
const perBatch = 2000;

export async function benchRoundTrip(where: string): Promise<Section> {
  const policy = new PolicyBuilder()
    .allowStaticStartup()
    .allowSystemMalloc()
    .allowComms()
    .allowExit()
    .build();
  await using sandbox = new Sandbox2(new Executor(echo), policy);
  if (!(await sandbox.runAsync())) throw new Error(String(await sandbox.awaitResult()));
  const { comms } = sandbox;
  const floor: number[] = [];
  const sync: number[] = [];
  const async: number[] = [];
  for (let batch = -1; batch < batches; batch++) {
    const floorBatch = roundTripFloor(perBatch);
    const syncBatch: number[] = [];
    const asyncBatch: number[] = [];
    for (let i = 0; i < perBatch; i++) {
      const started = performance.now();
      comms.sendUint32Sync(i);
      comms.recvUint32Sync();
      syncBatch.push((performance.now() - started) * 1000);
    }
    for (let i = 0; i < perBatch; i++) {
      const started = performance.now();
      void comms.sendUint32(i);
      await comms.recvUint32();
      asyncBatch.push((performance.now() - started) * 1000);
    }
    if (batch < 0) continue; // warm-up
    floor.push(...floorBatch);
    sync.push(...syncBatch);
    async.push(...asyncBatch);
  }
  const floorRow = summarise('floor: send + recv between two C processes', floor);
  return {
    title: `Round trip of a Uint32, ${where}`,
    rows: [
      floorRow,
      summarise('sandwire, …Sync', sync, floorRow),
      summarise('sandwire, async', async, floorRow),
    ],
  };
}
