// What whole parts of a program do: C library start-up, memory allocators, runtimes. Checked by running programs of the
// machine under them (test/policy/programs.test.ts).
import { WireFd } from '../../../protocol/wire.generated.js';
import type { ArgumentOf } from '../arguments.js';
import type { Condition } from '../conditions.js';
import * as n from '../tables/numbers.js';
import * as families from './families.js';
import type { Preset } from './preset.js';

const rw = n.PROT_READ | n.PROT_WRITE;
const rx = n.PROT_READ | n.PROT_EXEC;
const anonymous = n.MAP_PRIVATE | n.MAP_ANONYMOUS;

/** Any of these pairs of protection and flags. */
const mapping =
  (...pairs: readonly (readonly [protection: number, ...flags: number[]])[]) =>
  (arg: ArgumentOf): Condition => ({
    kind: 'any',
    of: pairs.map(([protection, ...flags]) => ({
      kind: 'all',
      of: [arg(2).eq(protection), arg(3).in(...flags)],
    })),
  });

const signalMask =
  (...how: number[]) =>
  (arg: ArgumentOf): Condition =>
    arg(0).in(...how);

export const systemMalloc: Preset = {
  allow: ['munmap', 'brk'],
  when: [
    ['mremap', (arg) => arg(3).eq(n.MREMAP_MAYMOVE)],
    [
      'mmap',
      mapping(
        [rw, anonymous, anonymous | n.MAP_NORESERVE],
        // musl puts a guard page behind the break.
        [n.PROT_NONE, anonymous, anonymous | n.MAP_NORESERVE, anonymous | n.MAP_FIXED],
      ),
    ],
    // Arenas are reserved without access and opened up piece by piece; MADV_DONTNEED gives them back.
    ['mprotect', (arg) => arg(2).in(rw, n.PROT_NONE)],
    ['madvise', (arg) => arg(2).in(n.MADV_DONTNEED, n.MADV_FREE, n.MADV_HUGEPAGE, n.MADV_NOHUGEPAGE)],
  ],
  // malloc() once needs a random number for its tcache.
  includes: [families.futexWake, families.getRandom],
};

const scudoAdvice = [
  ...[n.MADV_SEQUENTIAL, n.MADV_DONTNEED, n.MADV_DONTNEED_LOCKED, n.MADV_REMOVE],
  ...[n.MADV_HUGEPAGE, n.MADV_NOHUGEPAGE, n.MADV_DONTDUMP, n.MADV_COLLAPSE],
];

export const scudoMalloc: Preset = {
  allow: ['munmap', 'nanosleep'],
  when: [
    ['madvise', (arg) => arg(2).in(...scudoAdvice)],
    [
      'mmap',
      mapping(
        [
          rw,
          ...[0, n.MAP_FIXED, n.MAP_NORESERVE, n.MAP_FIXED | n.MAP_NORESERVE].map(
            (flags) => anonymous | flags,
          ),
        ],
        [n.PROT_NONE, anonymous | n.MAP_NORESERVE],
      ),
    ],
  ],
  otherwise: [
    ['open', 'ENOENT'],
    ['openat', 'ENOENT'],
  ],
  includes: [
    families.time,
    families.futexWake,
    families.getRandom,
    families.getPids,
    families.wipeOnFork,
    families.prctlSetVma,
  ],
};

const changing = n.O_ACCMODE | n.O_CREAT | n.O_TRUNC;

const readOnlyOpen: Preset = {
  when: [
    ['open', (arg) => arg(1).hasNone(changing)],
    ['openat', (arg) => arg(2).hasNone(changing)],
  ],
};

/** Programs also read the list of CPUs, from the /proc and /sys/devices/system/cpu that the builder mounts. */
export const restartableSequences: Preset = {
  allow: ['rseq', 'getcpu', 'membarrier', 'close'],
  when: [
    ['rt_sigprocmask', signalMask(n.SIG_SETMASK)],
    ['mmap', mapping([rw, anonymous])],
  ],
  includes: [
    families.futexWait,
    families.futexWake,
    families.read,
    readOnlyOpen,
    families.poll,
    families.prctlSetVma,
  ],
};

