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

/**
 * A holds the word; leads to yes for one of the sorted values. It halves the list, so that a long one costs few tests.
 */
function oneOf(graph: Graph, values: readonly number[], yes: Node, no: Node): Node {
  const middle = values[values.length >> 1];
  if (values.length <= 4 || middle === undefined) {
    return values.reduceRight((rest, value) => graph.test(Opcode.JUMP_IF_EQUAL, value, yes, rest), no);
  }
  const half = values.length >> 1;
  return graph.test(
    Opcode.JUMP_IF_GREATER_OR_EQUAL,
    middle,
    oneOf(graph, values.slice(half), yes, no),
    oneOf(graph, values.slice(0, half), yes, no),
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
        [...lows].sort((a, b) => a - b),
        yes,
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
