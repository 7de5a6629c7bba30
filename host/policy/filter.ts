// The middle of the compiler: for each syscall the list of rules that decide it, the first match first, and their
// translation to BPF. The order is one that a user can predict: preamble, the policy's rules as they were called,
// presets' defaults, default action.
import { type Action, normalReturn, returnValue } from './actions.js';
import { Graph, type Node } from './bpf/graph.js';
import { DataOffset, type Instruction, maxInstructions, Opcode, readsX } from './bpf/instructions.js';
import { checkProgram, run } from './bpf/interpreter.js';
import { layOut, reachable } from './bpf/layout.js';
import { compileCondition, compileLists, isList, type List } from './compile-condition.js';
import { always, holds } from './conditions.js';
import { PolicyError } from './errors.js';
import { answeredWithEnosys, magicRules, magicSyscall, onlyByName, preamble } from './preamble.js';
import { restrain, restrainedSyscalls } from './restraints.js';
import { type Rule, type RuleTable, unconditional } from './rules.js';
import { type Arch, auditArch, foreignNumbers, isForeign, syscallName, syscallNumber } from './syscalls.js';
import { type DangerousToken, guardedSyscalls, guardOf } from './tokens.js';

/** What a builder or a policy file says. */
export interface FilterParts {
  readonly arch: Arch;
  readonly rules: RuleTable;
  readonly tokens: ReadonlySet<DangerousToken>;
  /** Landlock alone hides the host's files. */
  readonly landlockOnly: boolean;
  /** What happens to calls that no rule decides. */
  readonly defaultAction: Action & { readonly kind: 'allow' | 'violation' | 'notify' };
}

export interface Filter extends FilterParts {
  /** True if a process under it may make a socket (possible.ts). If false, all its sockets come from outside. */
  readonly makesSockets: boolean;
}

/** A call by another architecture's entry, or by the x32 interface. */
export const foreignRule: Rule = {
  by: 'preamble',
  body: { kind: 'when', condition: always, action: { kind: 'violation' } },
};

function lastRule(filter: Filter, number: number): Rule {
  const name = syscallName(number, filter.arch) ?? '';
  const say = (by: string, action: Action): Rule => ({
    by,
    body: { kind: 'when', condition: always, action },
  });
  if (answeredWithEnosys.has(name)) return say('preamble', { kind: 'errno', errno: 38 });
  const token = guardOf(name);
  if (token !== undefined && !filter.tokens.has(token)) return say('preamble', { kind: 'violation' });
  const unnamed = filter.defaultAction.kind === 'allow' ? onlyByName.get(name) : undefined;
  return unnamed === undefined ? say('defaultAction', filter.defaultAction) : say('preamble', unnamed);
}

/** The rules of the preamble for a syscall under this policy. */
function preambleFor({ tokens, landlockOnly }: Filter, name: string): readonly Rule[] {
  return (preamble.get(name) ?? [])
    .filter(({ waivedBy }) => waivedBy === undefined || !tokens.has(waivedBy))
    .filter(({ underLandlockOnly = false }) => landlockOnly || !underLandlockOnly)
    .map(({ rule }) => rule);
}

/** All rules that decide a syscall, in order. The last one decides every remaining call. */
export function rulesFor(filter: Filter, number: number): readonly Rule[] {
  if (number === magicSyscall) return magicRules;
  const last = lastRule(filter, number);
  // A preset's errno replaces a violation; it does not restrict a default action that allows.
  const isViolation = unconditional(last)?.kind === 'violation';
  const name = syscallName(number, filter.arch) ?? '';
  const rules = [
    ...filter.rules.of(number),
    ...filter.rules.overridableOf(number).filter(({ by }) => isViolation || by.startsWith('overridable')),
    last,
  ];
  return [...preambleFor(filter, name), ...restrain(filter, name, rules)];
}

