// Groups of syscalls that go together, checked against the C libraries of today (glibc 2.36, musl 1.2).
import { WireFd } from '../../protocol/wire.generated.js';
import { ALLOW, ARG, ARG_32, type Bpf, JEQ, JEQ32, JNE32, JUMP, LABEL } from './bpf/macros.js';

export interface Preset {
  readonly allow?: readonly string[];
  /** Allowed under conditions; what they do not allow falls through. */
  readonly conditions?: readonly (readonly [syscall: string, piece: Bpf])[];
  /** Answered with an errno unless another rule decides. */
  readonly otherwise?: readonly (readonly [syscall: string, errno: string])[];
  readonly includes?: readonly Preset[];
}

const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_DENYWRITE = 0x800;
const MAP_NORESERVE = 0x4000;
const MAP_STACK = 0x20000;
const MREMAP_MAYMOVE = 1;
const FUTEX_COMMAND_MASK = ~(128 | 256);
const FUTEX_WAKE = 1;
const FUTEX_WAIT_BITSET = 9;
const GRND_NONBLOCK = 1;
const TCGETS = 0x5401;
const ARCH_SET_FS = 0x1002;

/** Allows where the low 32 bits of an argument are one of these. */
const oneOf = (argument: number, values: readonly number[]): Bpf => [
  ARG_32(argument),
  ...values.map((value) => JEQ32(value, ALLOW)),
];

/** Allows mmap with one of these pairs of protection and flags. */
const mmapOneOf = (pairs: readonly (readonly [protection: number, flags: readonly number[]])[]): Bpf =>
  pairs.map(([protection, flags], index) => [
    ARG_32(2),
    JNE32(protection, JUMP(`next${index}`)),
    oneOf(3, flags),
    LABEL(`next${index}`),
  ]);

const futexCommand = (command: number): Bpf => [
  ARG_32(1),
  // The private and realtime flags do not matter.
  ...[0, 128, 256, 384].map((flags) => JEQ32((command & FUTEX_COMMAND_MASK) | flags, ALLOW)),
];

export const exit: Preset = { allow: ['exit', 'exit_group'] };
export const read: Preset = { allow: ['read', 'readv', 'pread64', 'preadv', 'preadv2'] };
export const write: Preset = { allow: ['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2'] };
export const open: Preset = { allow: ['open', 'openat', 'openat2', 'creat'] };
export const stat: Preset = {
  allow: ['stat', 'lstat', 'fstat', 'newfstatat', 'statx', 'statfs', 'fstatfs'],
};
export const access: Preset = { allow: ['access', 'faccessat', 'faccessat2'] };
export const readdir: Preset = { allow: ['getdents', 'getdents64'] };
export const readlink: Preset = { allow: ['readlink', 'readlinkat'] };
export const time: Preset = { allow: ['time', 'gettimeofday', 'clock_gettime'] };
export const getPids: Preset = { allow: ['getpid', 'getppid', 'gettid'] };
export const getIds: Preset = {
  allow: ['getuid', 'geteuid', 'getresuid', 'getgid', 'getegid', 'getresgid', 'getgroups'],
};
export const getRlimit: Preset = {
  allow: ['getrlimit'],
  conditions: [['prlimit64', [ARG(2), JEQ(0, ALLOW)]]],
};
export const getRandom: Preset = { conditions: [['getrandom', oneOf(2, [0, GRND_NONBLOCK])]] };
export const dup: Preset = { allow: ['dup', 'dup2', 'dup3'] };
/** F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_DUPFD_CLOEXEC. */
export const safeFcntl: Preset = { conditions: [['fcntl', oneOf(1, [0, 1, 2, 3, 4, 5, 6, 7, 1030])]] };
export const handleSignals: Preset = {
  allow: ['restart_syscall', 'rt_sigaction', 'rt_sigreturn', 'rt_sigprocmask', 'sigaltstack'],
};
export const tcgets: Preset = { conditions: [['ioctl', oneOf(1, [TCGETS])]] };
export const fork: Preset = { allow: ['fork', 'vfork', 'clone'] };
export const wait: Preset = { allow: ['wait4', 'waitid'] };
export const poll: Preset = { allow: ['poll', 'ppoll'] };

