// The rules that come before all rules of the policy: the launch call, and what a sandboxee must never get by accident.
import { Handshake, WireFd } from '../../protocol/wire.generated.js';
import { type Action, errnoNumber } from './actions.js';
import type { Condition } from './conditions.js';
import type { Rule } from './rules.js';
import * as n from './tables/numbers.js';
import type { DangerousToken } from './tokens.js';

/** Not CLONE_NEWTIME, which shares its bit with the exit signal in clone() and cannot be asked for there. */
const newNamespacesInClone =
  n.CLONE_NEWNS |
  n.CLONE_NEWCGROUP |
  n.CLONE_NEWUTS |
  n.CLONE_NEWIPC |
  n.CLONE_NEWUSER |
  n.CLONE_NEWPID |
  n.CLONE_NEWNET;
const newNamespaces = newNamespacesInClone | n.CLONE_NEWTIME;

const allow: Action = { kind: 'allow' };
const violation: Action = { kind: 'violation' };

// The kernel ignores the upper halves of all of these.
const is = (arg: number, ...values: number[]): Condition => ({
  kind: 'in',
  arg,
  bits: 32,
  values: values.map(BigInt),
});
const has = (arg: number, bits: number): Condition => ({
  kind: 'anyBit',
  arg,
  bits: 32,
  value: BigInt(bits),
});

function rule(condition: Condition, action: Action): Rule {
  return { by: 'preamble', body: { kind: 'when', condition, action } };
}

/** A number that is not a syscall, with which a sandboxee speaks to its supervisor. */
export const magicSyscall = Handshake.MAGIC_SYSCALL;

/** All rules of the magic syscall. */
export const magicRules: readonly Rule[] = [
  rule(is(0, Handshake.MAGIC_ARG_DETECT), { kind: 'errno', errno: Handshake.MAGIC_SANDWIRE_ERRNO }),
  rule({ kind: 'always' }, { kind: 'errno', errno: Handshake.MAGIC_ERRNO }),
];

interface Piece {
  /** This token leaves the piece out. */
  readonly waivedBy?: DangerousToken;
  /** Only if Landlock alone hides the host's files. */
  readonly underLandlockOnly?: boolean;
  readonly rule: Rule;
}

const refusal = (name: string): Action => ({ kind: 'errno', errno: errnoNumber(name) });

/** What a Landlock ruleset does not govern (landlock(7), "Current limitations"). */
const beyondLandlock = (condition: Condition, errno: string): Piece => ({
  waivedBy: 'allowPathsOutsideMounts',
  underLandlockOnly: true,
  rule: rule(condition, refusal(errno)),
});

const opensForIoctl = (arg: number): Condition => ({
  kind: 'in',
  arg,
  bits: 32,
  mask: BigInt(n.O_ACCMODE),
  values: [3n],
});

const makesListener = has(1, n.SECCOMP_FILTER_FLAG_NEW_LISTENER);

/** A pointer has 64 bits; it is NULL only if all of them are 0. */
const isGiven = (arg: number): Condition => ({ kind: 'compare', arg, bits: 64, op: '!=', value: 0n });

/**
 * The host's core_pattern program is started for any limit of core files but 1, even for 0 (coredump_pipe() in the
 * kernel's fs/coredump.c). So the limit stays as it was set. Programs lower it to protect their secrets, and some exit
 * if they cannot; so the call reports success.
 */
const changesCoreLimit = (resource: number, given: Condition[], errno: number): Piece => ({
  rule: rule({ kind: 'all', of: [is(resource, n.RLIMIT_CORE), ...given] }, { kind: 'errno', errno }),
});

/** Syscalls that change a file's attributes, by its name or by a descriptor. */
const changesOfAttributes = [
  ...['chmod', 'fchmod', 'fchmodat', 'fchmodat2', 'chown', 'lchown', 'fchown', 'fchownat'],
  ...['utime', 'utimes', 'futimesat', 'utimensat', 'file_setattr'],
  ...['setxattr', 'lsetxattr', 'fsetxattr', 'setxattrat'],
  ...['removexattr', 'lremovexattr', 'fremovexattr', 'removexattrat'],
];

/** ioctls that do the same; the file need only be open for reading. */
const changesOfFlags = is(
  1,
  ...[n.FS_IOC_SETFLAGS, n.FS_IOC_SETVERSION, n.FS_IOC_FSSETXATTR, n.FS_IOC_ENABLE_VERITY],
  ...[n.FS_IOC_SET_ENCRYPTION_POLICY, n.EXT4_IOC_SETVERSION, n.EXT4_IOC_MIGRATE, n.FAT_IOCTL_SET_ATTRIBUTES],
);

