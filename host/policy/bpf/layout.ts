// From the graph to a program: the order of the instructions and how far each jumps.
import type { Node, TestNode } from './graph.js';
import { type Instruction, instruction, Opcode } from './instructions.js';

/** jt and jf are bytes. */
const farthest = 255;

/**
 * Written from the end, so that whatever an instruction leads to has its place already and every distance is known: one
 * pass, and a jump that would reach too far gets a longer one beside it.
 */
class Layout {
  /** The last instruction first. */
  readonly #reversed: Instruction[] = [];
  /** Where in #reversed a node begins. */
  readonly #places = new Map<Node, number>();
  /** The nearest instruction that leads to a node: itself, a copy of a return, or a jump. */
  readonly #nearest = new Map<Node, number>();
  /** Returns stay at the end, and jumps lead there. */
  readonly #returnsAtEnd: boolean;

  constructor(root: Node) {
    // The kernel takes the instruction behind a return for one that follows it, and checks M accordingly
    // (check_load_and_stores() of net/core/filter.c): where M is read, nothing may stand behind a return.
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

  /** How many instructions lie between the one to be written next and the node's. */
  #distance(place: number): number {
    return this.#reversed.length - 1 - place;
  }

  /** The node's instruction, or a way to it, becomes the one that follows what is written next. */
  #next(node: Node): void {
    const place = this.#places.get(node) as number;
    if (this.#distance(place) > 0) this.#reversed.push(this.#wayTo(node));
  }

  #wayTo(node: Node): Instruction {
    if (node.kind === 'return' && !this.#returnsAtEnd) return instruction(node.code, node.k);
    return instruction(Opcode.JUMP, this.#distance(this.#places.get(node) as number));
  }

  /** The nodes a node leads to come first. Without recursion: a chain of rules may be longer than the call stack. */
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
    // Each way made pushes the other target one further.
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

/** All nodes that can be reached from a node, itself included. */
export function reachable(root: Node): readonly Node[] {
  const found = new Set<Node>([root]);
  for (const node of found) for (const next of leadsTo(node)) found.add(next);
  return [...found];
}

export function layOut(root: Node): readonly Instruction[] {
  return new Layout(root).program;
}