/** The rule that decides a call on the filter's own architecture, and the value that it returns. */
export function decide(
  filter: Filter,
  number: number,
  args: readonly bigint[],
  words: Uint32Array,
): { rule: Rule; value: number } {
  if (isForeign(number, filter.arch)) return { rule: foreignRule, value: returnValue({ kind: 'violation' }) };
  for (const rule of rulesFor(filter, number)) {
    if (rule.body.kind === 'when') {
      if (holds(rule.body.condition, args)) return { rule, value: returnValue(rule.body.action) };
    } else {
      const value = run(rule.body.program, words, number);
      if (value !== undefined) return { rule, value: normalReturn(value) };
    }
  }
  throw new Error(`no rule decides syscall ${number}`); // the last one always does
}

/** The syscall numbers that have rules. */
export function numbersOf(filter: Filter): ReadonlySet<number> {
  const numbers = new Set<number>(filter.rules.numbers).add(magicSyscall);
  const begun = [...preamble.keys()].filter((name) => preambleFor(filter, name).length > 0);
  // A syscall without rules needs its restraint only if the default action allows.
  const restrained = filter.defaultAction.kind === 'violation' ? [] : restrainedSyscalls;
  const guarded = Object.values(guardedSyscalls).flat();
  const names = [...begun, ...restrained, ...answeredWithEnosys, ...onlyByName.keys(), ...guarded];
  for (const name of names) {
    const number = syscallNumber(name, filter.arch);
    if (number !== undefined) numbers.add(number);
  }
  return numbers;
}

function compileRule(graph: Graph, { body }: Rule, afterwards: Node): Node {
  if (body.kind === 'when') {
    return compileCondition(graph, body.condition, graph.return(returnValue(body.action)), afterwards);
  }
  // A piece of BPF starts with the syscall number in A; X holds nothing that another piece has left there.
  const piece = graph.program(body.program, afterwards, normalReturn);
  const withX = body.program.some(readsX) ? graph.step(Opcode.LOAD_X_IMMEDIATE, 0, piece) : piece;
  return graph.step(Opcode.LOAD, DataOffset.nr, withX);
}

interface ListRule {
  readonly condition: List;
  readonly action: Action;
}

function listOf({ by, body }: Rule): ListRule | undefined {
  return by === 'preamble' && body.kind === 'when' && isList(body.condition)
    ? { condition: body.condition, action: body.action }
    : undefined;
}

/** The rules in their order. Neighbouring lists of the preamble for one argument become one search. */
function compileRules(graph: Graph, rules: readonly Rule[]): Node {
  let node = graph.return(returnValue({ kind: 'violation' })); // unreachable: the last rule decides every call
  let lists: ListRule[] = [];
  const searchLists = () => {
    const cases = lists.map(({ condition, action }) => ({
      condition,
      node: graph.return(returnValue(action)),
    }));
    node = compileLists(graph, cases, node);
    lists = [];
  };
  for (const rule of [...rules].reverse()) {
    const list = listOf(rule);
    if (lists.some(({ condition }) => condition.arg !== list?.condition.arg)) searchLists();
    if (list === undefined) node = compileRule(graph, rule, node);
    else lists.unshift(list);
  }
  searchLists();
  return node;
}

interface Interval {
  readonly from: number;
  readonly node: Node;
}

/** The numbers as intervals that lead to the same node. The first interval begins at 0. */
function intervalsOf(blocks: ReadonlyMap<number, Node>, otherwise: Node, foreign: Node, arch: Arch) {
  const intervals: Interval[] = [];
  const add = (start: number, node: Node) => {
    if (intervals.at(-1)?.from === start) intervals.pop();
    if (intervals.at(-1)?.node !== node) intervals.push({ from: start, node });
  };
  const pieces = [
    ...[...blocks].map(([number, node]) => ({ first: number, last: number, node })),
    ...foreignNumbers[arch].map(([first, last]) => ({ first, last, node: foreign })),
  ];
  add(0, otherwise);
  for (const { first, last, node } of pieces.sort((one, other) => one.first - other.first)) {
    add(first, node);
    if (last < 0xffffffff) add(last + 1, otherwise);
  }
  return intervals;
}

