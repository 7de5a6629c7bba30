// What stands before every user's rules: the launch itself, and what a sandboxee is never given by accident.
import { Handshake, WireFd } from '../../protocol/wire.generated.js';
import { ALLOW, ARG_32, type Bpf, ERRNO, JA32, JEQ32, JNE32, JUMP, KILL, LABEL } from './bpf/macros.js';

const AT_EMPTY_PATH = 0x1000;
const SECCOMP_FILTER_FLAG_NEW_LISTENER = 1 << 3;
/** CLONE_NEW{TIME,NS,CGROUP,UTS,IPC,USER,PID,NET}. */
const CLONE_NEW_NAMESPACES = 0x7e020080;
/** CLONE_NEWTIME shares its bit with the exit signal in clone(), where it cannot be asked for. */
const CLONE_NEW_NAMESPACES_IN_CLONE = 0x7e020000;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;

/** Pieces before whatever the policy says of a syscall. None of them lets through what could do harm. */
export const preamble: Readonly<Record<string, Bpf>> = {
  // With this close the process tells the supervisor that its filter is in force.
  close: [ARG_32(0), JEQ32(WireFd.RENDEZVOUS_FD, ALLOW)],
  // The launch. The supervisor lets it through once; later it is a violation like any other.
  execveat: [
    ARG_32(4),
    JNE32(AT_EMPTY_PATH, JUMP('other')),
    ARG_32(5),
    JEQ32(Handshake.EXEC_MAGIC, KILL),
    LABEL('other'),
  ],
  clone: [ARG_32(0), JA32(CLONE_NEW_NAMESPACES_IN_CLONE, KILL)],
  unshare: [ARG_32(0), JA32(CLONE_NEW_NAMESPACES, KILL)],
  seccomp: [ARG_32(1), JA32(SECCOMP_FILTER_FLAG_NEW_LISTENER, KILL)],
  // They put characters into the terminal's input, as if typed.
  ioctl: [ARG_32(1), JEQ32(TIOCSTI, KILL), JEQ32(TIOCLINUX, KILL)],
};

/** The whole block of the magic syscall. */
export const magicSyscall: { readonly number: number; readonly block: Bpf } = {
  number: Handshake.MAGIC_SYSCALL,
  block: [
    ARG_32(0),
    JEQ32(Handshake.MAGIC_ARG_RENDEZVOUS, KILL),
    JEQ32(Handshake.MAGIC_ARG_DETECT, ERRNO(Handshake.MAGIC_SANDWIRE_ERRNO)),
    ERRNO(Handshake.MAGIC_ERRNO),
  ],
};

/** Syscalls whose arguments lie in memory, where no filter can see them; programs fall back to the older ones. */
export const answeredWithEnosys = ['clone3'] as const;

/** Can never be allowed, only answered with an errno: with them a process leaves the policy, or changes others'. */
export const neverAllowed: ReadonlySet<string> = new Set(['ptrace', 'bpf']);

/** A violation even where everything else is allowed, unless the policy names them itself. */
export const dangerous = [
  'ptrace',
  'bpf',
  'setns',
  'mount',
  'umount2',
  'pivot_root',
  'move_mount',
  'open_tree',
  'fsopen',
  'fsconfig',
  'fsmount',
  'fspick',
  'mount_setattr',
  'keyctl',
  'add_key',
  'request_key',
  'userfaultfd',
  'process_vm_readv',
  'process_vm_writev',
  'io_uring_setup',
  'io_uring_enter',
  'io_uring_register',
  'pidfd_getfd',
  'perf_event_open',
  'init_module',
  'finit_module',
  'delete_module',
  'kexec_load',
  'kexec_file_load',
  'open_by_handle_at',
  'name_to_handle_at',
  'quotactl',
  'swapon',
  'swapoff',
  'reboot',
  'acct',
  'chroot',
  'lookup_dcookie',
  'nfsservctl',
  'fanotify_init',
  'kcmp',
  'iopl',
  'ioperm',
  'modify_ldt',
  'vhangup',
] as const;
