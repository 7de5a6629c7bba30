// What each helper of the builder allows, written down independently of the presets, from sandbox2's documentation and
// the C libraries. A name that one architecture does not have counts for the other one only.
import type { PolicyBuilder } from '../../host/index.js';

type Args = readonly (number | bigint)[];

export interface Helper {
  readonly method: string;
  readonly call: (builder: PolicyBuilder) => PolicyBuilder;
  /** Allowed with any arguments. */
  readonly all?: string;
  /** Allowed with these arguments, … */
  readonly some?: Readonly<Record<string, readonly Args[]>>;
  /** … and not with these. */
  readonly none?: Readonly<Record<string, readonly Args[]>>;
  /** Fails with an errno unless another rule decides. */
  readonly errno?: Readonly<Record<string, string>>;
}

// Numbers of the kernel's interface.
const [R, W, X] = [1, 2, 4];
const RW = R | W;
const [SHARED, PRIVATE, FIXED, ANON, DENYWRITE] = [1, 2, 0x10, 0x20, 0x800];
const [NORESERVE, STACK, NOREPLACE] = [0x4000, 0x20000, 0x100000];
const PRIVATE_FUTEX = 128;
const high = (value: number) => BigInt(value) | (0xabcdn << 32n);

/** mmap with a protection and flags. */
const map = (protection: number | bigint, flags: number | bigint): Args => [
  0,
  4096,
  protection,
  flags,
  -1,
  0,
];
const protect = (protection: number | bigint): Args => [0, 4096, protection];
const futex = (operation: number | bigint): Args => [0x1000, operation, 1];
const advise = (advice: number | bigint): Args => [0, 4096, advice];

const simple = (method: keyof PolicyBuilder, all: string): Helper => ({
  method,
  call: (builder) => (builder[method] as () => PolicyBuilder)(),
  all,
});

const stat = 'stat lstat fstat newfstatat statx statfs fstatfs';
const read = 'read readv pread64 preadv preadv2';
const write = 'write writev pwrite64 pwritev pwritev2';
const open = 'creat open openat openat2';
const access = 'access faccessat faccessat2';
const pids = 'getpid getppid gettid';
const time = 'time gettimeofday clock_gettime';
const poll = 'poll ppoll';

const getrandom = {
  some: {
    getrandom: [
      [0, 1, 0],
      [0, 1, 1],
      [0, 1, high(1)],
    ] as Args[],
  },
};
const prlimitGet: readonly Args[] = [
  [0, 7, 0, 0x1000],
  [5, 7, 0, 0x1000],
];
const prlimitSet: readonly Args[] = [
  [5, 7, 0x1000],
  [5, 7, 0x100000000n],
];
const readOnlyOpen = {
  some: {
    open: [
      [0, 0],
      [0, 0x80000],
    ],
    openat: [
      [-100, 0, 0],
      [-100, 0, 0x10000],
    ],
  },
};
const writingOpen: Readonly<Record<string, readonly Args[]>> = {
  open: [
    [0, 1],
    [0, 2],
    [0, 0o100],
    [0, 0o1000],
    [0, high(1)],
  ],
  openat: [
    [0, 0, 1],
    [0, 0, 2],
    [0, 0, 0o102],
  ],
  openat2: [[0, 0, 0]],
  creat: [[0, 0]],
};

const staticStartup = {
  all: 'uname brk set_tid_address set_robust_list rseq rt_sigprocmask getrlimit',
  some: {
    ...getrandom.some,
    prlimit64: prlimitGet,
    futex: [futex(9), futex(9 | PRIVATE_FUTEX)],
    rt_sigaction: [[32], [33], [34]],
    arch_prctl: [[0x1002]],
    mprotect: [protect(R)],
  },
  errno: { readlink: 'ENOENT', readlinkat: 'ENOENT', sigaltstack: 'ENOSYS', arch_prctl: 'EINVAL' },
} satisfies Partial<Helper>;

const systemMalloc = {
  all: 'munmap brk',
  some: {
    ...getrandom.some,
    mremap: [[0, 1, 2, 1]],
    mmap: [
      map(RW, ANON | PRIVATE),
      map(RW, ANON | PRIVATE | NORESERVE),
      map(0, ANON | PRIVATE | NORESERVE),
      map(0, ANON | PRIVATE | FIXED),
    ],
    mprotect: [protect(RW), protect(0)],
    madvise: [advise(4), advise(8)],
    futex: [futex(1), futex(1 | PRIVATE_FUTEX)],
  },
  none: {
    mremap: [
      [0, 1, 2, 3],
      [0, 1, 2, 0],
    ],
    mmap: [map(RW | X, ANON | PRIVATE), map(RW, SHARED), map(RW, PRIVATE), map(R, ANON | PRIVATE)],
    mprotect: [protect(R | X), protect(RW | X)],
    futex: [futex(0)],
  },
} satisfies Partial<Helper>;

