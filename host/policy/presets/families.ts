// Families of syscalls as today's C libraries use them (glibc 2.41, musl 1.2.5): the older syscalls and those that
// replaced them.
import * as n from '../tables/numbers.js';
import type { Preset } from './preset.js';

const protections = ['mmap', 'mprotect', 'pkey_mprotect'] as const;

const withoutExec = (syscall: (typeof protections)[number]): Preset => ({
  when: [[syscall, (arg) => arg(2).hasNone(n.PROT_EXEC)]],
});

export const exit: Preset = { allow: ['exit', 'exit_group'] };
export const read: Preset = { allow: ['read', 'readv', 'pread64', 'preadv', 'preadv2'] };
export const write: Preset = { allow: ['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2'] };
export const open: Preset = { allow: ['creat', 'open', 'openat', 'openat2'] };
export const stat: Preset = {
  allow: ['stat', 'lstat', 'fstat', 'newfstatat', 'statx', 'statfs', 'fstatfs'],
};
export const access: Preset = { allow: ['access', 'faccessat', 'faccessat2'] };
export const dup: Preset = { allow: ['dup', 'dup2', 'dup3'] };
export const pipe: Preset = { allow: ['pipe', 'pipe2'] };
/** musl checks whether a descriptor that cannot be used is open at all. */
const isDescriptor: Preset['when'] = [['fcntl', (arg) => arg(1).eq(n.F_GETFD)]];
export const chmod: Preset = { allow: ['chmod', 'fchmod', 'fchmodat', 'fchmodat2'], when: isDescriptor };
export const chown: Preset = { allow: ['chown', 'lchown', 'fchown', 'fchownat'], when: isDescriptor };
export const readdir: Preset = { allow: ['getdents', 'getdents64'] };
export const readlink: Preset = { allow: ['readlink', 'readlinkat'] };
export const link: Preset = { allow: ['link', 'linkat'] };
export const symlink: Preset = { allow: ['symlink', 'symlinkat'] };
export const mkdir: Preset = { allow: ['mkdir', 'mkdirat'] };
export const unlink: Preset = { allow: ['rmdir', 'unlink', 'unlinkat'] };
export const rename: Preset = { allow: ['rename', 'renameat', 'renameat2'] };
export const utime: Preset = { allow: ['utime', 'utimes', 'futimesat', 'utimensat'] };
const safeFcntlCommands = [
  ...[n.F_DUPFD, n.F_DUPFD_CLOEXEC, n.F_GETFD, n.F_SETFD, n.F_GETFL, n.F_SETFL],
  ...[n.F_GETLK, n.F_SETLK, n.F_SETLKW],
];
export const safeFcntl: Preset = { when: [['fcntl', (arg) => arg(1).in(...safeFcntlCommands)]] };
/** musl's isatty() asks for the size of the window. */
export const tcgets: Preset = { when: [['ioctl', (arg) => arg(1).in(n.TCGETS, n.TIOCGWINSZ)]] };

export const epollWait: Preset = { allow: ['epoll_wait', 'epoll_pwait', 'epoll_pwait2'] };
export const epoll: Preset = {
  allow: ['epoll_create', 'epoll_create1', 'epoll_ctl'],
  includes: [epollWait],
};
export const inotify: Preset = {
  allow: ['inotify_init', 'inotify_init1', 'inotify_add_watch', 'inotify_rm_watch', 'close'],
};
export const select: Preset = { allow: ['select', 'pselect6'] };
export const poll: Preset = { allow: ['poll', 'ppoll'] };
export const eventFd: Preset = { allow: ['eventfd', 'eventfd2'] };

export const time: Preset = { allow: ['time', 'gettimeofday', 'clock_gettime'] };
export const sleep: Preset = { allow: ['clock_nanosleep', 'nanosleep'] };
export const alarm: Preset = { allow: ['alarm', 'setitimer'] };
export const posixTimers: Preset = {
  allow: ['timer_create', 'timer_delete', 'timer_settime', 'timer_gettime', 'timer_getoverrun'],
};

export const fork: Preset = { allow: ['fork', 'vfork', 'clone'] };
export const wait: Preset = { allow: ['wait4', 'waitid'] };
export const handleSignals: Preset = {
  allow: ['restart_syscall', 'rt_sigaction', 'rt_sigreturn', 'rt_sigprocmask', 'sigaltstack'],
};
export const kill: Preset = { allow: ['kill', 'tgkill', 'tkill'] };
export const getIds: Preset = {
  allow: ['getuid', 'geteuid', 'getresuid', 'getgid', 'getegid', 'getresgid', 'getgroups'],
};
export const getPids: Preset = { allow: ['getpid', 'getppid', 'gettid'] };
export const getPgids: Preset = { allow: ['getpgid', 'getpgrp'] };
export const getRlimit: Preset = {
  allow: ['getrlimit'],
  when: [['prlimit64', (arg) => arg(2).eq(0)]],
};
/** A process's own limits only: without the 0 another process's id would be accepted too. */
export const setRlimit: Preset = { allow: ['setrlimit'], when: [['prlimit64', (arg) => arg(0).eq(0)]] };
export const getRandom: Preset = { when: [['getrandom', (arg) => arg(2).in(0, n.GRND_NONBLOCK)]] };
export const prctlSetName: Preset = { when: [['prctl', (arg) => arg(0).eq(n.PR_SET_NAME)]] };
export const prctlSetVma: Preset = {
  when: [['prctl', (arg) => ({ kind: 'all', of: [arg(0).eq(n.PR_SET_VMA), arg(1).eq(0)] })]],
};

export const futexOp = (operation: number): Preset => ({
  when: [
    [
      'futex',
      (arg) =>
        arg(1)
          .mask(n.FUTEX_COMMAND_MASK)
          .eq(operation & n.FUTEX_COMMAND_MASK),
    ],
  ],
});
export const futexWait = futexOp(n.FUTEX_WAIT);
export const futexWake = futexOp(n.FUTEX_WAKE);
export const futexWaitBitset = futexOp(n.FUTEX_WAIT_BITSET);

export const mlock: Preset = { allow: ['mlock', 'munlock', 'mlock2'] };
/** Programs pass -1 to find out whether the kernel knows the advice at all. */
export const wipeOnFork: Preset = { when: [['madvise', (arg) => arg(2).in(n.MADV_WIPEONFORK, -1)]] };
export const mmapWithoutExec = withoutExec('mmap');
export const mprotectWithoutExec = withoutExec('mprotect');
export const pkeyMprotectWithoutExec = withoutExec('pkey_mprotect');
export const mmap: Preset = { allow: ['mmap'] };
export const mprotect: Preset = { allow: ['mprotect'] };
export const pkeyMprotect: Preset = { allow: ['pkey_mprotect'] };
const safeBpfCommands = [
  ...[n.BPF_MAP_LOOKUP_ELEM, n.BPF_MAP_GET_NEXT_KEY, n.BPF_OBJ_GET],
  ...[n.BPF_MAP_GET_NEXT_ID, n.BPF_MAP_GET_FD_BY_ID, n.BPF_OBJ_GET_INFO_BY_FD],
];
export const safeBpf: Preset = { when: [['bpf', (arg) => arg(0).in(...safeBpfCommands)]] };