/** ioctls that make subvolumes in directories that are shown read-only, and reveal names. */
const isOfBtrfs: Condition = {
  kind: 'in',
  arg: 1,
  bits: 32,
  mask: 0xff00n,
  values: [BigInt(n.BTRFS_IOCTL_MAGIC << 8)],
};
const clonesOrCompares = is(1, n.FICLONE, n.FICLONERANGE, n.FIDEDUPERANGE);

/**
 * A terminal is shared by all processes that have it open, and what is done to it outlives the sandbox. After TIOCEXCL
 * (which TIOCNXCL undoes) no process could open it any more, after TIOCSETD with N_NULL none could read or write it, and
 * after TCXONC with TCOOFF the next write would wait for ever. The other calls need a capability that no sandboxee has, as
 * do those for the screen and keyboard of the machine (linux/kd.h, linux/vt.h).
 */
const breaksTerminal = is(
  1,
  ...[n.TIOCEXCL, n.TIOCNXCL, n.TIOCSETD, n.TCXONC],
  ...[n.TIOCCONS, n.TIOCVHANGUP, n.TIOCSLCKTRMIOS],
);

/**
 * The settings of a terminal say which characters are signals to its foreground processes, and which one stops its output.
 * A terminal answers a question for its type or its cursor. With a character of that answer as VINTR or VSTOP, a sandboxee
 * could kill or block the host. The other calls change what a serial line keeps (speed, handshake, modem lines, a break),
 * the size (the foreground gets SIGWINCH), and what has been typed ahead.
 */
const setsTerminal = is(
  1,
  ...[n.TCSETS, n.TCSETSW, n.TCSETSF, n.TCSETA, n.TCSETAW, n.TCSETAF, n.TCSETS2, n.TCSETSW2, n.TCSETSF2],
  ...[n.TIOCSSOFTCAR, n.TIOCSWINSZ, n.TCFLSH, n.TIOCMBIS, n.TIOCMBIC, n.TIOCMSET, n.TIOCSBRK, n.TIOCCBRK],
  ...[n.TIOCSSERIAL, n.TIOCSRS485, n.TIOCSISO7816],
);

