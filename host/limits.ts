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

/** Limits of all processes of a sandboxee together; undefined: none of that kind. */
export interface CgroupValues {
  readonly memoryBytes?: bigint | undefined;
  readonly processes?: bigint | undefined;
  /** Share of one CPU's time: 0.5 is half a CPU, 2 are two whole ones. */
  readonly cpus?: number | undefined;
  /** Directory of the cgroup in which those of sandboxees are made; undefined: the nearest to the host's own. */
  readonly parent?: string | undefined;
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

/** What is 0 in the message is no limit, and nothing runs with none of it. */
function toPositive(method: string, value: number | bigint, unit: string): bigint {
  const limit = toLimit(method, value, unit);
  if (limit === 0n) throw new RangeError(`Limits.${method}: 0 ${unit} are too few for any program`);
  return limit;
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
  readonly #cgroup: Writable<CgroupValues> = {};
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

  /**
   * Memory in bytes of all processes of the sandboxee together, page cache included and swap forbidden (memory.max of
   * cgroup v2): beyond it all of them are killed, SIGNALED with SIGKILL, and the result says so. Where this process has no
   * cgroup v2 that it may divide, the run is a SETUP_ERROR that says why and what to do; so with the next two.
   */
  setCgroupMemory(bytes: number | bigint): this {
    this.#cgroup.memoryBytes = toPositive('setCgroupMemory', bytes, 'bytes');
    return this;
  }

  /** Processes and threads of the sandboxee at once (pids.max of cgroup v2): beyond it EAGAIN. */
  setCgroupPids(count: number | bigint): this {
    this.#cgroup.processes = toPositive('setCgroupPids', count, 'processes');
    return this;
  }

  /**
   * CPU time of all its processes together, as a share of one CPU: 0.5 is half a CPU, 2 are two whole ones (cpu.max of
   * cgroup v2, in every 100 ms). It ends nothing: the sandboxee stands still until its next 100 ms.
   */
  setCgroupCpu(cpus: number): this {
    if (typeof cpus !== 'number' || !(cpus >= 0.01 && cpus <= 10_000)) {
      throw new RangeError(
        `Limits.setCgroupCpu: a share of one CPU from 0.01 to 10000 is needed, not ${cpus}`,
      );
    }
    this.#cgroup.cpus = cpus;
    return this;
  }

  /**
   * The cgroup v2 directory in which those of sandboxees are made: one that was delegated to this user, and holds no
   * process itself. Default: the nearest that lets us, from this process's own cgroup upwards.
   */
  setCgroupParent(directory: string): this {
    if (typeof directory !== 'string' || !directory.startsWith('/') || directory.includes('\0')) {
      throw new TypeError(
        `Limits.setCgroupParent: an absolute path is needed, not ${JSON.stringify(directory)}`,
      );
    }
    this.#cgroup.parent = directory;
    return this;
  }

  /** The cgroup limits as they stand. */
  get cgroup(): CgroupValues {
    return { ...this.#cgroup };
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
