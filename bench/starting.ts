// Starting and ending a sandboxee: from the call in the host to the final result in the host.
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Executor, type Policy, PolicyBuilder, Sandbox2 } from '../host/index.js';
import { forkServer, isInstalled, nothing, spawnFloor, violate, violationFloor } from './floors.js';
import { type Figure, type Section, summarise } from './table.js';

const batches = 15;
const perBatch = 20;

const policy = new PolicyBuilder().allowStaticStartup().allowExit().build();
/** The policy of the program that violates. */
const violated = (stackTrace: boolean) =>
  new PolicyBuilder()
    .allowStaticStartup()
    .allowExit()
    .allowTime()
    .allowWrite()
    .collectStacktracesOnViolation(stackTrace)
    .build();
const violatedUntraced = violated(false);
const violatedTraced = violated(true);
const unfollowed = new PolicyBuilder()
  .allowStaticStartup()
  .allowExit()
  .collectStacktracesOnSignal(false)
  .build();
let hosts = 0;

/** A policy that was never used before, so that its sandbox cannot be prewarmed. */
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

/** Runs per second, width at a time. */
async function rate(total: number, width: number, start: () => Promise<void>): Promise<number> {
  const started = performance.now();
  let left = total;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      await start();
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return (total * 1000) / (performance.now() - started);
}

/** The same program, started by Node itself. */
function spawnOnce(): Promise<void> {
  return new Promise((resolve, reject) => {
    spawn(nothing, [], { stdio: 'ignore', env: {} })
      .once('error', reject)
      .once('exit', () => resolve());
  });
}

/** The time from the violating call to the result in the host. */
async function violationTimes(count: number, used: Policy): Promise<number[]> {
  const times: number[] = [];
  const file = path.join(tmpdir(), `sandwire-bench-${process.pid}`);
  for (let i = 0; i < count; i++) {
    const executor = new Executor(violate, ['violate'], { stdio: { stdout: { file } } });
    const sandbox = new Sandbox2(executor, used);
    const result = await sandbox.run();
    const known = process.hrtime.bigint(); // CLOCK_MONOTONIC, too
    await sandbox[Symbol.asyncDispose]();
    if (result.finalStatus !== 'VIOLATION') throw new Error(String(result));
    times.push(Number(known - readFileSync(file).readBigInt64LE()) / 1000);
  }
  rmSync(file);
  return times;
}

/** Floor, sandwire and peers take turns in small batches, so that a slow second of the machine hits them all. */
export async function benchStarting(): Promise<Section> {
  const floor: number[] = [];
  const fresh: number[] = [];
  const prepared: number[] = [];
  const forked: number[] = [];
  const bubblewrap: number[] = [];
  const violationsFloor: number[] = [];
  const violations: number[] = [];
  const traced: number[] = [];
  const notFollowed: number[] = [];
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
    violationsFloor.push(...violationFloor(perBatch));
    violations.push(...(await violationTimes(perBatch, violatedUntraced)));
    traced.push(...(await violationTimes(perBatch, violatedTraced)));
    notFollowed.push(...(await timesOf(perBatch, () => unfollowed)));
    if (hasBubblewrap) {
      const command = execFileSync('which', ['bwrap'], { encoding: 'utf8' }).trim();
      bubblewrap.push(...spawnFloor(perBatch, [command, ...bwrap]));
    }
  }
  const floorRow = summarise('floor: posix_spawn + wait from C', floor);
  const rows = [
    floorRow,
    summarise('sandwire, all fresh, from TypeScript', fresh, floorRow),
    summarise('sandwire, prewarmed sandbox', prepared, floorRow),
    summarise('sandwire, prewarmed sandbox, no stack trace of crashes', notFollowed, floorRow),
    summarise('sandwire, forked by a C fork server, prewarmed sandbox', forked, floorRow),
  ];
  const killed = summarise('floor: a call that kills, until waitpid knows, from C', violationsFloor);
  rows.push(
    killed,
    summarise('sandwire, a violation until its result is here, no stack', violations, killed),
    summarise('sandwire, the same with its stack', traced, killed),
  );
  if (hasBubblewrap) rows.push(summarise('bubblewrap --unshare-all (no seccomp)', bubblewrap, floorRow));
  else process.stdout.write('(bubblewrap is not installed, so it is not in the table)\n');
  const figures: Figure[] = [];
  for (const width of [1, 8]) {
    const spawned = await rate(400, width, spawnOnce);
    figures.push({ what: `floor: child_process.spawn, ${width} at a time`, value: spawned, unit: 'runs/s' });
    figures.push({
      what: `sandwire, ${width} at a time`,
      value: await rate(400, width, runOnce),
      unit: 'runs/s',
    });
  }
  return { title: 'Starting and ending a sandboxee', rows, figures };
}