const sequences = {
  all: `rseq getcpu membarrier close ${read} ${poll}`,
  some: {
    ...readOnlyOpen.some,
    rt_sigprocmask: [[2], [high(2)]],
    mmap: [map(RW, ANON | PRIVATE)],
    futex: [futex(0), futex(1), futex(128)],
    prctl: [[0x53564d41, 0]],
  },
  none: { ...writingOpen, rt_sigprocmask: [[0], [1]], mmap: [map(RW | X, ANON | PRIVATE)] },
} satisfies Partial<Helper>;

export const helpers: readonly Helper[] = [
  simple('allowExit', 'exit exit_group'),
  simple('allowRead', read),
  simple('allowWrite', write),
  simple('allowOpen', open),
  simple('allowStat', stat),
  simple('allowAccess', access),
  simple('allowDup', 'dup dup2 dup3'),
  simple('allowPipe', 'pipe pipe2'),
  {
    ...simple('allowChmod', 'chmod fchmod fchmodat fchmodat2'),
    some: { fcntl: [[-1, 1]] },
    none: {
      fcntl: [
        [3, 2],
        [3, 3],
      ],
    },
  },
  {
    ...simple('allowChown', 'chown lchown fchown fchownat'),
    some: { fcntl: [[-1, 1]] },
    none: { fcntl: [[3, 2]] },
  },
  simple('allowReaddir', 'getdents getdents64'),
  simple('allowReadlink', 'readlink readlinkat'),
  simple('allowLink', 'link linkat'),
  simple('allowSymlink', 'symlink symlinkat'),
  simple('allowMkdir', 'mkdir mkdirat'),
  simple('allowUnlink', 'rmdir unlink unlinkat'),
  simple('allowRename', 'rename renameat renameat2'),
  simple('allowUtime', 'utime utimes futimesat utimensat'),
  simple('allowEpollWait', 'epoll_wait epoll_pwait epoll_pwait2'),
  simple('allowEpoll', 'epoll_wait epoll_pwait epoll_pwait2 epoll_create epoll_create1 epoll_ctl'),
  simple('allowInotify', 'inotify_init inotify_init1 inotify_add_watch inotify_rm_watch close'),
  simple('allowSelect', 'select pselect6'),
  simple('allowPoll', poll),
  simple('allowEventFd', 'eventfd eventfd2'),
  simple('allowTime', time),
  simple('allowSleep', 'clock_nanosleep nanosleep'),
  simple('allowAlarm', 'alarm setitimer'),
  simple('allowPosixTimers', 'timer_create timer_delete timer_settime timer_gettime timer_getoverrun'),
  simple('allowWait', 'wait4 waitid'),
  simple('allowHandleSignals', 'restart_syscall rt_sigaction rt_sigreturn rt_sigprocmask sigaltstack'),
  simple('allowKill', 'kill tgkill tkill'),
  simple('allowGetIDs', 'getuid geteuid getresuid getgid getegid getresgid getgroups'),
  simple('allowGetPIDs', pids),
  simple('allowGetPGIDs', 'getpgid getpgrp'),
  simple('allowMlock', 'mlock munlock mlock2'),
  {
    method: 'allowFork',
    call: (b) => b.allowFork(),
    all: 'fork vfork',
    some: { clone: [[17], [0x3d0f00], [high(17)]] },
    none: { clone: [[0x10000000 | 17], [0x20000 | 17], [BigInt(0x40000000) | (1n << 40n)]] },
  },
  {
    method: 'allowSafeFcntl',
    call: (b) => b.allowSafeFcntl(),
    some: { fcntl: [0, 1, 2, 3, 4, 5, 6, 7, 1030, high(1)].map((command) => [3, command]) },
    none: { fcntl: [8, 9, 10, 1024, 1026, 1031, 1033].map((command) => [3, command]) },
  },
  {
    method: 'allowTCGETS',
    call: (b) => b.allowTCGETS(),
    some: {
      ioctl: [
        [0, 0x5401],
        [0, 0x5413],
        [0, high(0x5401)],
      ],
    },
    none: {
      ioctl: [
        [0, 0x5405],
        [0, 0x5412],
        [0, high(0x5412)],
      ],
    },
  },
  {
    method: 'allowGetRlimit',
    call: (b) => b.allowGetRlimit(),
    all: 'getrlimit',
    some: { prlimit64: prlimitGet },
    none: { prlimit64: prlimitSet },
  },
  {
    method: 'allowSetRlimit',
    call: (b) => b.allowSetRlimit(),
    all: 'setrlimit',
    some: {
      prlimit64: [
        [0, 7, 0x1000],
        [0, 7, 0],
      ],
    },
    // Another process's limits.
    none: { prlimit64: prlimitSet },
  },
  {
    method: 'allowGetRandom',
    call: (b) => b.allowGetRandom(),
    ...getrandom,
    none: {
      getrandom: [
        [0, 1, 2],
        [0, 1, 3],
        [0, 1, 4],
      ],
    },
  },
  {
    method: 'allowWipeOnFork',
    call: (b) => b.allowWipeOnFork(),
    some: { madvise: [advise(18), advise(-1), advise(0xffffffff)] },
    none: { madvise: [advise(4), advise(19)] },
  },
  {
    method: 'allowFutexOp',
    call: (b) => b.allowFutexOp(1),
    some: { futex: [futex(1), futex(1 | PRIVATE_FUTEX), futex(1 | 256), futex(high(1))] },
    none: { futex: [futex(0), futex(9)] },
  },
  {
    method: 'allowPrctlSetName',
    call: (b) => b.allowPrctlSetName(),
    some: {
      prctl: [
        [15, 0x1000],
        [high(15), 0x1000],
      ],
    },
    none: { prctl: [[16], [22], [0x53564d41, 0], [38, 1]] },
  },
  {
    method: 'allowPrctlSetVma',
    call: (b) => b.allowPrctlSetVma(),
    some: { prctl: [[0x53564d41, 0, 1, 2, 3]] },
    none: { prctl: [[0x53564d41, 1], [0x53564d41, 0x100000000n], [15]] },
  },
  { method: 'allowMmap', call: (b) => b.allowMmap('allowMapExec'), all: 'mmap' },
  { method: 'allowMprotect', call: (b) => b.allowMprotect('allowMapExec'), all: 'mprotect' },
  { method: 'allowPkeyMprotect', call: (b) => b.allowPkeyMprotect('allowMapExec'), all: 'pkey_mprotect' },
  {
    method: 'allowMmapWithoutExec',
    call: (b) => b.allowMmapWithoutExec(),
    some: { mmap: [map(RW, SHARED), map(0, ANON | PRIVATE), map(high(RW), PRIVATE)] },
    none: { mmap: [map(X, PRIVATE), map(RW | X, ANON | PRIVATE), map(high(X), PRIVATE)] },
  },
  {
    method: 'allowMprotectWithoutExec',
    call: (b) => b.allowMprotectWithoutExec(),
    some: { mprotect: [protect(RW), protect(0)] },
    none: { mprotect: [protect(X), protect(R | X), protect(high(X))] },
  },
  {
    method: 'allowPkeyMprotectWithoutExec',
    call: (b) => b.allowPkeyMprotectWithoutExec(),
    some: { pkey_mprotect: [[...protect(RW), 1]] },
    none: {
      pkey_mprotect: [
        [...protect(R | X), 1],
        [...protect(high(X)), -1],
      ],
    },
  },
  {
    method: 'allowSafeBpf',
    call: (b) => b.allowSafeBpf(),
    some: { bpf: [1, 4, 7, 12, 14, 15].map((command) => [command, 0x1000, 64]) },
    none: { bpf: [0, 2, 3, 5, 6, 8, 13, 16, 28, 36].map((command) => [command, 0x1000, 64]) },
  },
  { method: 'allowSystemMalloc', call: (b) => b.allowSystemMalloc(), ...systemMalloc },
  {
    method: 'allowScudoMalloc',
    call: (b) => b.allowScudoMalloc(),
    all: `munmap nanosleep ${time} ${pids}`,
    some: {
      ...getrandom.some,
      futex: [futex(1)],
      madvise: [2, 4, 24, 9, 14, 15, 16, 25, 18, -1].map(advise),
      mmap: [
        map(RW, ANON | PRIVATE),
        map(RW, ANON | PRIVATE | FIXED | NORESERVE),
        map(0, ANON | PRIVATE | NORESERVE),
      ],
      prctl: [[0x53564d41, 0]],
    },
    none: { mmap: [map(RW | X, ANON | PRIVATE), map(0, ANON | PRIVATE | FIXED)], madvise: [advise(8)] },
    errno: { open: 'ENOENT', openat: 'ENOENT' },
  },
  { method: 'allowRestartableSequences', call: (b) => b.allowRestartableSequences(), ...sequences },
  {
    method: 'allowRestartableSequences',
    call: (b) => b.allowRestartableSequences('allowSlowFences'),
    ...sequences,
    all: `${sequences.all} sched_getaffinity sched_setaffinity`,
  },
  {
    method: 'allowTcMalloc',
    call: (b) => b.allowTcMalloc(),
    all: `${sequences.all} ${time} ${pids} munmap nanosleep brk mincore lseek`,
    some: {
      ...sequences.some,
      ...getrandom.some,
      madvise: [4, 8, 14, 15, 21, 22, 24, 18].map(advise),
      mprotect: [protect(RW), protect(0)],
      mmap: [map(RW, ANON | PRIVATE), map(0, ANON | PRIVATE | NORESERVE | NOREPLACE)],
    },
    none: { ...sequences.none, mprotect: [protect(R | X)] },
    errno: { process_vm_readv: 'ENOSYS' },
  },
  { method: 'allowStaticStartup', call: (b) => b.allowStaticStartup(), ...staticStartup },
  {
    method: 'allowDynamicStartup',
    call: (b) => b.allowDynamicStartup('allowMapExec'),
    all: `${staticStartup.all} ${access} ${open} ${read} ${stat} lseek close munmap`,
    some: {
      ...staticStartup.some,
      mprotect: [protect(R), protect(0), protect(RW), protect(R | X)],
      fcntl: [
        [3, 1],
        [3, 2],
      ],
      mmap: [
        map(R, PRIVATE),
        map(R, PRIVATE | DENYWRITE),
        map(R, PRIVATE | FIXED | DENYWRITE),
        map(RW, PRIVATE | FIXED | DENYWRITE),
        map(RW, ANON | PRIVATE),
        map(RW, ANON | PRIVATE | FIXED),
        map(RW, ANON | PRIVATE | STACK),
        map(R | X, PRIVATE | DENYWRITE),
        map(R | X, PRIVATE | DENYWRITE | FIXED),
      ],
    },
    none: {
      mmap: [map(RW | X, ANON | PRIVATE), map(R | X, ANON | PRIVATE), map(R, SHARED), map(RW, SHARED)],
      mprotect: [protect(RW | X)],
    },
    errno: staticStartup.errno,
  },
  {
    method: 'allowSharedMemory',
    call: (b) => b.allowSharedMemory(),
    all: `munmap close ${stat}`,
    some: { mmap: [map(RW, SHARED)], fcntl: [[3, 1034]] }, // F_GET_SEALS
    none: { mmap: [map(RW | X, SHARED), map(RW, PRIVATE)], fcntl: [[3, 1033]] },
  },
  {
    method: 'allowSharedMemoryComms',
    call: (b) => b.allowSharedMemoryComms(),
    all: `munmap close ${stat}`,
    some: { mmap: [map(RW, SHARED)], fcntl: [[3, 1034]], futex: [futex(0), futex(1)] },
    none: { futex: [futex(9)] },
  },
  {
    method: 'allowLogForwarding',
    call: (b) => b.allowLogForwarding(),
    all: `${write} ${systemMalloc.all} ${pids} clock_gettime gettid close getrlimit`,
    some: { ...systemMalloc.some, rt_sigprocmask: [[0]], kill: [[0, 6]], prlimit64: prlimitGet },
    none: {
      ...systemMalloc.none,
      kill: [
        [0, 9],
        [1, 6],
        [0x100000000n | 1n, 6],
      ],
      rt_sigprocmask: [[1], [2]],
    },
  },
  {
    method: 'allowComms',
    call: (b) => b.allowComms(),
    all: poll,
    some: {
      read: [
        [1023, 0x1000, 1],
        [high(1023), 0x1000, 1],
      ],
      write: [[1023]],
      recvmsg: [[1023]],
      sendmsg: [[1023]],
      close: [[1023]],
      sendto: [[1023, 0, 0, 0, 0, 0]],
      recvfrom: [[1023]],
    },
    none: {
      read: [[0], [1022]],
      write: [[1]],
      sendto: [[1023, 0, 0, 0, 0x1000, 16], [1023, 0, 0, 0, 0x100000000n, 16], [3]],
      recvmsg: [[3]],
      sendmsg: [[3]],
      close: [[3]],
    },
  },
];
