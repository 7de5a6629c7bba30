// How long a thread stands still in system calls, as the kernel says. Where a machine is busy a thread that could run waits
// for a processor: that is not counted, and so nothing here depends on how fast or how busy a machine is.
import { existsSync, readFileSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** Numbers of x86-64 and of aarch64. */
const callNames: Record<string, Record<number, string>> = {
  x64: {
    0: 'read',
    1: 'write',
    3: 'close',
    5: 'fstat',
    9: 'mmap',
    10: 'mprotect',
    11: 'munmap',
    12: 'brk',
    28: 'madvise',
    46: 'sendmsg',
    47: 'recvmsg',
    48: 'shutdown',
    54: 'setsockopt',
    77: 'ftruncate',
    202: 'futex',
    219: 'restart_syscall',
    217: 'getdents64',
    232: 'epoll_wait',
    281: 'epoll_pwait',
    292: 'dup3',
    332: 'statx',
    441: 'epoll_pwait2',
  },
  arm64: {
    22: 'epoll_pwait',
    24: 'dup3',
    46: 'ftruncate',
    57: 'close',
    61: 'getdents64',
    63: 'read',
    64: 'write',
    80: 'fstat',
    98: 'futex',
    128: 'restart_syscall',
    208: 'setsockopt',
    210: 'shutdown',
    211: 'sendmsg',
    212: 'recvmsg',
    214: 'brk',
    215: 'munmap',
    222: 'mmap',
    226: 'mprotect',
    233: 'madvise',
    291: 'statx',
    441: 'epoll_pwait2',
  },
};

/** In these an event loop waits for events, and V8 for its own threads. */
const waits = /^(epoll_|futex|restart_syscall)/;
/** In these it waits for the lock of its own address space, which its other threads take as well. */
const ownLock = /^(mmap|munmap|mprotect|madvise|brk)/;

export interface Blocked {
  /** The longest, in milliseconds, to the millisecond. */
  readonly ms: number;
  /** In this call. */
  readonly call: string;
  /** How often the thread was looked at. */
  readonly looks: number;
}

/** Why calls cannot be watched here; undefined: they can. */
export function whyUnwatchable(pid: number): string | undefined {
  for (const file of ['syscall', 'schedstat']) {
    const path = `/proc/${pid}/task/${pid}/${file}`;
    if (!existsSync(path)) return `this kernel has no ${path}`;
    try {
      readFileSync(path);
    } catch (error) {
      return String(error);
    }
  }
  return process.arch in callNames ? undefined : `the system calls of ${process.arch} are not known here`;
}

/** The processor time that this thread has used, in milliseconds: also of what it does in the kernel, such as freeing pages. */
export function cpuMs(): number {
  return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e6;
}

function look(pid: number): { readonly call: string; readonly key: string } | undefined {
  const text = readFileSync(`/proc/${pid}/task/${pid}/syscall`, 'latin1');
  const number = Number(text.split(' ')[0]);
  if (!Number.isInteger(number) || number < 0) return undefined; // it runs, or waits for a page of its memory
  const call = callNames[process.arch]?.[number] ?? String(number);
  if (waits.test(call) || ownLock.test(call)) return undefined;
  // How often it has been given a processor says whether it is the same wait as before.
  const turns = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ')[2];
  return { call, key: `${number} ${turns}` };
}

interface Watching {
  readonly pid: number;
  readonly stop: Int32Array;
}

function watch({ pid, stop }: Watching): Blocked {
  let longest = { ms: 0, call: 'none' };
  let looks = 0;
  let since = 0;
  let key = '';
  while (Atomics.wait(stop, 0, 0, 1) === 'timed-out') {
    looks++;
    const blocked = look(pid);
    const now = performance.now();
    if (blocked === undefined || blocked.key !== key) since = now;
    key = blocked?.key ?? '';
    if (blocked !== undefined && now - since > longest.ms) longest = { ms: now - since, call: blocked.call };
  }
  return { ...longest, ms: Math.round(longest.ms), looks };
}

/** Watches the first thread of a process, this one's unless told otherwise, until the function that it resolves with is called. */
export async function watchBlockedCalls(pid = process.pid): Promise<() => Promise<Blocked>> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL(import.meta.url), { workerData: { pid, stop } satisfies Watching });
  await new Promise((resolve) => worker.once('message', resolve));
  const end = new Promise<Blocked>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  return () => {
    Atomics.store(stop, 0, 1);
    Atomics.notify(stop, 0);
    return end;
  };
}

if (!isMainThread && parentPort !== null && (workerData as Watching | null)?.stop instanceof Int32Array) {
  parentPort.postMessage('watching');
  parentPort.postMessage(watch(workerData as Watching));
}
