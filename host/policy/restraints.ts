// Restraints: calls on sockets that fail with an errno although a rule of the policy allows them. The run goes on. If no
// rule allows such calls, there is no restraint, and they remain violations.
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
  /** For policies under which sockets can be made, and those with the token. */
  readonly always?: Restraint;
  /** For the others, whose sockets all come from outside. It covers the calls of the first one. */
  readonly ofGivenSockets: Restraint;
}

/** What decides which restraints a policy has. */
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

/** Requests about the socket's network (sock_ioctl() in net/socket.c): those of sockios.h and wireless.h. */
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

/** Options that affect this end of the socket only. */
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

/** Options that report about this socket only. */
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
 * A socket from outside belongs to the network of the process that made it. With an address it can reach others there;
 * ioctls and options report about that network. Reading, writing, accepting and shutting down remain.
 */
const restraints: ReadonlyMap<string, Restraints> = new Map<string, Restraints>([
  ['bind', addresses],
  ['connect', addresses],
  ['listen', addresses],
  [
    'ioctl',
    {
      // It returns a descriptor of the socket's network namespace.
      always: { condition: is(1, [n.SIOCGSKNS]), errno: 'EPERM' },
      ofGivenSockets: { condition: isOfInterfaces, errno: 'EPERM' },
    },
  ],
  [
    'setsockopt',
    {
      // Each message would then carry a pidfd of its writer, or the writer's security label. The close() of a socket that
      // lingers waits for the peer, for days if so set. If the host was sent the socket, the host would wait (closer.h of
      // libsandwire).
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
      // A pidfd of the process at the other end, its security label, and running numbers of the machine's sockets and
      // network namespaces.
      always: {
        condition: option(n.SOL_SOCKET, n.SO_PEERPIDFD, n.SO_PEERSEC, n.SO_COOKIE, n.SO_NETNS_COOKIE),
        errno: 'ENOPROTOOPT',
      },
      ofGivenSockets: { condition: not(harmlessToGet), errno: 'ENOPROTOOPT' },
    },
  ],
]);

/** The syscalls that have restraints. */
export const restrainedSyscalls: readonly string[] = [...restraints.keys()];

/** True if the rule may allow a call that meets the condition. */
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

/** The same rules, with the restraint before the first rule that may allow what it refuses. */
export function restrain(restrained: Restrained, syscall: string, rules: readonly Rule[]): readonly Rule[] {
  const restraint = restraintOn(restrained, syscall);
  if (restraint === undefined) return rules;
  const deciding = rules.findIndex((rule) => unconditional(rule) !== undefined);
  const place = rules.slice(0, deciding + 1).findIndex((rule) => mayLet(rule, restraint.condition));
  return place < 0 ? rules : [...rules.slice(0, place), refusal(restraint), ...rules.slice(place)];
}
