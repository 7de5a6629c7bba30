// Runs strings of JavaScript that nobody trusts, each in a forked, sandboxed Node process of its own.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  CommsError,
  Executor,
  type ForkServer,
  type Policy,
  PolicyBuilder,
  type Result,
  Sandbox2,
} from '../../host/index.js';

const runner = fileURLToPath(new URL('runner.js', import.meta.url));
const MiB = 2 ** 20;
/** mmap(2) */
const MAP_SHARED = 0x01;
/** Objects, strings, numbers … in an answer: many more would take the host's time. */
const answerValues = 100_000;

/** For Node to start, and the first child. */
const startMs = 60_000;

/**
 * How much of a new object's memory V8 may have at once, in MiB: the heap has three such spaces beside memoryMiB. V8 takes
 * powers of two.
 */
const semiSpaceMiB = (memoryMiB: number) =>
  2 ** Math.floor(Math.log2(Math.min(Math.max(memoryMiB / 8, 1), 16)));

/**
 * What a process may use beside what its fork server had, as a multiple of memoryMiB. A full heap ends in V8's own words only
 * if the kernel refuses it nothing before: the heap itself, its three spaces for new objects, and an array that grows,
 * which is there twice for a moment, half as large again the second time. The rest is for what lies outside of the heap.
 */
const dataFactor = 4;

export interface UntrustedLimits {
  /** Of the JavaScript heap. With what lies outside of it (array buffers) a process has at most four times as much. */
  readonly memoryMiB: number;
  readonly cpuSeconds: number;
  readonly wallMs: number;
  /** Of one answer, which is memory of the host. Default: 1 MiB. */
  readonly answerBytes?: number;
}

/** What became of the code: a value (JSON's), what it threw, or the end of its process (a limit, a violation …). */
export type Outcome =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'thrown'; readonly message: string }
  | { readonly kind: 'ended'; readonly result: Result };

/**
 * No mount at all: there is not one file to be found. And no shared memory, which RLIMIT_DATA does not count: neither of a
 * file nor of none.
 */
const policy: Policy = new PolicyBuilder()
  .allowNode()
  .blockSyscallWithErrno('memfd_create', 'EPERM', { override: true })
  .syscall('mmap', (arg) => arg(3).hasNone(MAP_SHARED), 'allow', { override: true })
  .blockSyscallWithErrno('mmap', 'EPERM')
  .build();

/** Bytes of private memory that the fork server has mapped, which its children start with. */
function mappedBytes(pid: number): number {
  const kiB = /^VmData:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kiB === undefined) throw new Error(`/proc/${pid}/status has no VmData`);
  return Number(kiB) * 1024;
}

/** Throws TypeError where a value has no JSON. */
function toJson([name, value]: readonly [string, unknown]): readonly [string, string] {
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined)
    throw new TypeError(`UntrustedRunner.run: the value ${name} cannot be written as JSON`);
  return [name, json];
}

export class UntrustedRunner implements AsyncDisposable {
  readonly #server: ForkServer;
  readonly #limits: UntrustedLimits;
  #dataLimit: number | undefined;

  private constructor(server: ForkServer, limits: UntrustedLimits) {
    this.#server = server;
    this.#limits = limits;
  }

  /** Starts Node once; every run after that is a fork of it. */
  static async start(limits: UntrustedLimits): Promise<UntrustedRunner> {
    const { memoryMiB } = limits;
    const execArgv = [
      `--max-old-space-size=${memoryMiB}`,
      `--max-semi-space-size=${semiSpaceMiB(memoryMiB)}`,
    ];
    const executor = Executor.nodeForkServer(runner, [], { execArgv });
    const made = new UntrustedRunner(await executor.startForkServer(), limits);
    try {
      // Once it has forked it is all that its children start with, and not before. The first run waits for its start.
      const first = await made.#runWithin(startMs, '1', {});
      if (first.kind !== 'value') {
        throw new Error(`no child: ${first.kind === 'ended' ? first.result : first.message}`);
      }
      made.#dataLimit = mappedBytes(made.#server.pid) + dataFactor * memoryMiB * MiB;
      return made;
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Runs code, a script whose last expression is its value (or a promise of it), with these values as its globals. Throws
   * TypeError for a value that JSON has not, RangeError where code and values would not leave it much of its memory.
   */
  run(code: string, values: Readonly<Record<string, unknown>> = {}): Promise<Outcome> {
    return this.#runWithin(this.#limits.wallMs, code, values);
  }

  async #runWithin(
    wallMs: number,
    code: string,
    values: Readonly<Record<string, unknown>>,
  ): Promise<Outcome> {
    const job = { code, values: Object.entries(values).map(toJson) };
    const { memoryMiB, cpuSeconds, answerBytes = MiB } = this.#limits;
    const size = job.values.reduce((sum, [, json]) => sum + json.length, code.length);
    if (size > (memoryMiB * MiB) / 8) {
      throw new RangeError(
        `UntrustedRunner.run: code and values of ${size} characters, for ${memoryMiB} MiB`,
      );
    }
    const executor = new Executor(this.#server);
    executor.limits.setRlimitCpu(cpuSeconds).setRlimitFsize(0).setWalltimeLimitMs(wallMs);
    if (this.#dataLimit !== undefined) executor.limits.setRlimitData(this.#dataLimit);
    await using sandbox = new Sandbox2(executor, policy);
    const { comms } = sandbox;
    try {
      if (await sandbox.runAsync()) {
        comms.payloadLimit = answerBytes;
        comms.valueLimit = answerValues;
        await comms.recvString();
        await comms.sendValue(job);
        const outcome = outcomeOf(await comms.recvValue());
        if (outcome !== undefined) return outcome;
        sandbox.kill();
      }
    } catch (error) {
      if (!(error instanceof CommsError)) throw error;
      if (error.code === 'TOO_LARGE')
        return { kind: 'thrown', message: `the answer is too large: ${error.message}` };
      if (error.code !== 'CLOSED') sandbox.kill(); // it speaks nonsense; otherwise it has ended, and the result tells why
    }
    return { kind: 'ended', result: await sandbox.awaitResult() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}

/** The answer is the untrusted code's word, whatever form it has. */
function outcomeOf(answer: unknown): Outcome | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined;
  const { value, error } = answer as { value?: unknown; error?: unknown };
  return typeof error === 'string' ? { kind: 'thrown', message: error } : { kind: 'value', value };
}
