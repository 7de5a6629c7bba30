// Conditions as a graph of tests: each test leads to one node if it holds and to another if it does not.
import type { Graph, Node } from './bpf/graph.js';
import { DataOffset, Opcode } from './bpf/instructions.js';
import type { Comparison, Condition } from './conditions.js';

const low = (value: bigint): number => Number(BigInt.asUintN(32, value));
const high = (value: bigint): number => Number(BigInt.asUintN(32, value >> 32n));
const allBits = 0xffffffff;

/** A word of an argument, and the mask of its bits that count. */
interface Word {
  readonly offset: number;
  readonly mask: number;
}

function load(graph: Graph, word: Word, then: Node): Node {
  if (word.mask === allBits) return graph.step(Opcode.LOAD, word.offset, then);
  return graph.step(Opcode.LOAD, word.offset, graph.step(Opcode.AND, word.mask, then));
}

function wordsOf(arg: number, bits: 32 | 64, mask: bigint | undefined): { low: Word; high: Word } {
  const all = mask ?? 0xffffffffffffffffn;
  return {
    low: { offset: DataOffset.argumentLow(arg), mask: low(all) },
    // Bits that do not count are masked away.
    high: { offset: DataOffset.argumentHigh(arg), mask: bits === 32 ? 0 : high(all) },
  };
}

/** A holds the word; compares it with a value. */
function test(graph: Graph, op: Comparison, value: number, yes: Node, no: Node): Node {
  switch (op) {
    case '==':
      return graph.test(Opcode.JUMP_IF_EQUAL, value, yes, no);
    case '!=':
      return graph.test(Opcode.JUMP_IF_EQUAL, value, no, yes);
    case '>':
      return graph.test(Opcode.JUMP_IF_GREATER, value, yes, no);
    case '<=':
      return graph.test(Opcode.JUMP_IF_GREATER, value, no, yes);
    case '>=':
      return graph.test(Opcode.JUMP_IF_GREATER_OR_EQUAL, value, yes, no);
    case '<':
      return graph.test(Opcode.JUMP_IF_GREATER_OR_EQUAL, value, no, yes);
  }
}

/** The comparison that decides if the upper halves are equal, and where a greater upper half leads. */
const upperHalf: Record<Comparison, '>' | '<' | undefined> = {
  '==': undefined,
  '!=': undefined,
  '>': '>',
  '>=': '>',
  '<': '<',
  '<=': '<',
};

function compare(graph: Graph, condition: Condition & { kind: 'compare' }, yes: Node, no: Node): Node {
  const { op, value } = condition;
  const words = wordsOf(condition.arg, condition.bits, condition.mask);
  const lower = load(graph, words.low, test(graph, op, low(value), yes, no));
  if (words.high.mask === 0 && high(value) === 0) return lower;
  const direction = upperHalf[op];
  if (direction === undefined) {
    const differs = op === '==' ? no : yes;
    return load(graph, words.high, graph.test(Opcode.JUMP_IF_EQUAL, high(value), lower, differs));
  }
  const [greater, less] = direction === '>' ? [yes, no] : [no, yes];
  const equal = graph.test(Opcode.JUMP_IF_EQUAL, high(value), lower, less);
  return load(graph, words.high, graph.test(Opcode.JUMP_IF_GREATER, high(value), greater, equal));
}

/** A value and where it leads. */
type Case = readonly [value: number, node: Node];

/**
 * A holds the word; the cases are in the order of their values. It halves the list, so that a long one costs few tests.
 */
function oneOf(graph: Graph, cases: readonly Case[], no: Node): Node {
  const half = cases.length >> 1;
  const middle = cases[half];
  if (cases.length <= 4 || middle === undefined) {
    return cases.reduceRight(
      (rest, [value, node]) => graph.test(Opcode.JUMP_IF_EQUAL, value, node, rest),
      no,
    );
  }
  return graph.test(
    Opcode.JUMP_IF_GREATER_OR_EQUAL,
    middle[0],
    oneOf(graph, cases.slice(half), no),
    oneOf(graph, cases.slice(0, half), no),
  );
}

/** Values of which an int argument may be one. */
export type List = Condition & { readonly kind: 'in' };

export function isList(condition: Condition): condition is List {
  return condition.kind === 'in' && condition.bits === 32 && condition.mask === undefined;
}

/** Several lists for one argument, as one search: the first that has a value counts. */
export function compileLists(
  graph: Graph,
  lists: readonly { readonly condition: List; readonly node: Node }[],
  no: Node,
): Node {
  const [first] = lists;
  if (first === undefined) return no;
  const cases = new Map<number, Node>();
  for (const { condition, node } of lists) {
    for (const value of condition.values) {
      if (value <= allBits && !cases.has(low(value))) cases.set(low(value), node);
    }
  }
  const { low: word } = wordsOf(first.condition.arg, 32, undefined);
  return load(
    graph,
    word,
    oneOf(
      graph,
      [...cases].sort(([a], [b]) => a - b),
      no,
    ),
  );
}

function isIn(graph: Graph, condition: Condition & { kind: 'in' }, yes: Node, no: Node): Node {
  const words = wordsOf(condition.arg, condition.bits, condition.mask);
  const byHigh = new Map<number, Set<number>>();
  for (const value of condition.values) {
    const lows = byHigh.get(high(value)) ?? new Set();
    byHigh.set(high(value), lows.add(low(value)));
  }
  const lower = (lows: ReadonlySet<number>) =>
    load(
      graph,
      words.low,
      oneOf(
        graph,
        [...lows].sort((a, b) => a - b).map((value) => [value, yes]),
        no,
      ),
    );
  if (words.high.mask === 0) return lower(byHigh.get(0) ?? new Set());
  let rest = no;
  for (const [upper, lows] of byHigh) rest = graph.test(Opcode.JUMP_IF_EQUAL, upper, lower(lows), rest);
  return load(graph, words.high, rest);
}

export function compileCondition(graph: Graph, condition: Condition, yes: Node, no: Node): Node {
  switch (condition.kind) {
    case 'always':
      return yes;
    case 'not':
      return compileCondition(graph, condition.of, no, yes);
    case 'all':
      return condition.of.reduceRight((then, part) => compileCondition(graph, part, then, no), yes);
    case 'any':
      return condition.of.reduceRight((otherwise, part) => compileCondition(graph, part, yes, otherwise), no);
    case 'compare':
      return compare(graph, condition, yes, no);
    case 'in':
      return isIn(graph, condition, yes, no);
    case 'anyBit': {
      const words = wordsOf(condition.arg, condition.bits, undefined);
      const upper = high(condition.value);
      const lower = load(graph, words.low, graph.test(Opcode.JUMP_IF_ANY_BIT, low(condition.value), yes, no));
      if (words.high.mask === 0 || upper === 0) return lower;
      return load(graph, words.high, graph.test(Opcode.JUMP_IF_ANY_BIT, upper, yes, lower));
    }
  }
}
