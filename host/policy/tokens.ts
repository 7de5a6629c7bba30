// The names of everything that weakens a sandbox. A reviewer of a program searches for these words.

/** Syscalls that are a violation under every policy unless it has the token. */
export const guardedSyscalls = {
  /** Reading and changing other processes' memory, registers and descriptors. */
  allowPtrace: ['ptrace', 'process_vm_readv', 'process_vm_writev', 'pidfd_getfd', 'kcmp'],
  allowBpf: ['bpf'],
  /** No filter sees the requests of io_uring. */
  allowIoUring: ['io_uring_setup', 'io_uring_enter', 'io_uring_register'],
  /** Kernel keyrings are in no namespace. */
  allowKeyrings: ['keyctl', 'add_key', 'request_key'],
  /** Lets a program stop the kernel in the middle of its work, at a page fault. */
  allowUserfaultfd: ['userfaultfd'],
  allowMountSyscalls: [
    'mount',
    'umount2',
    'pivot_root',
    'chroot',
    'move_mount',
    'open_tree',
    'fsopen',
    'fsconfig',
    'fsmount',
    'fspick',
    'mount_setattr',
    'open_tree_attr',
  ],
  /**
   * Also unshare(), and clone() and clone3() with CLONE_NEW…; in new namespaces much more of the kernel can be reached.
   */
  allowNewNamespaces: ['setns', 'clone3'],
  allowPerfEvents: ['perf_event_open'],
  /** For the machine's administrator. They fail in a sandbox, but only after much kernel code has run. */
  allowKernelAdministration: [
    'init_module',
    'finit_module',
    'delete_module',
    'kexec_load',
    'kexec_file_load',
    'open_by_handle_at',
    'name_to_handle_at',
    'quotactl',
    'quotactl_fd',
    'swapon',
    'swapoff',
    'reboot',
    'acct',
    'lookup_dcookie',
    'nfsservctl',
    'fanotify_init',
    'iopl',
    'ioperm',
    'modify_ldt',
    'vhangup',
    // The kernel's log, which belongs to no namespace; a setting of the machine decides who may read it.
    'syslog',
  ],
} as const;

export type GuardToken = keyof typeof guardedSyscalls | 'allowSeccompListener' | 'allowTerminalInjection';

const others = [
  /** seccomp() with SECCOMP_FILTER_FLAG_NEW_LISTENER: answering its own children's syscalls. */
  'allowSeccompListener',
  /** Filters of the sandboxee's own, which can answer before the policy does; then a violation goes unnoticed. */
  'allowSeccompFilters',
  /**
   * ioctl(TIOCSTI) and ioctl(TIOCLINUX): writing into a terminal's input. ioctl(TIOCSCTTY): taking it as controlling
   * terminal.
   */
  'allowTerminalInjection',
  /** ioctl(TCSETS) and all else that changes a terminal for everybody who has it open. */
  'allowTerminalSettings',
  /** The host's network, instead of a loopback device of its own. */
  'allowUnrestrictedNetworking',
  /** bind, connect, listen, all ioctls and options on sockets from outside, if the policy lets no sockets be made. */
  'allowSocketControl',
  /** The CPU's mitigations against speculation stay as they are on the host. */
  'allowSpeculation',
  /**
   * No Landlock rules besides the mounts, and the sandboxee can be given descriptors of directories. Each of them leads
   * by ".." to the whole host, with everything that the sandboxee's uid may do there.
   */
  'allowPathsOutsideMounts',
  /** Files in writable mounts can be executed. */
  'allowWriteExecutable',
] as const;

/** Everything that weakens a sandbox has to be named; a review can search for these words. */
export type DangerousToken = keyof typeof guardedSyscalls | (typeof others)[number];

export const dangerousTokens: readonly string[] = [...Object.keys(guardedSyscalls), ...others];

const tokens: ReadonlySet<string> = new Set(dangerousTokens);

export function isDangerousToken(text: unknown): text is DangerousToken {
  return typeof text === 'string' && tokens.has(text);
}

const guards: ReadonlyMap<string, DangerousToken> = new Map(
  Object.entries(guardedSyscalls).flatMap(([token, names]) =>
    names.map((name) => [name, token as DangerousToken] as const),
  ),
);

/** The token without which a syscall is a violation in every policy. */
export function guardOf(syscall: string): DangerousToken | undefined {
  return guards.get(syscall);
}