/**
 * Throws Error unless each number is in exactly one interval, and in the right one. Otherwise the search tree would be
 * silently wrong.
 */
function checkIntervals(intervals: readonly Interval[], blocks: ReadonlyMap<number, Node>): void {
  const fault = (why: string): never => {
    throw new Error(`${why}: this is a bug in sandwire’s policy compiler`);
  };
  intervals.forEach(({ from }, index) => {
    const before = intervals[index - 1]?.from;
    const isNext = before === undefined ? from === 0 : from > before;
    if (!isNext || !Number.isInteger(from) || from > 0xffffffff) fault(`an interval begins at ${from}`);
  });
  let at = 0;
  for (const [number, node] of [...blocks].sort(([one], [other]) => one - other)) {
    while ((intervals[at + 1]?.from ?? Number.POSITIVE_INFINITY) <= number) at++;
    if (intervals[at]?.node !== node) fault(`syscall ${number} is not in the interval of its rules`);
  }
}

/**
 * A balanced search tree over the intervals, so that no syscall waits behind a chain of others. On the way only the
 * number and the architecture are tested, so the kernel can compute in advance which numbers are always allowed (its
 * bitmap of constant actions, seccomp_cache_prepare()).
 */
function searchTree(graph: Graph, intervals: readonly Interval[], first: number, last: number): Node {
  if (first === last) return (intervals[first] as Interval).node;
  const middle = (first + last + 1) >> 1;
  return graph.test(
    Opcode.JUMP_IF_GREATER_OR_EQUAL,
    (intervals[middle] as Interval).from,
    searchTree(graph, intervals, middle, last),
    searchTree(graph, intervals, first, middle - 1),
  );
}

function tooLong(filter: Filter, length: number, blocks: ReadonlyMap<number, Node>): PolicyError {
  const sizes = [...filter.rules.numbers].map((number) => ({
    number,
    size: reachable(blocks.get(number) as Node).length,
  }));
  sizes.sort((a, b) => b.size - a.size);
  const largest = sizes.slice(0, 5).map(({ number, size }) => {
    const rules = [...filter.rules.of(number), ...filter.rules.overridableOf(number)];
    const methods = [...new Set(rules.map((rule) => rule.by))];
    return `${syscallName(number, filter.arch) ?? number} ${size} (${methods.join(', ')})`;
  });
  return new PolicyError(
    'build',
    `the policy needs ${length} instructions and the kernel accepts ${maxInstructions}; it has rules for ` +
      `${filter.rules.numbers.size} syscalls, and these need the most: ${largest.join(', ')}`,
  );
}

/** Throws PolicyError if the program is longer than the kernel accepts. */
export function compile(filter: Filter): readonly Instruction[] {
  const graph = new Graph();
  const violation = graph.return(returnValue({ kind: 'violation' }));
  const blocks = new Map<number, Node>();
  for (const number of numbersOf(filter)) blocks.set(number, compileRules(graph, rulesFor(filter, number)));
  const otherwise = graph.return(returnValue(filter.defaultAction));
  const intervals = intervalsOf(blocks, otherwise, violation, filter.arch);
  checkIntervals(intervals, blocks);
  const tree = graph.step(Opcode.LOAD, DataOffset.nr, searchTree(graph, intervals, 0, intervals.length - 1));
  const root = graph.step(
    Opcode.LOAD,
    DataOffset.arch,
    graph.test(Opcode.JUMP_IF_EQUAL, auditArch[filter.arch], tree, violation),
  );
  const program = layOut(graph.withoutNeedlessLoads(root));
  if (program.length > maxInstructions) throw tooLong(filter, program.length, blocks);
  checkProgram(program);
  return program;
}
