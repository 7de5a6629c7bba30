// What is said about each syscall, in the order it was said, and how that becomes one block of BPF.
import { assemble } from './bpf/assembler.js';
import { type Block, toNotifying } from './bpf/compiler.js';
import type { Instruction } from './bpf/instructions.js';
import { type Bpf, LOAD_SYSCALL_NR } from './bpf/macros.js';
import { PolicyError } from './errors.js';

/** One rule: instructions that decide (unconditional) or may fall through to the next. */
export interface Rule {
  /** The call that made it, for messages: "allowSyscall". */
  readonly method: string;
  readonly program: readonly Instruction[];
  /** Decides every call of the syscall; the text says how: "allow", "errno 2". */
  readonly unconditional: string | undefined;
}

export class Rules {
  readonly #bySyscall = new Map<number, Rule[]>();
  readonly #overridable = new Map<number, Rule[]>();

  copy(): Rules {
    const copy = new Rules();
    for (const [number, rules] of this.#bySyscall) copy.#bySyscall.set(number, [...rules]);
    for (const [number, rules] of this.#overridable) copy.#overridable.set(number, [...rules]);
    return copy;
  }

  get numbers(): ReadonlySet<number> {
    return new Set([...this.#bySyscall.keys(), ...this.#overridable.keys()]);
  }

  has(number: number): boolean {
    return this.#bySyscall.has(number) || this.#overridable.has(number);
  }

  /** name is for messages. Throws PolicyError where two calls say opposite things of all calls of a syscall. */
  add(number: number, name: string, rule: Rule): void {
    const rules = this.#bySyscall.get(number) ?? [];
    this.#bySyscall.set(number, rules);
    if (rule.unconditional !== undefined) {
      const present = rules.find((other) => other.unconditional !== undefined);
      if (present?.unconditional === rule.unconditional) return;
      if (present !== undefined) {
        throw new PolicyError(
          rule.method,
          `${name}: ${rule.unconditional} contradicts ${present.unconditional}, which ${present.method} has said`,
        );
      }
    }
    rules.push(rule);
  }

  /** Counts only where nothing else decides. */
  addOverridable(number: number, rule: Rule): void {
    const rules = this.#overridable.get(number) ?? [];
    this.#overridable.set(number, rules);
    if (!rules.some((other) => other.unconditional !== undefined)) rules.push(rule);
  }

  /** The rules of a syscall, between what goes before and what is done when none decides. */
  block(number: number, before: Bpf | undefined, otherwise: Block): Block {
    const pieces: (readonly Instruction[])[] = before === undefined ? [] : [assemble(before)];
    let decided = false;
    for (const rule of [...(this.#bySyscall.get(number) ?? []), ...(this.#overridable.get(number) ?? [])]) {
      pieces.push(rule.program);
      if (rule.unconditional !== undefined) {
        decided = true;
        break;
      }
    }
    if (!decided) pieces.push(otherwise);
    // Each piece finds the syscall's number in A, as the first does.
    const program = pieces.flatMap((piece, index) =>
      index === 0 || piece.every((entry) => entry.code === 6)
        ? piece
        : [LOAD_SYSCALL_NR as Instruction, ...piece],
    );
    return toNotifying(program);
  }
}
