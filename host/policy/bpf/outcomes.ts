// What a piece of BPF may return if only some of the words it reads are known.
import { DataOffset, type Instruction, isJump, memoryWords, Opcode } from './instructions.js';
import { calculate, compare } from './interpreter.js';

/** undefined: not known. */
export type Word = number | undefined;

interface State {
  readonly at: number;
  readonly a: Word;
  readonly x: Word;
  readonly memory: readonly Word[];
}

/** More states than any hand-written piece has. Beyond that everything counts as possible. */
const maxStates = 20_000;

function operandOf({ code, k }: Instruction, x: Word): Word {
  return (code & 8) === 0 ? k : x;
}

function loaded({ code, k }: Instruction, { a, x, memory }: State, words: readonly Word[]): Word {
  switch (code) {
    case Opcode.LOAD:
      return words[k >> 2];
    case Opcode.LOAD_LENGTH:
    case Opcode.LOAD_X_LENGTH:
      return words.length * 4;
    case Opcode.LOAD_IMMEDIATE:
    case Opcode.LOAD_X_IMMEDIATE:
      return k;
    case Opcode.LOAD_MEMORY:
    case Opcode.LOAD_X_MEMORY:
      return memory[k];
    case Opcode.TXA:
      return x;
    default:
      return a; // TAX
  }
}

const intoX: ReadonlySet<number> = new Set([
  Opcode.LOAD_X_LENGTH,
  Opcode.LOAD_X_IMMEDIATE,
  Opcode.LOAD_X_MEMORY,
  Opcode.TAX,
]);
const intoA: ReadonlySet<number> = new Set([
  Opcode.LOAD,
  Opcode.LOAD_LENGTH,
  Opcode.LOAD_IMMEDIATE,
  Opcode.LOAD_MEMORY,
  Opcode.TXA,
]);

/** The states that may follow a state after an instruction that does not return. */
function following(entry: Instruction, state: State, words: readonly Word[]): readonly State[] {
  const { code, jt, jf, k } = entry;
  const { a, x, memory } = state;
  const next = { ...state, at: state.at + 1 };
  if (code === Opcode.JUMP) return [{ ...next, at: next.at + k }];
  if (intoA.has(code)) return [{ ...next, a: loaded(entry, state, words) }];
  if (intoX.has(code)) return [{ ...next, x: loaded(entry, state, words) }];
  if (code === Opcode.STORE || code === Opcode.STORE_X) {
    return [{ ...next, memory: memory.with(k, code === Opcode.STORE ? a : x) }];
  }
  const operand = operandOf(entry, x);
  const isKnown = a !== undefined && operand !== undefined;
  if (!isJump(code)) return [{ ...next, a: isKnown ? calculate(code, a, operand) : undefined }];
  const [yes, no] = [
    { ...next, at: next.at + jt },
    { ...next, at: next.at + jf },
  ];
  if (!isKnown) return [yes, no];
  return [compare(code, a, operand) ? yes : no];
}

/**
 * Every value that may be returned; undefined is one of them if the piece may fall off its end. words: those of struct
 * seccomp_data. Accepts what checkPiece() accepts.
 */
export function possibleReturns(program: readonly Instruction[], words: readonly Word[]): ReadonlySet<Word> {
  const start: State = {
    at: 0,
    a: words[DataOffset.nr / 4],
    x: 0,
    memory: Array.from({ length: memoryWords }, () => 0),
  };
  const seen = new Set<string>();
  const returned = new Set<Word>();
  const waiting: State[] = [start];
  for (let state = waiting.pop(); state !== undefined; state = waiting.pop()) {
    const key = JSON.stringify([state.at, state.a ?? '', state.x ?? '', state.memory]);
    if (seen.has(key)) continue;
    seen.add(key);
    if (seen.size > maxStates) {
      return new Set([undefined, ...program.filter(({ code }) => code === Opcode.RETURN).map(({ k }) => k)]);
    }
    const entry = program[state.at];
    if (entry === undefined) returned.add(undefined);
    else if (entry.code === Opcode.RETURN) returned.add(entry.k);
    else waiting.push(...following(entry, state, words));
  }
  return returned;
}
