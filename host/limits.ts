// Resource limits of a sandboxee.
import { RlimitStore, shiftHint, toLimit } from './rlimit-store.js';
import { type LimitValues, RlimitSetters } from './rlimits.generated.js';

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

const defaultWalltimeMs = 120_000;
const maxWalltimeMs = 1000 * 60 * 60 * 24 * 365;

/** For what no program runs with none of; among the cgroup's limits, 0 in the request is no limit. */
function toPositive(method: string, value: number | bigint, unit: string): bigint {
  const limit = toLimit(method, value, unit);
  if (limit > 0n) return limit;
  throw new RangeError(`Limits.${method}: 0 ${unit} are too few for any program${shiftHint(unit)}`);
}

/**
 * What a sandboxee may use up. Every limit is set before the sandboxee's first instruction, soft and hard alike, so
 * it cannot raise it again; one above what the host process itself is allowed is cut down to that (getrlimit(2)).
 *
 * Defaults: 1,024 s of CPU, files of at most 8 GiB, 1,024 open files, no core files, 120 s of wall time. Of a fork server
 * only the wall time is limited, and by default it is not: a server is meant to live.
 */
export class Limits extends RlimitSetters {
  readonly #rlimits: RlimitStore;
  readonly #cgroup: Writable<CgroupValues> = {};
  #walltimeMs: number | undefined;

  constructor() {
    const rlimits = new RlimitStore();
    super(rlimits);
    this.#rlimits = rlimits;
  }

  /**
   * From now on to set one is an error, for it would change nothing any more.
   *
   * @internal
   */
  seal(): void {
    this.#rlimits.seal();
  }

  #checkOpen(method: string): void {
    this.#rlimits.checkOpen(method);
  }

  /**
   * Wall time in milliseconds, on the monotonic clock, from the start of the run (its set-up included); 0: none.
   * Beyond it the whole sandbox is killed and the result is TIMEOUT.
   */
  setWalltimeLimitMs(milliseconds: number): this {
    this.#checkOpen('setWalltimeLimitMs');
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
    this.#checkOpen('setCgroupMemory');
    this.#cgroup.memoryBytes = toPositive('setCgroupMemory', bytes, 'bytes');
    return this;
  }

  /** Processes and threads of the sandboxee at once (pids.max of cgroup v2): beyond it EAGAIN. */
  setCgroupPids(count: number | bigint): this {
    this.#checkOpen('setCgroupPids');
    this.#cgroup.processes = toPositive('setCgroupPids', count, 'processes');
    return this;
  }

  /**
   * CPU time of all its processes together, as a share of one CPU: 0.5 is half a CPU, 2 are two whole ones (cpu.max of
   * cgroup v2, in every 100 ms). It ends nothing: the sandboxee stands still until its next 100 ms.
   */
  setCgroupCpu(cpus: number): this {
    this.#checkOpen('setCgroupCpu');
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
    this.#checkOpen('setCgroupParent');
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
    return this.#walltimeMs ?? defaultWalltimeMs;
  }

  /** The wall time as it is for a fork server: 0, no limit, unless one was set. */
  get forkServerWalltimeMs(): number {
    return this.#walltimeMs ?? 0;
  }

  /** The rlimits as they stand. */
  get values(): LimitValues {
    return this.#rlimits.values;
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
