// Comms between the host and a C sandboxee. Each row has its floor in the same run: the same work by plain C at both
// ends of another socket pair. The sandboxee's end is in the same process, under the same policy.
import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type Comms, Executor, PolicyBuilder, Sandbox2, Buffer as SharedBuffer } from '../host/index.js';
import { floorPath } from './floors.js';
import { type Row, type Section, summarise } from './table.js';

const peer = fileURLToPath(new URL('../../build/bench/comms_peer', import.meta.url));
const MiB = 1 << 20;

const policy = new PolicyBuilder()
  .allowStaticStartup()
  .allowSystemMalloc()
  .allowComms()
  .allowExit()
  .allowSyscalls([
    'sendto',
    'recvfrom',
    'sendmsg',
    'recvmsg',
    'mmap',
    'munmap',
    'close',
    'fcntl',
    'fstat',
    'newfstatat',
  ])
  .build();

interface Work {
  /** The order sent to the sandboxee, and the floor for its side. */
  readonly peer: string;
  readonly floor: string;
  readonly size: number;
  readonly count: number;
  readonly batches: number;
}

/** The benchmarked pair, and the socket of the floor's host. */
class Bench {
  constructor(
    readonly comms: Comms,
    readonly floorFd: number,
  ) {}

  async order({ peer: what, count, size }: Work, prefix = ''): Promise<void> {
    const { comms } = this;
    await Promise.all([comms.sendString(prefix + what), comms.sendUint32(count), comms.sendUint32(size)]);
  }

  /** Microseconds: each sample is a round trip, or the whole divided by count. */
  async floor(work: Work): Promise<number[]> {
    await this.order(work, 'raw ');
    const args = [work.floor, String(work.count), String(work.size)];
    const child = spawn(floorPath('comms_floor'), args, {
      stdio: ['ignore', 'pipe', 'inherit', this.floorFd],
    });
    const output = child.stdout === null ? '' : await text(child.stdout);
    const times = output
      .trim()
      .split('\n')
      .map((line) => Number(line) / 1000);
    return times.length === 1 ? times.map((time) => time / work.count) : times;
  }
}

/** Runs the floor and the host's variants in turns, so that a slow second of the machine hits them all. */
async function compare(
  bench: Bench,
  work: Work,
  what: string,
  ways: Record<string, (work: Work) => Promise<number[]>>,
): Promise<Row[]> {
  const floor: number[] = [];
  const samples = Object.keys(ways).map((): number[] => []);
  for (let batch = -1; batch < work.batches; batch++) {
    const floorBatch = await bench.floor(work);
    if (batch >= 0) floor.push(...floorBatch); // the first batch is a warm-up
    for (const [index, way] of Object.values(ways).entries()) {
      await bench.order(work);
      const taken = await way(work);
      if (batch >= 0) samples[index]?.push(...taken);
    }
  }
  const floorRow = summarise(`${what}, floor in C`, floor);
  const rows = Object.keys(ways).map((way, index) => summarise(`  ${way}`, samples[index] ?? [], floorRow));
  return [floorRow, ...rows];
}

async function timed(count: number, run: () => Promise<void>): Promise<number[]> {
  const started = performance.now();
  await run();
  return [((performance.now() - started) * 1000) / count];
}

function roundTrips(bench: Bench): Promise<Row[]> {
  const { comms } = bench;
  return compare(
    bench,
    { peer: 'echo', floor: 'round-trip', size: 4, count: 2000, batches: 10 },
    'round trip of a Uint32',
    {
      '…Sync': async ({ count }) => {
        const times: number[] = [];
        for (let i = 0; i < count; i++) {
          const started = performance.now();
          comms.sendUint32Sync(i);
          comms.recvUint32Sync();
          times.push((performance.now() - started) * 1000);
        }
        return times;
      },
      async: async ({ count }) => {
        const times: number[] = [];
        for (let i = 0; i < count; i++) {
          const started = performance.now();
          void comms.sendUint32(i);
          await comms.recvUint32();
          times.push((performance.now() - started) * 1000);
        }
        return times;
      },
    },
  );
}

/** To the sandboxee: the time until it has received everything. */
function sending(bench: Bench, what: string, work: Omit<Work, 'peer' | 'floor'>): Promise<Row[]> {
  const { comms } = bench;
  const bytes = new Uint8Array(work.size).fill(1);
  const window = Math.max(1, Math.min(1000, Math.floor((16 * MiB) / work.size)));
  return compare(bench, { ...work, peer: 'receive', floor: 'send' }, what, {
    'sendBytes, async': ({ count }) =>
      timed(count, async () => {
        for (let i = 1; i <= count; i++) {
          const sent = comms.sendBytes(bytes);
          if (i % window === 0 || i === count) await sent; // backpressure
        }
        await comms.recvBarrier();
      }),
    sendBytesSync: ({ count }) =>
      timed(count, async () => {
        for (let i = 0; i < count; i++) comms.sendBytesSync(bytes);
        comms.recvBarrierSync();
      }),
  });
}