export const systemMalloc: Preset = {
  allow: ['munmap', 'brk'],
  conditions: [
    ['futex', futexCommand(FUTEX_WAKE)],
    ['mremap', oneOf(3, [MREMAP_MAYMOVE])],
    [
      'mmap',
      mmapOneOf([
        [PROT_READ | PROT_WRITE, [MAP_PRIVATE | MAP_ANONYMOUS, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE]],
        [0, [MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, MAP_PRIVATE | MAP_ANONYMOUS]],
      ]),
    ],
    // Arenas are reserved without access and opened up piece by piece; MADV_DONTNEED gives them back.
    ['mprotect', oneOf(2, [PROT_READ | PROT_WRITE, 0])],
    ['madvise', oneOf(2, [4, 8, 14, 15])],
  ],
  // malloc() takes a random number for tcache once.
  includes: [getRandom],
};

export const staticStartup: Preset = {
  allow: ['uname', 'brk', 'set_tid_address', 'set_robust_list', 'rseq'],
  conditions: [
    ['futex', futexCommand(FUTEX_WAIT_BITSET)],
    // The C library's own two realtime signals.
    ['rt_sigaction', oneOf(0, [32, 33, 34])],
    ['arch_prctl', oneOf(0, [ARCH_SET_FS])],
    ['mprotect', oneOf(2, [PROT_READ])],
  ],
  otherwise: [
    ['readlink', 'ENOENT'],
    ['readlinkat', 'ENOENT'],
    ['sigaltstack', 'ENOSYS'],
    // CET and the like: an arch_prctl that the kernel does not know either.
    ['arch_prctl', 'EINVAL'],
  ],
  includes: [getRlimit, getRandom, { allow: ['rt_sigprocmask'] }],
};

export const dynamicStartup: Preset = {
  allow: ['lseek', 'close', 'munmap'],
  conditions: [
    ['mprotect', oneOf(2, [PROT_READ, 0, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC])],
    [
      'mmap',
      mmapOneOf([
        [
          PROT_READ,
          [
            MAP_PRIVATE,
            MAP_PRIVATE | MAP_DENYWRITE,
            MAP_PRIVATE | MAP_FIXED | MAP_DENYWRITE,
            MAP_PRIVATE | MAP_FIXED,
          ],
        ],
        [
          PROT_READ | PROT_WRITE,
          [
            MAP_PRIVATE | MAP_FIXED | MAP_DENYWRITE,
            MAP_PRIVATE | MAP_FIXED,
            MAP_PRIVATE | MAP_ANONYMOUS,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK,
          ],
        ],
        [
          PROT_READ | PROT_EXEC,
          [
            MAP_PRIVATE | MAP_DENYWRITE,
            MAP_PRIVATE | MAP_DENYWRITE | MAP_FIXED,
            MAP_PRIVATE,
            MAP_PRIVATE | MAP_FIXED,
          ],
        ],
        [0, [MAP_PRIVATE | MAP_ANONYMOUS]],
      ]),
    ],
  ],
  includes: [access, open, read, stat, staticStartup],
};

const onComms: Bpf = [ARG_32(0), JEQ32(WireFd.COMMS_FD, ALLOW)];

export const comms: Preset = {
  conditions: [
    ['read', onComms],
    ['write', onComms],
    ['recvmsg', onComms],
    ['sendmsg', onComms],
    ['close', onComms],
    // Only to the other end, never to an address.
    ['sendto', [ARG_32(0), JNE32(WireFd.COMMS_FD, JUMP('other')), ARG(4), JEQ(0, ALLOW), LABEL('other')]],
    ['recvfrom', onComms],
  ],
  includes: [{ allow: ['poll', 'ppoll'] }],
};
