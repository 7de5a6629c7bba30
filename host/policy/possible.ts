// What may happen to a call of which only some arguments are known: for questions like "can this ever be allowed?".
import { actionOf, normalReturn } from './actions.js';
import { DataOffset, dataSize } from './bpf/instructions.js';
import { possibleReturns, type Word } from './bpf/outcomes.js';
import { type KnownArguments, mayHold } from './conditions.js';
import { type Filter, type FilterParts, rulesFor } from './filter.js';
import type { Rule } from './rules.js';
import { auditArch, syscallNumber } from './syscalls.js';
import * as n from './tables/numbers.js';

function wordsOf(filter: Filter, number: number, known: KnownArguments): readonly Word[] {
  const words: Word[] = Array.from({ length: dataSize / 4 }, () => undefined);
  words[DataOffset.nr / 4] = number;
  words[DataOffset.arch / 4] = auditArch[filter.arch];
  for (const [index, value] of known) {
    words[DataOffset.argumentLow(index) / 4] = Number(BigInt.asUintN(32, value));
    words[DataOffset.argumentHigh(index) / 4] = Number(BigInt.asUintN(64, value) >> 32n);
  }
  return words;
}

/** Actions that may let a call happen: for a notified call, the host may. */
const lettingKinds: ReadonlySet<string> = new Set(['allow', 'notify']);

/** Whether a rule may allow the call, and whether it may leave the call to the next rule. */
function outcomeOf(filter: Filter, number: number, rule: Rule, known: KnownArguments) {
  const { body } = rule;
  if (body.kind === 'when') {
    const held = mayHold(body.condition, known);
    return { allows: held !== false && lettingKinds.has(body.action.kind), goesOn: held !== true };
  }
  const returned = possibleReturns(body.program, wordsOf(filter, number, known));
  const allows = [...returned].some(
    (value) => value !== undefined && lettingKinds.has(actionOf(normalReturn(value)).kind),
  );
  return { allows, goesOn: returned.has(undefined) };
}

/** True if any call of the syscall with these arguments may be allowed, by the policy or by the host's answer. */
export function mayBeAllowed(filter: Filter, syscall: string, known: KnownArguments): boolean {
  const number = syscallNumber(syscall, filter.arch);
  if (number === undefined) return false;
  for (const rule of rulesFor(filter, number)) {
    const { allows, goesOn } = outcomeOf(filter, number, rule, known);
    if (allows) return true;
    if (!goesOn) return false;
  }
  return false;
}

/**
 * The filter, and whether a process under it may make a socket. A socket belongs to the network of the process that made
 * it, and an accepted one to that of the socket that connected.
 */
export function completeFilter(parts: FilterParts): Filter {
  const filter: Filter = { ...parts, makesSockets: true };
  // No filter sees IORING_OP_SOCKET.
  const makers = ['socket', 'socketpair', 'io_uring_setup', 'io_uring_enter'];
  return { ...filter, makesSockets: makers.some((name) => mayBeAllowed(filter, name, new Map())) };
}

/** The calls by which a socket from outside can act in the network that it was made in, or report about it. */
export function waysToGivenNetworks(filter: Filter): readonly string[] {
  const ways: readonly (readonly [string, string, KnownArguments])[] = [
    ['bind', 'bind', new Map()],
    ['connect', 'connect', new Map()],
    ['listen', 'listen', new Map()],
    ['ioctl', 'ioctl(SIOCGIFCONF)', new Map([[1, BigInt(n.SIOCGIFCONF)]])],
  ];
  return ways.filter(([name, , known]) => mayBeAllowed(filter, name, known)).map(([, text]) => text);
}

const { PROT_READ, PROT_WRITE, PROT_EXEC } = n;
const executable = [
  PROT_EXEC,
  PROT_READ | PROT_EXEC,
  PROT_WRITE | PROT_EXEC,
  PROT_READ | PROT_WRITE | PROT_EXEC,
];

/**
 * The syscalls by which a program may run code that it has written itself: memory that is writable and executable at
 * once, or becomes executable afterwards. A program's stack and data are always writable.
 */
export function waysToCode(filter: Filter): readonly string[] {
  const may = (syscall: string, index: number, values: readonly number[]) =>
    values.some((value) => mayBeAllowed(filter, syscall, new Map([[index, BigInt(value)]])));
  const ways: readonly (readonly [string, boolean])[] = [
    [
      'mmap',
      may(
        'mmap',
        2,
        executable.filter((protection) => (protection & PROT_WRITE) !== 0),
      ),
    ],
    ['mprotect', may('mprotect', 2, executable)],
    ['pkey_mprotect', may('pkey_mprotect', 2, executable)],
    // A memfd can be written first and mapped afterwards.
    ['memfd_create', mayBeAllowed(filter, 'memfd_create', new Map()) && may('mmap', 2, executable)],
    ['shmat', may('shmat', 2, [n.SHM_EXEC])],
    // READ_IMPLIES_EXEC: all readable mappings can be executed.
    ['personality', may('personality', 0, [n.READ_IMPLIES_EXEC, n.READ_IMPLIES_EXEC | n.ADDR_NO_RANDOMIZE])],
  ];
  return ways.filter(([, isWay]) => isWay).map(([syscall]) => syscall);
}