/** From the sandboxee. */
function receiving(
  bench: Bench,
  what: string,
  work: Omit<Work, 'peer' | 'floor'>,
  peer = 'send',
): Promise<Row[]> {
  const { comms } = bench;
  const target = new Uint8Array(work.size);
  return compare(bench, { ...work, peer, floor: 'receive' }, what, {
    'recvBytes, async': ({ count }) =>
      timed(count, async () => {
        for (let i = 0; i < count; i++) await comms.recvBytes();
      }),
    recvBytesSync: ({ count }) =>
      timed(count, async () => {
        for (let i = 0; i < count; i++) comms.recvBytesSync();
      }),
    'recvBytesInto, async': ({ count }) =>
      timed(count, async () => {
        for (let i = 0; i < count; i++) await comms.recvBytesInto(target);
      }),
    recvBytesIntoSync: ({ count }) =>
      timed(count, async () => {
        for (let i = 0; i < count; i++) comms.recvBytesIntoSync(target);
      }),
  });
}

function fds(bench: Bench): Promise<Row[]> {
  const { comms } = bench;
  return compare(bench, { peer: 'fd', floor: 'fd', size: 0, count: 200, batches: 20 }, 'one fd sent', {
    sendFdSync: async ({ count }) => {
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        const started = performance.now();
        comms.sendFdSync(0);
        times.push((performance.now() - started) * 1000);
      }
      comms.recvBarrierSync();
      return times;
    },
    'sendFd, async': ({ count }) =>
      timed(count, async () => {
        for (let i = 0; i < count; i++) void comms.sendFd(0);
        await comms.flush();
      }).then(async (times) => {
        await comms.recvBarrier();
        return times;
      }),
  });
}

function buffers(bench: Bench): Promise<Row[]> {
  const { comms } = bench;
  const work = { peer: 'buffer', floor: 'buffer', size: 64 * MiB, count: 1, batches: 15 };
  return compare(bench, work, 'Buffer of 64 MiB', {
    'created, sent, filled, read': ({ size }) =>
      timed(1, async () => {
        using buffer = SharedBuffer.create(size);
        comms.sendFdSync(buffer);
        comms.recvBarrierSync();
        const words = new Float64Array(buffer.data.buffer, 0, size / 8);
        let same = 0;
        const first = words[0];
        for (let at = 0; at < words.length; at += 8) if (words[at] === first) same += 1;
        if (same !== size / 64) throw new Error('the buffer is not what the sandboxee wrote');
      }),
  });
}

async function withBench(run: (bench: Bench) => Promise<Section>): Promise<Section> {
  const executor = new Executor(peer);
  const floorFd = executor.ipc.receiveFd(3);
  await using sandbox = new Sandbox2(executor, policy);
  if (!(await sandbox.runAsync())) throw new Error(String(await sandbox.awaitResult()));
  try {
    return await run(new Bench(sandbox.comms, floorFd));
  } finally {
    closeSync(floorFd);
  }
}

/** The benchmarks of latency. */
export function benchLatency(where: string): Promise<Section> {
  return withBench(async (bench) => ({
    title: `Comms with a C sandboxee, ${where}; µs each`,
    rows: [...(await roundTrips(bench)), ...(await fds(bench))],
  }));
}

/** The benchmarks of throughput, on all cores. */
export function benchThroughput(): Promise<Section> {
  return withBench(async (bench) => ({
    title: 'Comms with a C sandboxee, one way; µs each',
    rows: [
      ...(await sending(bench, '64 bytes to it', { size: 64, count: 200_000, batches: 8 })),
      ...(await receiving(
        bench,
        '64 bytes from it, corked',
        { size: 64, count: 200_000, batches: 8 },
        'send corked',
      )),
      ...(await receiving(bench, '64 bytes from it', { size: 64, count: 200_000, batches: 8 })),
      ...(await sending(bench, '1 MiB to it', { size: MiB, count: 500, batches: 8 })),
      ...(await receiving(bench, '1 MiB from it', { size: MiB, count: 500, batches: 8 })),
      ...(await buffers(bench)),
    ],
  }));
}
