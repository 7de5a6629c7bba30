// What stays refused although a policy allows it, without ending the run: a program that tries it gets an errno that it
// knows. Where the policy allows nothing of the kind, a call is the violation that it would be without.
import { errnoNumber } from './actions.js';
import { always, type Condition, mayOverlap } from './conditions.js';
import { possibleActions, type Rule, unconditional } from './rules.js';
import * as n from './tables/numbers.js';
import type { DangerousToken } from './tokens.js';

interface Restraint {
  readonly condition: Condition;
  readonly errno: string;
}

interface Restraints {
  /** Under every policy. */
  readonly always?: Restraint;
  /** In its place, and refusing all that it refuses, where no socket can be made: those that exist have been given. */
  readonly ofGivenSockets: Restraint;
}

/** Of a policy. */
export interface Restrained {
  readonly tokens: ReadonlySet<DangerousToken>;
  readonly makesSockets: boolean;
}

const is = (arg: number, values: readonly number[], mask?: number): Condition => ({
  kind: 'in',
  arg,
  bits: 32,
  ...(mask !== undefined && { mask: BigInt(mask) }),
  values: values.map(BigInt),
});
const not = (of: Condition): Condition => ({ kind: 'not', of });
const option = (level: number, ...names: number[]): Condition => ({
  kind: 'all',
  of: [is(1, [level]), is(2, names)],
});

/** What kernel and drivers take for a socket's network (sock_ioctl() in net/socket.c): sockios.h, wireless.h. */
const isOfInterfaces: Condition = {
  kind: 'all',
  of: [
    is(1, [n.SIOC_TYPE, n.SIOC_WIRELESS_TYPE], 0xff00),
    not(
      is(1, [
        ...[n.FIOSETOWN, n.SIOCSPGRP, n.FIOGETOWN, n.SIOCGPGRP],
        ...[n.SIOCATMARK, n.SIOCGSTAMP_OLD, n.SIOCGSTAMPNS_OLD, n.SIOCOUTQNSD],
      ]),
    ),
  ],
};

/** Options that change nothing but this socket, and how its own end waits. */
const harmlessToSet: Condition = {
  kind: 'any',
  of: [
    option(
      n.SOL_SOCKET,
      ...[n.SO_REUSEADDR, n.SO_SNDBUF, n.SO_RCVBUF, n.SO_KEEPALIVE, n.SO_OOBINLINE, n.SO_PASSCRED],
      ...[n.SO_RCVLOWAT, n.SO_RCVTIMEO_OLD, n.SO_SNDTIMEO_OLD, n.SO_RCVTIMEO_NEW, n.SO_SNDTIMEO_NEW],
    ),
    option(
      n.IPPROTO_TCP,
      ...[n.TCP_NODELAY, n.TCP_CORK, n.TCP_KEEPIDLE, n.TCP_KEEPINTVL, n.TCP_KEEPCNT, n.TCP_QUICKACK],
      n.TCP_NOTSENT_LOWAT,
    ),
  ],
};

/** Options that tell of nothing but this socket. */
const harmlessToGet: Condition = {
  kind: 'any',
  of: [
    option(
      n.SOL_SOCKET,
      ...[n.SO_REUSEADDR, n.SO_TYPE, n.SO_ERROR, n.SO_BROADCAST, n.SO_SNDBUF, n.SO_RCVBUF, n.SO_KEEPALIVE],
      ...[
        n.SO_OOBINLINE,
        n.SO_LINGER,
        n.SO_REUSEPORT,
        n.SO_PASSCRED,
        n.SO_PEERCRED,
        n.SO_RCVLOWAT,
        n.SO_SNDLOWAT,
      ],
      ...[n.SO_RCVTIMEO_OLD, n.SO_SNDTIMEO_OLD, n.SO_RCVTIMEO_NEW, n.SO_SNDTIMEO_NEW],
      ...[n.SO_ACCEPTCONN, n.SO_PROTOCOL, n.SO_DOMAIN, n.SO_PEEK_OFF],
    ),
    is(1, [n.IPPROTO_TCP]),
  ],
};

const addresses: Restraints = { ofGivenSockets: { condition: always, errno: 'EACCES' } };

/**
 * A socket that was given belongs to the network of its maker. By an address it reaches others there; ioctls and options
 * tell of that network and its interfaces. What is left is to read, write, accept and end.
 */
const restraints: ReadonlyMap<string, Restraints> = new Map<string, Restraints>([
  ['bind', addresses],
  ['connect', addresses],
  ['listen', addresses],
  [
    'ioctl',
    {
      // A descriptor of the socket's network namespace.
      always: { condition: is(1, [n.SIOCGSKNS]), errno: 'EPERM' },
      ofGivenSockets: { condition: isOfInterfaces, errno: 'EPERM' },
    },
  ],
  [
    'setsockopt',
    {
      // Each message then brings a pidfd of its writer, or the writer's security label. Whoever closes a socket that
      // lingers waits for its peer, for days if it says so: the host too, if it is sent the socket (closer.h of libsandwire).
      always: {
        condition: option(n.SOL_SOCKET, n.SO_PASSPIDFD, n.SO_PASSSEC, n.SO_LINGER),
        errno: 'ENOPROTOOPT',
      },
      ofGivenSockets: { condition: not(harmlessToSet), errno: 'ENOPROTOOPT' },
    },
  ],
  [
    'getsockopt',
    {
      // A pidfd, or the security label, of the process at the other end; numbers that count the machine's sockets and
      // network namespaces.
      always: {
        condition: option(n.SOL_SOCKET, n.SO_PEERPIDFD, n.SO_PEERSEC, n.SO_COOKIE, n.SO_NETNS_COOKIE),
        errno: 'ENOPROTOOPT',
      },
      ofGivenSockets: { condition: not(harmlessToGet), errno: 'ENOPROTOOPT' },
    },
  ],
]);

/** The syscalls of which some calls are. */
export const restrainedSyscalls: readonly string[] = [...restraints.keys()];

/** Whether the rule may let through what is restrained. */
function mayLet(rule: Rule, condition: Condition): boolean {
  const { body } = rule;
  const letting = possibleActions(rule).some(({ kind }) => kind === 'allow' || kind === 'notify');
  return letting && (body.kind === 'program' || mayOverlap(body.condition, condition));
}

const refusal = ({ condition, errno }: Restraint): Rule => ({
  by: 'preamble',
  body: { kind: 'when', condition, action: { kind: 'errno', errno: errnoNumber(errno) } },
});

/** The restraint of the syscall under this policy. */
function restraintOn({ tokens, makesSockets }: Restrained, syscall: string): Restraint | undefined {
  const found = restraints.get(syscall);
  return makesSockets || tokens.has('allowSocketControl') ? found?.always : found?.ofGivenSockets;
}

/** The same rules, with the refusal in front of the first that may let through what is refused. */
export function restrain(restrained: Restrained, syscall: string, rules: readonly Rule[]): readonly Rule[] {
  const restraint = restraintOn(restrained, syscall);
  if (restraint === undefined) return rules;
  const deciding = rules.findIndex((rule) => unconditional(rule) !== undefined);
  const place = rules.slice(0, deciding + 1).findIndex((rule) => mayLet(rule, restraint.condition));
  return place < 0 ? rules : [...rules.slice(0, place), refusal(restraint), ...rules.slice(place)];
}
