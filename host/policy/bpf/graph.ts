// BPF as a graph: each instruction knows what it leads to, not how far it jumps. Equal tails are one node, so rules
// that end alike share code whatever their syscall. Classic BPF only jumps forward, so there are no cycles.
import { type Instruction, isJump, Opcode } from './instructions.js';

export type Node = ReturnNode | StepNode | TestNode;

interface Common {
  readonly id: number;
  readonly code: number;
  readonly k: number;
  /** The words of M, as bits, that are read from here on before they are written. */
  readonly readsMemory: number;
  /** True if the value of A on entry matters. */
  readonly readsA: boolean;
}

export interface ReturnNode extends Common {
  readonly kind: 'return';
}

/** An instruction that continues with the next. */
export interface StepNode extends Common {
  readonly kind: 'step';
  readonly next: Node;
}

/** A conditional jump. */
export interface TestNode extends Common {
  readonly kind: 'test';
  readonly yes: Node;
  readonly no: Node;
}

const overwritesA = new Set<number>([
  Opcode.LOAD,
  Opcode.LOAD_LENGTH,
  Opcode.LOAD_IMMEDIATE,
  Opcode.LOAD_MEMORY,
  Opcode.TXA,
]);
const ignoresA = new Set<number>([Opcode.LOAD_X_LENGTH, Opcode.LOAD_X_IMMEDIATE, Opcode.LOAD_X_MEMORY]);

/** Makes nodes, each one only once, and leaves out those that have no effect. */
export class Graph {
  readonly #nodes = new Map<string, Node>();
  #nextId = 0;

  /** How many different nodes there are. */
  get size(): number {
    return this.#nodes.size;
  }

  /** RET k, or RET A. */
  return(k: number, code: number = Opcode.RETURN): Node {
    const key = `${code} ${k}`;
    const present = this.#nodes.get(key);
    if (present !== undefined) return present;
    return this.#keep(key, {
      kind: 'return',
      id: this.#nextId++,
      code,
      k,
      readsMemory: 0,
      readsA: code === Opcode.RETURN_A,
    });
  }

  step(code: number, k: number, next: Node): Node {
    if (overwritesA.has(code) && !next.readsA) return next;
    const isStore = code === Opcode.STORE || code === Opcode.STORE_X;
    if (isStore && ((next.readsMemory >> k) & 1) === 0) return next;
    const key = `${code} ${k} ${next.id}`;
    const present = this.#nodes.get(key);
    if (present !== undefined) return present;
    const isMemoryLoad = code === Opcode.LOAD_MEMORY || code === Opcode.LOAD_X_MEMORY;
    const readsMemory = isStore
      ? next.readsMemory & ~(1 << k)
      : next.readsMemory | (isMemoryLoad ? 1 << k : 0);
    const readsA = overwritesA.has(code)
      ? false
      : code === Opcode.STORE_X || ignoresA.has(code)
        ? next.readsA
        : true;
    return this.#keep(key, { kind: 'step', id: this.#nextId++, code, k, next, readsMemory, readsA });
  }

  test(code: number, k: number, yes: Node, no: Node): Node {
    if (yes === no) return yes;
    const key = `${code} ${k} ${yes.id} ${no.id}`;
    const present = this.#nodes.get(key);
    if (present !== undefined) return present;
    return this.#keep(key, {
      kind: 'test',
      id: this.#nextId++,
      code,
      k,
      yes,
      no,
      readsMemory: yes.readsMemory | no.readsMemory,
      readsA: true,
    });
  }

  #keep(key: string, node: Node): Node {
    this.#nodes.set(key, node);
    return node;
  }

  /** Adds a piece of BPF. Falling off its end continues at afterwards. adjust: converts a returned value. */
  program(program: readonly Instruction[], afterwards: Node, adjust: (value: number) => number): Node {
    const nodes: Node[] = [];
    nodes[program.length] = afterwards;
    for (let at = program.length - 1; at >= 0; at--) {
      const { code, jt, jf, k } = program[at] as Instruction;
      const ahead = (distance: number) => nodes[at + 1 + distance] as Node;
      if (code === Opcode.RETURN) nodes[at] = this.return(adjust(k));
      else if (code === Opcode.RETURN_A) nodes[at] = this.return(0, code);
      else if (code === Opcode.JUMP) nodes[at] = ahead(k);
      else if (isJump(code)) nodes[at] = this.test(code, (code & 8) === 0 ? k : 0, ahead(jt), ahead(jf));
      else nodes[at] = this.step(code, k, ahead(0));
    }
    return nodes[0] as Node;
  }

  /** The same graph without loads of values that A, M[0] or M[1] already hold. */
  withoutNeedlessLoads(root: Node): Node {
    return new Forwarding(this).from(root);
  }
}

