// The names of what weakens a sandbox. Whoever reviews a program searches for these words.

/** Syscalls that are a violation under every policy, unless the token is given. */
export const guardedSyscalls = {
  /** Reading and changing other processes' memory, registers and descriptors. */
  allowPtrace: ['ptrace', 'process_vm_readv', 'process_vm_writev', 'pidfd_getfd', 'kcmp'],
  allowBpf: ['bpf'],
  /** Its requests pass no filter. */
  allowIoUring: ['io_uring_setup', 'io_uring_enter', 'io_uring_register'],
  /** Kernel keyrings are in no namespace. */
  allowKeyrings: ['keyctl', 'add_key', 'request_key'],
  /** Lets a program stop the kernel in the middle of its work. */
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
  /** Also unshare(), and clone() and clone3() with CLONE_NEW…; the whole of the kernel is reachable from in there. */
  allowNewNamespaces: ['setns', 'clone3'],
  allowPerfEvents: ['perf_event_open'],
  /** For the machine's administrator; they fail in a sandbox, after much code of the kernel has run. */
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
    // The kernel's log, which belongs to no namespace; whether it may be read is the machine's setting.
    'syslog',
  ],
} as const;

export type GuardToken = keyof typeof guardedSyscalls | 'allowSeccompListener' | 'allowTerminalInjection';

const others = [
  /** seccomp() with SECCOMP_FILTER_FLAG_NEW_LISTENER: answering its own children's syscalls. */
  'allowSeccompListener',
  /** Filters of its own, with which it can answer before the policy does: what is a violation is not heard of then. */
  'allowSeccompFilters',
  /** ioctl(TIOCSTI) and ioctl(TIOCLINUX): writing into a terminal's input. ioctl(TIOCSCTTY): making it one's own. */
  'allowTerminalInjection',
  /** The host's network, instead of a loopback device of its own. */
  'allowUnrestrictedNetworking',
  /** The CPU's mitigations against speculation stay as they are on the host. */
  'allowSpeculation',
  /**
   * No Landlock behind the policy's mounts, and descriptors of directories can be given to the sandboxee. One of them is
   * the whole host, by "..", with all that the sandboxee's uid may do there.
   */
  'allowPathsOutsideMounts',
  /** Files in writable mounts can be executed. */
  'allowWriteExecutable',
] as const;

/** What weakens a sandbox is only done when it is named; a review can search for these words. */
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