export const slowFences: Preset = { allow: ['sched_getaffinity', 'sched_setaffinity'] };

const tcMallocAdvice = [
  ...[n.MADV_DONTNEED, n.MADV_DONTNEED_LOCKED, n.MADV_FREE, n.MADV_HUGEPAGE, n.MADV_NOHUGEPAGE],
  ...[n.MADV_PAGEOUT, n.MADV_POPULATE_READ],
];

export const tcMalloc: Preset = {
  allow: ['munmap', 'nanosleep', 'brk', 'mincore', 'membarrier', 'lseek'],
  when: [
    ['madvise', (arg) => arg(2).in(...tcMallocAdvice)],
    ['mprotect', (arg) => arg(2).in(rw, n.PROT_NONE)],
    [
      'mmap',
      mapping(
        [rw, anonymous],
        [
          n.PROT_NONE,
          anonymous,
          anonymous | n.MAP_NORESERVE,
          anonymous | n.MAP_FIXED_NOREPLACE,
          anonymous | n.MAP_NORESERVE | n.MAP_FIXED_NOREPLACE,
        ],
      ),
    ],
  ],
  otherwise: [['process_vm_readv', 'ENOSYS']],
  includes: [
    families.time,
    restartableSequences,
    families.getPids,
    families.getRandom,
    families.wipeOnFork,
    families.poll,
  ],
};

const sanitizerAdvice = [n.MADV_DONTNEED, n.MADV_HUGEPAGE, n.MADV_NOHUGEPAGE, n.MADV_DONTDUMP, n.MADV_DODUMP];

/** What the runtimes of ASan, MSan, TSan and UBSan (gcc and clang) do in addition to the program. */
export const sanitizers: Preset = {
  allow: ['munmap', 'brk', 'sigaltstack', 'getrlimit', 'sched_yield', 'sched_getaffinity', 'close', 'gettid'],
  when: [
    ['mmap', (arg) => ({ kind: 'all', of: [arg(2).hasNone(n.PROT_EXEC), arg(3).hasAll(anonymous)] })],
    ['mprotect', (arg) => arg(2).hasNone(n.PROT_EXEC)],
    ['madvise', (arg) => arg(2).in(...sanitizerAdvice)],
    ['personality', (arg) => arg(0).in(0xffffffff, 0, 0x40000)],
    // For the report of a fault. It also calls PR_SET_PTRACER, and accepts a failure.
    ['prctl', (arg) => arg(0).in(n.PR_GET_DUMPABLE, n.PR_SET_DUMPABLE)],
  ],
  otherwise: [
    ['prctl', 'EINVAL'],
    ['ptrace', 'EPERM'],
  ],
  includes: [
    families.read,
    families.write,
    readOnlyOpen,
    families.stat,
    families.access,
    families.readlink,
    families.futexWait,
    families.futexWake,
    families.getRlimit,
    families.getIds,
    families.getPids,
    families.getRandom,
    families.getRlimit,
    families.handleSignals,
    families.prctlSetName,
    families.prctlSetVma,
    families.readdir, // /proc/self/task
    families.setRlimit, // no core files
    families.sleep,
    families.tcgets,
    families.time,
    families.wipeOnFork,
  ],
};

const lockingFcntl = [
  ...[n.F_GETFD, n.F_SETFD, n.F_GETFL],
  ...[n.F_GETLK, n.F_SETLK, n.F_SETLKW, n.F_OFD_SETLK, n.F_OFD_SETLKW],
];

/** What the runtime of coverage instrumentation does when it writes its file. */
export const coverage: Preset = {
  allow: ['ftruncate', 'lseek', 'close', 'getcwd', 'munmap'],
  when: [
    ['mmap', (arg) => arg(2).hasNone(n.PROT_EXEC)],
    ['fcntl', (arg) => arg(1).in(...lockingFcntl)],
  ],
  includes: [families.read, families.write, families.open, families.stat, families.mkdir, families.getPids],
};

