// From rules by syscall to one program.
import { PolicyError } from '../errors.js';
import {
  DataOffset,
  type Instruction,
  instruction,
  maxInstructions,
  Opcode,
  ReturnAction,
} from './instructions.js';

/** What one syscall number leads to: instructions that always return. */
export type Block = readonly Instruction[];

export interface Dispatch {
  /** AUDIT_ARCH_* of the machine. */
  readonly auditArch: number;
  /** Numbers from here on are none of the machine's own interface (x32). */
  readonly foreignFrom: number | undefined;
  readonly blocks: ReadonlyMap<number, Block>;
  readonly otherwise: Block;
}

const violation: Block = [instruction(Opcode.RETURN, ReturnAction.USER_NOTIF)];

/** Every way to die becomes a notification: the supervisor takes any it gets for a violation. */
export function toNotifying(program: readonly Instruction[]): readonly Instruction[] {
  return program.map((entry) => {
    if (entry.code !== Opcode.RETURN) return entry;
    const action = (entry.k & 0xffff0000) >>> 0;
    const dies =
      action === ReturnAction.KILL_THREAD ||
      action === ReturnAction.KILL_PROCESS ||
      action === ReturnAction.TRACE;
    return dies ? instruction(Opcode.RETURN, ReturnAction.USER_NOTIF) : entry;
  });
}

interface Interval {
  readonly from: number;
  readonly block: Block;
}

/** The numbers as intervals that lead to the same block; the first begins at 0. */
function intervalsOf(dispatch: Dispatch, canonical: (block: Block) => Block): Interval[] {
  const intervals: Interval[] = [];
  const add = (from: number, block: Block) => {
    const last = intervals[intervals.length - 1];
    if (last !== undefined && last.from === from) intervals.pop();
    const before = intervals[intervals.length - 1];
    if (before === undefined || before.block !== block) intervals.push({ from, block });
  };
  const otherwise = canonical(dispatch.otherwise);
  add(0, otherwise);
  for (const [number, block] of [...dispatch.blocks].sort(([a], [b]) => a - b)) {
    add(number, canonical(block));
    add(number + 1, otherwise);
  }
  if (dispatch.foreignFrom !== undefined) {
    const from = dispatch.foreignFrom;
    while (intervals.length > 1 && (intervals[intervals.length - 1]?.from ?? 0) >= from) intervals.pop();
    add(from, canonical(violation));
  }
  return intervals;
}

/**
 * A balanced search tree over the intervals: no syscall waits behind a chain of others. Only the number and the
 * architecture are looked at on the way to a block, so the kernel can tell in advance which numbers are always allowed
 * (its bitmap of constant actions, seccomp_cache_prepare()).
 */
export function compile(dispatch: Dispatch): readonly Instruction[] {
  const known = new Map<string, Block>();
  const canonical = (block: Block): Block => {
    const key = JSON.stringify(block);
    const same = known.get(key);
    if (same === undefined) known.set(key, block);
    return same ?? block;
  };
  const intervals = intervalsOf(dispatch, canonical);
  const program: Instruction[] = [
    instruction(Opcode.LOAD, DataOffset.arch),
    instruction(Opcode.JUMP_IF_EQUAL, dispatch.auditArch, 1, 0),
    ...violation,
    instruction(Opcode.LOAD, DataOffset.nr),
  ];
  /** Jumps to blocks, which are placed behind the tree. */
  const jumps: { readonly at: number; readonly block: Block }[] = [];
  const tree = (first: number, last: number): void => {
    if (first === last) {
      const block = intervals[first]?.block ?? violation;
      if (block.length === 1) program.push(...block);
      else {
        jumps.push({ at: program.length, block });
        program.push(instruction(Opcode.JUMP, 0));
      }
      return;
    }
    const middle = (first + last + 1) >> 1;
    const at = program.length;
    program.push(instruction(Opcode.JUMP_IF_GREATER_OR_EQUAL, 0), instruction(Opcode.JUMP, 0));
    tree(first, middle - 1);
    const right = program.length;
    const border = intervals[middle]?.from ?? 0;
    // To the right half directly where an 8-bit offset reaches it, otherwise by the long jump beside.
    if (right - at - 1 <= 255) {
      program[at] = instruction(Opcode.JUMP_IF_GREATER_OR_EQUAL, border, right - at - 1, 1);
    } else {
      program[at] = instruction(Opcode.JUMP_IF_GREATER_OR_EQUAL, border, 0, 1);
    }
    program[at + 1] = instruction(Opcode.JUMP, right - at - 2);
    tree(middle, last);
  };
  tree(0, intervals.length - 1);
  const places = new Map<Block, number>();
  for (const { at, block } of jumps) {
    let place = places.get(block);
    if (place === undefined) {
      place = program.length;
      places.set(block, place);
      program.push(...block);
    }
    program[at] = instruction(Opcode.JUMP, place - at - 1);
  }
  if (program.length > maxInstructions) {
    throw new PolicyError(
      'build',
      `the policy takes ${program.length} instructions and the kernel takes ${maxInstructions}; ` +
        `${intervals.length} intervals of syscalls need ${jumps[0]?.at ?? 0}, their rules the rest`,
    );
  }
  return program;
}
