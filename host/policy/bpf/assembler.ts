// Turns pieces with the guide's names into instructions: flattens and copies them, resolves labels, checks that every
// jump stays inside.
import { shown } from '../quoting.js';
import { type Instruction, instruction, maxInstructions, Opcode } from './instructions.js';
import type { Bpf, LabelReference } from './macros.js';

/** Deeper lists are a mistake: a list that contains itself, for example. */
const maxNesting = 100;

function isWord(value: unknown, greatest: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= greatest;
}

/** A copy, so that the checked instruction is the one that is built, whatever happens to the original. */
function copied(entry: unknown, index: number): Instruction | LabelReference {
  if (typeof entry !== 'object' || entry === null) {
    throw new Error(`an instruction or a label is needed at ${index}, not ${shown(entry)}`);
  }
  const { kind, name, code, jt, jf, k } = entry as Partial<Record<string, unknown>>;
  if (kind === 'jump' || kind === 'label') {
    if (typeof name === 'string') return { kind, name };
    throw new Error(`the name of a label must be a string, not ${shown(name)}`);
  }
  const isInstruction = isWord(code, 0xffff) && isWord(jt, 255) && isWord(jf, 255) && isWord(k, 0xffffffff);
  if (kind === undefined && isInstruction) return instruction(code, k, jt, jf);
  throw new Error(
    `instruction ${index} must be { code: 0 to 0xffff, jt and jf: 0 to 255, k: 0 to 0xffffffff }, not ${shown(entry)}`,
  );
}

function flatten(piece: Bpf, into: (Instruction | LabelReference)[], depth = 0): void {
  if (depth > maxNesting) throw new Error('the lists of instructions are nested too deeply');
  if (into.length > maxInstructions) return;
  if (Array.isArray(piece)) for (const part of piece) flatten(part, into, depth + 1);
  else into.push(copied(piece, into.length));
}

const isLabel = (entry: Instruction | LabelReference): entry is LabelReference => 'kind' in entry;

/** Accepts 1 to 4,096 instructions. Throws Error with what is wrong. Falling off the end is allowed. */
export function assemble(pieces: Bpf): readonly Instruction[] {
  const entries: (Instruction | LabelReference)[] = [];
  flatten(pieces, entries);
  if (entries.length > maxInstructions) {
    throw new Error(`more than ${maxInstructions} instructions, the kernel’s limit`);
  }
  // A label becomes a jump to the next instruction, so that conditional jumps over it count it as one.
  const labels = new Map<string, number>();
  entries.forEach((entry, index) => {
    if (!isLabel(entry) || entry.kind !== 'label') return;
    if (labels.has(entry.name)) throw new Error(`the label ${shown(entry.name)} exists twice`);
    labels.set(entry.name, index);
  });
  const program = entries.map((entry, index) => {
    if (!isLabel(entry)) return entry;
    if (entry.kind === 'label') return instruction(Opcode.JUMP, 0);
    const target = labels.get(entry.name);
    if (target === undefined) throw new Error(`there is no label ${shown(entry.name)}`);
    if (target < index) throw new Error(`the jump to ${shown(entry.name)} goes backward`);
    return instruction(Opcode.JUMP, target - index - 1);
  });
  if (program.length === 0) throw new Error('there is no instruction');
  program.forEach(({ code, jt, jf, k }, index) => {
    const isJump = (code & 7) === 5;
    const furthest = isJump ? (code === Opcode.JUMP ? k : Math.max(jt, jf)) : 0;
    if (index + 1 + furthest > program.length) throw new Error(`instruction ${index} jumps past the end`);
  });
  return program;
}