export const staticStartup: Preset = {
  allow: ['uname', 'brk', 'set_tid_address', 'set_robust_list', 'rseq', 'rt_sigprocmask'],
  when: [
    // The C library's own realtime signals.
    ['rt_sigaction', (arg) => arg(0).in(32, 33, 34)],
    ['arch_prctl', (arg) => arg(0).eq(n.ARCH_SET_FS)],
    ['mprotect', (arg) => arg(2).eq(n.PROT_READ)],
  ],
  otherwise: [
    ['readlink', 'ENOENT'],
    ['readlinkat', 'ENOENT'],
    ['sigaltstack', 'ENOSYS'],
    // CET and the like: arch_prctl calls that the kernel does not know either.
    ['arch_prctl', 'EINVAL'],
  ],
  includes: [families.getRlimit, families.getRandom, families.futexWaitBitset],
};

export const dynamicStartup: Preset = {
  allow: ['lseek', 'close', 'munmap'],
  when: [
    ['mprotect', (arg) => arg(2).in(n.PROT_READ, n.PROT_NONE, rw, rx)],
    [
      'mmap',
      mapping(
        [
          n.PROT_READ,
          ...[0, n.MAP_DENYWRITE, n.MAP_FIXED, n.MAP_FIXED | n.MAP_DENYWRITE].map(
            (flags) => n.MAP_PRIVATE | flags,
          ),
        ],
        [
          rw,
          n.MAP_PRIVATE | n.MAP_FIXED | n.MAP_DENYWRITE,
          n.MAP_PRIVATE | n.MAP_FIXED,
          // musl maps a library whole and writable first.
          n.MAP_PRIVATE,
          anonymous,
          anonymous | n.MAP_FIXED,
          anonymous | n.MAP_STACK,
        ],
        [
          rx,
          ...[0, n.MAP_DENYWRITE, n.MAP_FIXED, n.MAP_FIXED | n.MAP_DENYWRITE].map(
            (flags) => n.MAP_PRIVATE | flags,
          ),
        ],
        [n.PROT_NONE, anonymous, anonymous | n.MAP_FIXED],
      ),
    ],
    // musl reads a library's headers with pread and checks where it is.
    ['fcntl', (arg) => arg(1).in(n.F_GETFD, n.F_SETFD)],
  ],
  includes: [families.access, families.open, families.read, families.stat, staticStartup],
};

export const sharedMemory: Preset = {
  allow: ['munmap', 'close'],
  when: [
    ['mmap', mapping([rw, n.MAP_SHARED])],
    // A buffer's seals are checked before it is mapped.
    ['fcntl', (arg) => arg(1).eq(n.F_GET_SEALS)],
  ],
  includes: [families.stat],
};

export const sharedMemoryComms: Preset = {
  includes: [sharedMemory, families.futexWait, families.futexWake],
};

/** Without tcmalloc, which would allow reading files. */
export const logForwarding: Preset = {
  allow: ['clock_gettime', 'gettid', 'close'],
  when: [
    ['rt_sigprocmask', signalMask(n.SIG_BLOCK)],
    ['kill', (arg) => ({ kind: 'all', of: [arg(0).eq(0), arg(1).eq(n.SIGABRT)] })],
  ],
  includes: [families.write, systemMalloc, families.getPids, families.getRlimit],
};

const onComms = (arg: ArgumentOf): Condition => arg(0).eq(WireFd.COMMS_FD);

export const comms: Preset = {
  when: [
    ['read', onComms],
    ['write', onComms],
    ['recvmsg', onComms],
    ['sendmsg', onComms],
    ['close', onComms],
    // Only to the other end, never to an address.
    ['sendto', (arg) => ({ kind: 'all', of: [onComms(arg), arg(4).eq(0)] })],
    ['recvfrom', onComms],
  ],
  includes: [families.poll],
};
