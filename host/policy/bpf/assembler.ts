// From the guide's pieces to instructions: flattens, resolves labels, checks that every jump stays inside.
import { type Instruction, instruction, Opcode } from './instructions.js';
import type { Bpf, LabelReference } from './macros.js';

function flatten(piece: Bpf, into: (Instruction | LabelReference)[]): void {
  if (Array.isArray(piece)) for (const part of piece) flatten(part, into);
  else into.push(piece as Instruction | LabelReference);
}

const isLabel = (entry: Instruction | LabelReference): entry is LabelReference => 'kind' in entry;

/** Takes 1 to 4,096 instructions. Throws Error with what is wrong. Falling off the end is allowed. */
export function assemble(pieces: Bpf): readonly Instruction[] {
  const entries: (Instruction | LabelReference)[] = [];
  flatten(pieces, entries);
  // A label becomes a jump to the next instruction: conditional jumps over it count it as one.
  const labels = new Map<string, number>();
  entries.forEach((entry, index) => {
    if (!isLabel(entry) || entry.kind !== 'label') return;
    if (labels.has(entry.name)) throw new Error(`the label ${JSON.stringify(entry.name)} is there twice`);
    labels.set(entry.name, index);
  });
  const program = entries.map((entry, index) => {
    if (!isLabel(entry)) return entry;
    if (entry.kind === 'label') return instruction(Opcode.JUMP, 0);
    const target = labels.get(entry.name);
    if (target === undefined) throw new Error(`there is no label ${JSON.stringify(entry.name)}`);
    if (target < index) throw new Error(`the jump to ${JSON.stringify(entry.name)} goes backward`);
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
