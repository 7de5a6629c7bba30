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

export interface UntrustedLimits {
  /** Of the JavaScript heap, and again of what lies outside of it (array buffers). */
  readonly memoryMiB: number;
  readonly cpuSeconds: number;
  readonly wallMs: number;
}

/** What became of the code: a value (JSON's), what it threw, or the end of its process (a limit, a violation …). */
export type Outcome =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'thrown'; readonly message: string }
  | { readonly kind: 'ended'; readonly result: Result };

/** Bytes of private memory that the fork server has mapped, which its children start with. */
function mappedBytes(pid: number): number {
  const kiB = /^VmData:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kiB ?? 0) * 1024;
}

export class UntrustedRunner implements AsyncDisposable {
  readonly #server: ForkServer;
  readonly #limits: UntrustedLimits;
  // No mount at all: there is not one file to be found.
  readonly #policy: Policy = new PolicyBuilder().allowNode().build();

  private constructor(server: ForkServer, limits: UntrustedLimits) {
    this.#server = server;
    this.#limits = limits;
  }

  /** Starts Node once; every run after that is a fork of it. */
  static async start(limits: UntrustedLimits): Promise<UntrustedRunner> {
    const execArgv = [`--max-old-space-size=${limits.memoryMiB}`];
    const executor = Executor.nodeForkServer(runner, [], { execArgv });
    return new UntrustedRunner(await executor.startForkServer(), limits);
  }

  /** Runs code, a script whose last expression is its value (or a promise of it), with these values as its globals. */
  async run(code: string, values: Readonly<Record<string, unknown>> = {}): Promise<Outcome> {
    const executor = new Executor(this.#server);
    executor.limits
      .setRlimitData(mappedBytes(this.#server.pid) + this.#limits.memoryMiB * MiB)
      .setRlimitCpu(this.#limits.cpuSeconds)
      .setWalltimeLimitMs(this.#limits.wallMs);
    await using sandbox = new Sandbox2(executor, this.#policy);
    const { comms } = sandbox;
    comms.payloadLimit = this.#limits.memoryMiB * MiB;
    try {
      if (await sandbox.runAsync()) {
        await comms.recvString();
        const json = Object.entries(values).map(([name, value]) => [name, JSON.stringify(value)] as const);
        await comms.sendValue({ code, values: Object.fromEntries(json) });
        const answer = await comms.recvValue();
        const outcome = outcomeOf(answer);
        if (outcome !== undefined) return outcome;
        sandbox.kill();
      }
    } catch (error) {
      if (!(error instanceof CommsError)) throw error;
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
  const { json, error } = (answer ?? {}) as { json?: unknown; error?: unknown };
  if (typeof error === 'string') return { kind: 'thrown', message: error };
  if (json === undefined) return { kind: 'value', value: undefined };
  if (typeof json !== 'string') return undefined;
  try {
    return { kind: 'value', value: JSON.parse(json) };
  } catch {
    return undefined;
  }
}
