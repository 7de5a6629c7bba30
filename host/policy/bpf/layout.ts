// Turns the graph into a program: the order of the instructions, and how far each jumps.
import type { Node, TestNode } from './graph.js';
import { type Instruction, instruction, Opcode } from './instructions.js';

/** jt and jf are bytes. */
const farthest = 255;

/**
 * Writes the program from its end, so that everything an instruction leads to has its place already and every distance
 * is known. It needs one pass; where a jump would reach too far, a longer one is put beside it.
 */
class Layout {
  /** The last instruction first. */
  readonly #reversed: Instruction[] = [];
  /** Where in #reversed a node begins. */
  readonly #places = new Map<Node, number>();
  /** The nearest instruction that leads to a node: the node's own, a copy of a return, or a jump. */
  readonly #nearest = new Map<Node, number>();
  /** True if returns stay at the end and are reached by jumps. */
  readonly #returnsAtEnd: boolean;

  constructor(root: Node) {
    // The kernel treats the instruction after a return as if it could be reached from it, and checks M accordingly
    // (check_load_and_stores() of net/core/filter.c). So in a program that reads M nothing may come after a return.
    const nodes = reachable(root);
    this.#returnsAtEnd = nodes.some((node) => node.readsMemory !== 0);
    if (this.#returnsAtEnd) {
      for (const node of nodes) if (node.kind === 'return') this.#place(node, instruction(node.code, node.k));
    }
    this.#emit(root);
    this.#next(root);
  }

  get program(): readonly Instruction[] {
    return this.#reversed.reverse();
  }

  #place(node: Node, entry: Instruction): void {
    this.#places.set(node, this.#reversed.length);
    this.#nearest.set(node, this.#reversed.length);
    this.#reversed.push(entry);
  }

  /** How many instructions are between the one to be written next and the node's. */
  #distance(place: number): number {
    return this.#reversed.length - 1 - place;
  }

  /** Makes the node's instruction, or a jump to it, the one after what is written next. */
  #next(node: Node): void {
    const place = this.#places.get(node) as number;
    if (this.#distance(place) > 0) this.#reversed.push(this.#wayTo(node));
  }

  #wayTo(node: Node): Instruction {
    if (node.kind === 'return' && !this.#returnsAtEnd) return instruction(node.code, node.k);
    return instruction(Opcode.JUMP, this.#distance(this.#places.get(node) as number));
  }

  /**
   * Writes a node after all nodes that it leads to. Not recursive, because a chain of rules may be longer than the call
   * stack.
   */
  #emit(root: Node): void {
    const waiting: Node[] = [root];
    for (let node = waiting.at(-1); node !== undefined; node = waiting.at(-1)) {
      const missing = leadsTo(node).find((next) => !this.#places.has(next));
      if (missing !== undefined) {
        waiting.push(missing);
        continue;
      }
      waiting.pop();
      if (!this.#places.has(node)) this.#write(node);
    }
  }

  #write(node: Node): void {
    if (node.kind === 'test') {
      this.#placeTest(node);
      return;
    }
    if (node.kind === 'step') this.#next(node.next);
    this.#place(node, instruction(node.code, node.k));
  }

  #placeTest(node: TestNode): void {
    const nearest = (target: Node) => this.#distance(this.#nearest.get(target) as number);
    // Each jump that is added moves the other target one further away.
    for (;;) {
      const target = [node.yes, node.no].find((candidate) => nearest(candidate) > farthest);
      if (target === undefined) break;
      const way = this.#wayTo(target);
      this.#nearest.set(target, this.#reversed.length);
      this.#reversed.push(way);
    }
    this.#place(node, instruction(node.code, node.k, nearest(node.yes), nearest(node.no)));
  }
}

function leadsTo(node: Node): readonly Node[] {
  if (node.kind === 'return') return [];
  return node.kind === 'step' ? [node.next] : [node.yes, node.no];
}

/** All nodes that can be reached from a node, and the node itself. */
export function reachable(root: Node): readonly Node[] {
  const found = new Set<Node>([root]);
  for (const node of found) for (const next of leadsTo(node)) found.add(next);
  return [...found];
}

export function layOut(root: Node): readonly Instruction[] {
  return new Layout(root).program;
}
