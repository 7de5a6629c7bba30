// What stands before every rule of the user: the launch itself, and what a sandboxee is never given by accident.
import { Handshake, WireFd } from '../../protocol/wire.generated.js';
import type { Action } from './actions.js';
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

/** The number that is no syscall, with which a sandboxee speaks to its supervisor. */
export const magicSyscall = Handshake.MAGIC_SYSCALL;

/** All rules of the magic syscall. */
export const magicRules: readonly Rule[] = [
  rule(is(0, Handshake.MAGIC_ARG_RENDEZVOUS), { kind: 'launch' }),
  rule(is(0, Handshake.MAGIC_ARG_DETECT), { kind: 'errno', errno: Handshake.MAGIC_SANDWIRE_ERRNO }),
  rule({ kind: 'always' }, { kind: 'errno', errno: Handshake.MAGIC_ERRNO }),
];

interface Piece {
  /** With this token the piece is left out. */
  readonly waivedBy?: DangerousToken;
  readonly rule: Rule;
  /** What no token waives. */
  readonly strict?: Rule;
}

/** By syscall name. None of them lets through what could do harm. */
export const preamble: ReadonlyMap<string, Piece> = new Map<string, Piece>([
  // With this close the process tells the supervisor that its filter is in force.
  ['close', { rule: rule(is(0, WireFd.RENDEZVOUS_FD), allow) }],
  // The launch. The supervisor lets it through once; later it is a violation like any other.
  [
    'execveat',
    {
      rule: rule(
        { kind: 'all', of: [is(4, n.AT_EMPTY_PATH), is(5, Handshake.EXEC_MAGIC)] },
        { kind: 'launch' },
      ),
    },
  ],
  [
    'clone',
    {
      waivedBy: 'allowNewNamespaces',
      rule: rule(has(0, newNamespacesInClone), violation),
      // The sandboxee's parent is the supervisor: such a child would be nobody's in the sandbox, and nothing would show
      // that it is left there when the sandboxee has ended.
      strict: rule(has(0, n.CLONE_PARENT), violation),
    },
  ],
  ['unshare', { waivedBy: 'allowNewNamespaces', rule: rule(has(0, newNamespaces), violation) }],
  [
    'seccomp',
    {
      waivedBy: 'allowSeccompListener',
      rule: rule(has(1, n.SECCOMP_FILTER_FLAG_NEW_LISTENER), violation),
    },
  ],
  // They put characters into the terminal's input, as if typed.
  ['ioctl', { waivedBy: 'allowTerminalInjection', rule: rule(is(1, n.TIOCSTI, n.TIOCLINUX), violation) }],
]);

/** Syscalls whose arguments lie in memory, where no filter can see them; programs fall back to the older ones. */
export const answeredWithEnosys: ReadonlySet<string> = new Set(['clone3']);
