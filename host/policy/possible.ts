// What may happen to a call of which only some arguments are known: for questions like "can this ever be allowed?".
import { actionOf, normalReturn } from './actions.js';
import { DataOffset, dataSize } from './bpf/instructions.js';
import { possibleReturns, type Word } from './bpf/outcomes.js';
import { type Condition, holds } from './conditions.js';
import { type Filter, rulesFor } from './filter.js';
import type { Rule } from './rules.js';
import { auditArch, syscallNumber } from './syscalls.js';
import * as n from './tables/numbers.js';

/** Values by argument index; other arguments may be anything. */
export type KnownArguments = ReadonlyMap<number, bigint>;

/** undefined: it depends on arguments that are not known. */
function mayHold(condition: Condition, known: KnownArguments): boolean | undefined {
  switch (condition.kind) {
    case 'always':
      return true;
    case 'not': {
      const part = mayHold(condition.of, known);
      return part === undefined ? undefined : !part;
    }
    case 'all':
    case 'any': {
      const parts = condition.of.map((part) => mayHold(part, known));
      const deciding = condition.kind === 'any';
      if (parts.includes(deciding)) return deciding;
      return parts.includes(undefined) ? undefined : !deciding;
    }
    default: {
      const value = known.get(condition.arg);
      if (value === undefined) return undefined;
      return holds(
        condition,
        Array.from({ length: 6 }, () => value),
      );
    }
  }
}

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
 * True if a process under the filter may make a socket. A socket belongs to the network of the process that made it, an
 * accepted one to that of its listening socket, and one that was handed in to the host's.
 */
export function maySocketsBeMade(filter: Filter): boolean {
  // No filter sees IORING_OP_SOCKET.
  return ['socket', 'socketpair', 'io_uring_setup', 'io_uring_enter'].some((name) =>
    mayBeAllowed(filter, name, new Map()),
  );
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
