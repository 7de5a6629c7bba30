// Resource limits of a sandboxee.
import { RlimitStore, shiftHint, toLimit } from './rlimit-store.js';
import { type LimitValues, RlimitSetters } from './rlimits.generated.js';

/** Limits of all processes of a sandboxee together; undefined: no such limit. */
export interface CgroupValues {
  readonly memoryBytes?: bigint | undefined;
  readonly processes?: bigint | undefined;
  /** Share of one CPU's time: 0.5 is half a CPU, 2 are two whole ones. */
  readonly cpus?: number | undefined;
  /**
   * The directory of the cgroup in which the sandboxees' cgroups are made; undefined: the nearest to the host's own.
   */
  readonly parent?: string | undefined;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const defaultWalltimeMs = 120_000;
const maxWalltimeMs = 1000 * 60 * 60 * 24 * 365;

/** For limits with which no program could run at 0. In the cgroup limits of a request, 0 means no limit. */
function toPositive(method: string, value: number | bigint, unit: string): bigint {
  const limit = toLimit(method, value, unit);
  if (limit > 0n) return limit;
  throw new RangeError(`Limits.${method}: 0 ${unit} are too few for any program${shiftHint(unit)}`);
}

/**
 * The limits of what a sandboxee may use. Every limit is set before the sandboxee's first instruction, soft and hard
 * alike, so it cannot raise it again. A limit above what the host process itself may use is reduced to that
 * (getrlimit(2)).
 *
 * Defaults: 1,024 s of CPU, files of at most 8 GiB, 1,024 open files, no core files, 120 s of walltime. For a fork
 * server only the walltime is limited, and not by default: a server is meant to live.
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
   * From now on setting a limit is an error, because it would have no effect.
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
   * Walltime in milliseconds, on the monotonic clock, from the start of the run (its set-up included); 0: none. Beyond
   * it the whole sandbox is killed and the result is TIMEOUT.
   */
  setWalltimeLimitMs(milliseconds: number): this {
    this.#checkOpen('setWalltimeLimitMs');
    checkWalltime('Limits.setWalltimeLimitMs', milliseconds);
    this.#walltimeMs = milliseconds;
    return this;
  }

  /**
   * Memory in bytes of all processes of the sandboxee together, page cache included and swap forbidden (memory.max of
   * cgroup v2). Beyond it all of them are killed, SIGNALED with SIGKILL, and the result says so. If this process has no
   * cgroup v2 that it may divide, the run is a SETUP_ERROR that says why and what to do; the same holds for the next
   * two limits.
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
   * cgroup v2, in every 100 ms). It does not end the sandboxee: it stands still until its next 100 ms.
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
   * The cgroup v2 directory in which the sandboxees' cgroups are made: one that was delegated to this user, and has no
   * process itself. Default: the nearest in which that is possible, from this process's own cgroup upwards.
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

  /** The present cgroup limits. */
  get cgroup(): CgroupValues {
    return { ...this.#cgroup };
  }

  get walltimeMs(): number {
    return this.#walltimeMs ?? defaultWalltimeMs;
  }

  /** The walltime for a fork server: 0, no limit, unless one was set. */
  get forkServerWalltimeMs(): number {
    return this.#walltimeMs ?? 0;
  }

  /** The present rlimits. */
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