/** The content of a register: the offset of a word of struct seccomp_data, or unknown. */
const unknown = -1;

/** A node, and what A, M[0] and M[1] hold on entry. */
interface Visit {
  readonly key: string;
  readonly node: Node;
  readonly a: number;
  readonly m0: number;
  readonly m1: number;
}

function visit(node: Node, a: number, m0: number, m1: number): Visit {
  // A register that is not read makes no difference between two visits.
  const [first, second] = [node.readsMemory & 1 ? m0 : unknown, node.readsMemory & 2 ? m1 : unknown];
  return { key: `${node.id} ${a} ${first} ${second}`, node, a, m0: first, m1: second };
}

/** The word that a load puts into A, if it is known. */
function wordLoaded({ code, k }: StepNode, { m0, m1 }: Visit): number {
  if (code === Opcode.LOAD) return k;
  if (code !== Opcode.LOAD_MEMORY || k > 1) return unknown;
  return k === 0 ? m0 : m1;
}

/** What is known after a step. */
function behind(step: StepNode, here: Visit): Visit {
  const { code, k, next } = step;
  const { a, m0, m1 } = here;
  const isStore = code === Opcode.STORE || code === Opcode.STORE_X;
  if (isStore && k <= 1) {
    const stored = code === Opcode.STORE ? a : unknown;
    return k === 0 ? visit(next, a, stored, m1) : visit(next, a, m0, stored);
  }
  const word = wordLoaded(step, here);
  if (word !== unknown) return visit(next, word, m0, m1);
  const keepsA = isStore || code === Opcode.TAX || ignoresA.has(code);
  return visit(next, keepsA ? a : unknown, m0, m1);
}

class Forwarding {
  readonly #graph: Graph;
  readonly #done = new Map<string, Node>();

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** Not recursive, because a chain of rules may be longer than the call stack. */
  from(root: Node): Node {
    const start = visit(root, unknown, unknown, unknown);
    const waiting: { readonly here: Visit; readonly next: readonly Visit[] }[] = [];
    const enter = (here: Visit) => waiting.push({ here, next: this.#next(here) });
    enter(start);
    for (let top = waiting.at(-1); top !== undefined; top = waiting.at(-1)) {
      const missing = top.next.find(({ key }) => !this.#done.has(key));
      if (missing !== undefined) {
        enter(missing);
        continue;
      }
      waiting.pop();
      this.#done.set(top.here.key, this.#made(top.here, top.next));
    }
    return this.#done.get(start.key) as Node;
  }

  #next(here: Visit): readonly Visit[] {
    const { node, a, m0, m1 } = here;
    if (node.kind === 'return') return [];
    if (node.kind === 'step') return [behind(node, here)];
    return [visit(node.yes, a, m0, m1), visit(node.no, a, m0, m1)];
  }

  #made(here: Visit, next: readonly Visit[]): Node {
    const { node, a } = here;
    const [first, second] = next.map(({ key }) => this.#done.get(key) as Node) as [Node, Node];
    if (node.kind === 'return') return node;
    if (node.kind === 'test') return this.#graph.test(node.code, node.k, first, second);
    const word = wordLoaded(node, here);
    if (word === unknown) return this.#graph.step(node.code, node.k, first);
    return word === a ? first : this.#graph.step(Opcode.LOAD, word, first);
  }
}
