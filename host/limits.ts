// Resource limits of a sandboxee.

/** A limit in its own unit; undefined: as the host process has it. */
export interface LimitValues {
  readonly addressSpaceBytes?: bigint | undefined;
  readonly cpuSeconds?: bigint | undefined;
  readonly fileSizeBytes?: bigint | undefined;
  readonly openFiles?: bigint | undefined;
  readonly coreBytes?: bigint | undefined;
  readonly processes?: bigint | undefined;
  readonly stackBytes?: bigint | undefined;
  readonly dataBytes?: bigint | undefined;
  readonly memlockBytes?: bigint | undefined;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const maxWalltimeMs = 1000 * 60 * 60 * 24 * 365;

function toLimit(method: string, value: number | bigint, unit: string): bigint {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new RangeError(`Limits.${method}: a whole number of ${unit} is needed, not ${value}`);
  }
  if (value < 0) throw new RangeError(`Limits.${method}: ${value} ${unit} is negative`);
  return BigInt(value);
}

/**
 * What a sandboxee may use up. Every limit is set before the sandboxee's first instruction, soft and hard alike, so
 * it cannot raise it again; one above what the host process itself is allowed is cut down to that (getrlimit(2)).
 *
 * Defaults: 1,024 s of CPU, files of at most 8 GiB, 1,024 open files, no core files, 120 s of wall time.
 */
export class Limits {
  readonly #values: Writable<LimitValues> = {
    cpuSeconds: 1024n,
    fileSizeBytes: 8n << 30n,
    openFiles: 1024n,
    coreBytes: 0n,
  };
  #walltimeMs = 120_000;

  /** Address space in bytes (RLIMIT_AS): beyond it mmap and brk fail with ENOMEM, and a growing stack is SIGSEGV. */
  setRlimitAs(bytes: number | bigint): this {
    this.#values.addressSpaceBytes = toLimit('setRlimitAs', bytes, 'bytes');
    return this;
  }

  /** CPU time in seconds (RLIMIT_CPU): beyond it the sandboxee is killed. */
  setRlimitCpu(seconds: number | bigint): this {
    this.#values.cpuSeconds = toLimit('setRlimitCpu', seconds, 'seconds');
    return this;
  }

  /** Size of a file it may write, in bytes (RLIMIT_FSIZE): beyond it SIGXFSZ. */
  setRlimitFsize(bytes: number | bigint): this {
    this.#values.fileSizeBytes = toLimit('setRlimitFsize', bytes, 'bytes');
    return this;
  }

  /** One more than the highest fd number (RLIMIT_NOFILE): beyond it EMFILE. */
  setRlimitNofile(count: number | bigint): this {
    this.#values.openFiles = toLimit('setRlimitNofile', count, 'files');
    return this;
  }

  /** Size of a core file in bytes (RLIMIT_CORE). */
  setRlimitCore(bytes: number | bigint): this {
    this.#values.coreBytes = toLimit('setRlimitCore', bytes, 'bytes');
    return this;
  }

  /** Processes and threads of the sandboxee's kernel uid in its user namespace (RLIMIT_NPROC): beyond it EAGAIN. */
  setRlimitNproc(count: number | bigint): this {
    this.#values.processes = toLimit('setRlimitNproc', count, 'processes');
    return this;
  }

  /** Stack of the main thread in bytes (RLIMIT_STACK). */
  setRlimitStack(bytes: number | bigint): this {
    this.#values.stackBytes = toLimit('setRlimitStack', bytes, 'bytes');
    return this;
  }

  /** Data segment and private writable mappings in bytes (RLIMIT_DATA). */
  setRlimitData(bytes: number | bigint): this {
    this.#values.dataBytes = toLimit('setRlimitData', bytes, 'bytes');
    return this;
  }

  /** Locked memory in bytes (RLIMIT_MEMLOCK). */
  setRlimitMemlock(bytes: number | bigint): this {
    this.#values.memlockBytes = toLimit('setRlimitMemlock', bytes, 'bytes');
    return this;
  }

  /**
   * Wall time in milliseconds, on the monotonic clock, from the start of the run (its set-up included); 0: none.
   * Beyond it the whole sandbox is killed and the result is TIMEOUT.
   */
  setWalltimeLimitMs(milliseconds: number): this {
    checkWalltime('Limits.setWalltimeLimitMs', milliseconds);
    this.#walltimeMs = milliseconds;
    return this;
  }

  get walltimeMs(): number {
    return this.#walltimeMs;
  }

  /** The rlimits as they stand. */
  get values(): LimitValues {
    return { ...this.#values };
  }
}

/** Throws RangeError unless it is a number of milliseconds from 0 to a year. */
export function checkWalltime(method: string, milliseconds: number): void {
  if (!Number.isInteger(milliseconds) || milliseconds < 0 || milliseconds > maxWalltimeMs) {
    throw new RangeError(
      `${method}: a whole number of milliseconds from 0 (no limit) to ${maxWalltimeMs} is needed, not ${milliseconds}`,
    );
  }
}
