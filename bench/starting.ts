// Starting and ending a sandboxee: from the call in the host to the final result in the host.
import { execFileSync } from 'node:child_process';
import { Executor, type Policy, PolicyBuilder, Sandbox2 } from '../host/index.js';
import { forkServer, isInstalled, nothing, spawnFloor } from './floors.js';
import { type Section, summarise } from './table.js';

const batches = 15;
const perBatch = 20;

const policy = new PolicyBuilder().allowStaticStartup().allowExit().build();
let hosts = 0;

/** A policy that was never used before: its sandbox cannot have been made ahead. */
function unusedPolicy(): Policy {
  hosts += 1;
  return new PolicyBuilder().allowStaticStartup().allowExit().setHostname(`host-${hosts}`).build();
}

async function runOnce(used: Policy = policy, executor = new Executor(nothing)): Promise<void> {
  const sandbox = new Sandbox2(executor, used);
  const result = await sandbox.run();
  await sandbox[Symbol.asyncDispose]();
  if (!result.isOk) throw new Error(String(result));
}

async function timesOf(
  count: number,
  nextPolicy: () => Policy,
  nextExecutor = () => new Executor(nothing),
): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const used = nextPolicy();
    const started = performance.now();
    await runOnce(used, nextExecutor());
    times.push((performance.now() - started) * 1000);
  }
  return times;
}

async function inParallel(total: number, width: number): Promise<number> {
  const started = performance.now();
  let left = total;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      await runOnce();
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return (total * 1000) / (performance.now() - started);
}

/** Floor, sandwire and peers take turns in small batches, so that a slow second of the machine hits them all. */
export async function benchStarting(): Promise<Section> {
  const floor: number[] = [];
  const fresh: number[] = [];
  const prepared: number[] = [];
  const forked: number[] = [];
  const bubblewrap: number[] = [];
  const bwrap = ['--unshare-all', '--ro-bind', '/', '/', nothing];
  const hasBubblewrap = isInstalled('bwrap');
  await using server = await new Executor(forkServer).startForkServer();
  const forkedExecutor = () => new Executor(server);
  const forkedPolicy = new PolicyBuilder().allowComms().allowExit().allowSystemMalloc().build();
  await timesOf(perBatch, () => forkedPolicy, forkedExecutor);
  for (let i = 0; i < perBatch; i++) await runOnce(); // the supervisor, and the JIT
  for (let batch = 0; batch < batches; batch++) {
    floor.push(...spawnFloor(perBatch, [nothing]));
    fresh.push(...(await timesOf(perBatch, unusedPolicy)));
    prepared.push(...(await timesOf(perBatch, () => policy)));
    forked.push(...(await timesOf(perBatch, () => forkedPolicy, forkedExecutor)));
    if (hasBubblewrap) {
      const path = execFileSync('which', ['bwrap'], { encoding: 'utf8' }).trim();
      bubblewrap.push(...spawnFloor(perBatch, [path, ...bwrap]));
    }
  }
  const floorRow = summarise('floor: posix_spawn + wait from C', floor);
  const rows = [
    floorRow,
    summarise('sandwire, all fresh, from TypeScript', fresh, floorRow),
    summarise('sandwire, sandbox made ahead', prepared, floorRow),
    summarise('sandwire, forked by a C fork server, sandbox made ahead', forked, floorRow),
  ];
  if (hasBubblewrap) rows.push(summarise('bubblewrap --unshare-all (no seccomp)', bubblewrap, floorRow));
  else process.stdout.write('(bubblewrap is not installed, so it is not in the table)\n');
  for (const width of [1, 8]) {
    const rate = await inParallel(400, width);
    process.stdout.write(`sandwire, ${width} at a time: ${rate.toFixed(0)} runs per second\n`);
  }
  return { title: 'Starting and ending a sandboxee', rows };
}