/** The pieces by syscall name, in this order. None of them allows anything that could do harm. */
export const preamble: ReadonlyMap<string, readonly Piece[]> = new Map<string, readonly Piece[]>([
  // With this close the process reports to the supervisor that its filter is in force.
  ['close', [{ rule: rule(is(0, WireFd.RENDEZVOUS_FD), allow) }]],
  // The launch call. The supervisor lets it through once; later it is a violation like any other. A program that executes
  // no other closes its listener by it.
  ['close_range', [{ rule: rule(is(5, Handshake.CLOSE_MAGIC), { kind: 'launch' }) }]],
  [
    'execveat',
    [
      {
        rule: rule(
          { kind: 'all', of: [is(4, n.AT_EMPTY_PATH), is(5, Handshake.EXEC_MAGIC)] },
          { kind: 'launch' },
        ),
      },
    ],
  ],
  [
    'clone',
    [
      // The sandboxee's parent is the supervisor. So a child with CLONE_PARENT would have no parent in the sandbox, and
      // nothing would show that it is left behind when the sandboxee has ended.
      { rule: rule(has(0, n.CLONE_PARENT), violation) },
      { waivedBy: 'allowNewNamespaces', rule: rule(has(0, newNamespacesInClone), violation) },
    ],
  ],
  ['unshare', [{ waivedBy: 'allowNewNamespaces', rule: rule(has(0, newNamespaces), violation) }]],
  // Of two filters the stricter answer counts, and an errno is stricter than a violation, which is a notification; of
  // two notifications the newer filter's counts (seccomp(2)). So with a filter of its own a sandboxee could hide its
  // violations. It gets the answer of a kernel without filters, and programs go on without one.
  [
    'seccomp',
    [
      { waivedBy: 'allowSeccompListener', rule: rule(makesListener, violation) },
      // The last step of sandbox2's own client in its sandboxMeHere(): a filter for all threads. The supervisor lets
      // the call through for such a client alone, and under that filter the same call kills from then on. For every
      // other sandboxee it is a violation.
      {
        rule: rule(
          {
            kind: 'all',
            of: [
              is(0, n.SECCOMP_SET_MODE_FILTER),
              has(1, n.SECCOMP_FILTER_FLAG_TSYNC),
              is(3, Handshake.EXEC_MAGIC),
            ],
          },
          { kind: 'launch' },
        ),
      },
      {
        waivedBy: 'allowSeccompFilters',
        rule: rule(
          { kind: 'all', of: [is(0, n.SECCOMP_SET_MODE_FILTER), { kind: 'not', of: makesListener }] },
          refusal('EINVAL'),
        ),
      },
    ],
  ],
  [
    'prctl',
    [
      {
        waivedBy: 'allowSeccompFilters',
        rule: rule(
          { kind: 'all', of: [is(0, n.PR_SET_SECCOMP), is(1, n.SECCOMP_MODE_FILTER)] },
          refusal('EINVAL'),
        ),
      },
    ],
  ],
  [
    'ioctl',
    [
      { rule: rule(breaksTerminal, violation) },
      // Programs that want other settings go on without. Node expects this errno, too (ResetStdio() in its node.cc).
      { waivedBy: 'allowTerminalSettings', rule: rule(setsTerminal, refusal('EPERM')) },
      // They put characters into the terminal's input, as if typed.
      { waivedBy: 'allowTerminalInjection', rule: rule(is(1, n.TIOCSTI, n.TIOCLINUX), violation) },
      // A terminal that was handed in would be hung up when the sandboxee ends. Shells work without a controlling
      // terminal.
      { waivedBy: 'allowTerminalInjection', rule: rule(is(1, n.TIOCSCTTY), refusal('EPERM')) },
      beyondLandlock(changesOfFlags, 'EPERM'),
      beyondLandlock({ kind: 'all', of: [isOfBtrfs, { kind: 'not', of: clonesOrCompares }] }, 'EPERM'),
    ],
  ],
  ['setrlimit', [changesCoreLimit(0, [], 0)]],
  [
    'prlimit64',
    [
      // A call that also asks for the old limit would not get it, so it must not report success.
      changesCoreLimit(1, [isGiven(2), isGiven(3)], errnoNumber('EPERM')),
      changesCoreLimit(1, [isGiven(2)], 0),
    ],
  ],
  [
    'fcntl',
    [
      // The next process that opens the file, on the host too, waits for the holder of the lease, up to 45 s (fcntl(2)).
      // F_NOTIFY reports what other processes do in a directory.
      { rule: rule(is(1, n.F_SETLEASE, n.F_SETDELEG, n.F_NOTIFY), violation) },
    ],
  ],
  [
    'socket',
    [
      // Address families that have no network namespaces. Programs that try them go on without.
      {
        waivedBy: 'allowUnrestrictedNetworking',
        rule: rule(is(0, n.AF_VSOCK, n.AF_QIPCRTR), refusal('EAFNOSUPPORT')),
      },
      beyondLandlock(is(0, n.AF_UNIX), 'EACCES'),
    ],
  ],
  // Datagram sockets of a pair can be connected elsewhere and send elsewhere; AF_UNIX treats SOCK_RAW as SOCK_DGRAM.
  [
    'socketpair',
    [
      beyondLandlock(
        { kind: 'in', arg: 1, bits: 32, mask: 0xfn, values: [BigInt(n.SOCK_DGRAM), BigInt(n.SOCK_RAW)] },
        'EACCES',
      ),
    ],
  ],
  // It reveals the names of a directory's files, and what is done with them.
  ['inotify_add_watch', [beyondLandlock({ kind: 'always' }, 'EACCES')]],
  // Access mode 3, neither reading nor writing, exists for ioctl(): Landlock has nothing to forbid. The flags of
  // openat2 are in memory, where no filter sees them; programs fall back to openat.
  ['open', [beyondLandlock(opensForIoctl(1), 'EACCES')]],
  ['openat', [beyondLandlock(opensForIoctl(2), 'EACCES')]],
  ['openat2', [beyondLandlock({ kind: 'always' }, 'ENOSYS')]],
  ...changesOfAttributes.map((name) => [name, [beyondLandlock({ kind: 'always' }, 'EPERM')]] as const),
]);

/** Syscalls whose arguments are in memory, where no filter can see them; programs fall back to older ones. */
export const answeredWithEnosys: ReadonlySet<string> = new Set(['clone3']);

/**
 * Syscalls that report more of the host than what is shown, and that most programs can do without. A policy that allows
 * all syscalls does not allow these, unless it names them.
 */
export const onlyByName: ReadonlyMap<string, Action> = new Map([
  // Reports who opens, reads or executes a file in a directory that is shown, processes of the host included.
  ['inotify_add_watch', refusal('EACCES')],
  // Report the device and the path on the host that a mount comes from. Programs fall back to /proc/self/mountinfo.
  ['statmount', refusal('ENOSYS')],
  ['listmount', refusal('ENOSYS')],
  ['listns', refusal('ENOSYS')],
]);
