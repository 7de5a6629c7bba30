// The guide's names for pieces of BPF: ARG, JEQ, ALLOW, …
import { errnoNumber, trapNumber } from '../actions.js';
import { shown } from '../quoting.js';
import {
  DataOffset,
  type Instruction,
  instruction,
  NotificationReason,
  Opcode,
  ReturnAction,
} from './instructions.js';

/** A jump to a label, or the label itself; resolved when the policy is built. Jumps go forward only. */
export interface LabelReference {
  readonly kind: 'jump' | 'label';
  readonly name: string;
}

/** One instruction, or something that stands for several. */
export type Bpf = Instruction | LabelReference | readonly Bpf[];

/** What a condition does when it holds: one instruction. */
export type BpfAction = Instruction | LabelReference;

/** Lets the syscall happen. */
export const ALLOW: Instruction = instruction(Opcode.RETURN, ReturnAction.ALLOW);
/** A violation: the syscall does not happen, and the sandbox ends. */
export const KILL: Instruction = instruction(Opcode.RETURN, ReturnAction.KILL_THREAD);
export const DENY: Instruction = KILL;

/** The host's onSyscall handlers decide. */
export const NOTIFY: Instruction = instruction(
  Opcode.RETURN,
  ReturnAction.USER_NOTIF | NotificationReason.NOTIFY,
);
/** The same as NOTIFY; sandbox2's name for "the monitor decides". */
export const SANDBOX2_TRACE: Instruction = NOTIFY;
export const TRACE = (_data: number): Instruction => NOTIFY;

/** The syscall fails with this errno, by number or name. */
export const ERRNO = (errno: number | string): Instruction =>
  instruction(Opcode.RETURN, ReturnAction.ERRNO | errnoNumber(errno));
/** SIGSYS with this number, 0 to 65535, in si_errno. */
export const TRAP = (data: number): Instruction =>
  instruction(Opcode.RETURN, ReturnAction.TRAP | trapNumber(data));

export const LOAD_SYSCALL_NR: Instruction = instruction(Opcode.LOAD, DataOffset.nr);
export const LOAD_ARCH: Instruction = instruction(Opcode.LOAD, DataOffset.arch);

function checkArgument(index: number): void {
  if (!Number.isInteger(index) || index < 0 || index > 5)
    throw new RangeError(`a syscall has no argument ${shown(index)}`);
}

/** Loads the low 32 bits of an argument: for the …32 conditions. */
export function ARG_32(index: number): Bpf {
  checkArgument(index);
  return instruction(Opcode.LOAD, DataOffset.argumentLow(index));
}

/** Loads an argument: for the conditions without 32. */
export function ARG(index: number): Bpf {
  checkArgument(index);
  return [
    instruction(Opcode.LOAD, DataOffset.argumentLow(index)),
    instruction(Opcode.STORE, 0),
    instruction(Opcode.LOAD, DataOffset.argumentHigh(index)),
    instruction(Opcode.STORE, 1),
  ];
}

export const ARG_64 = ARG;

function word(value: number): number {
  if (!Number.isInteger(value) || value < -0x80000000 || value > 0xffffffff) {
    throw new RangeError(`${shown(value)} is not a 32-bit number; use ARG() and a condition without 32`);
  }
  return value >>> 0;
}

/** Takes the action if the jump's condition holds, or, if negated, if it does not hold. */
function condition32(code: number, value: number, action: BpfAction, negated = false): Bpf {
  return [negated ? instruction(code, word(value), 1, 0) : instruction(code, word(value), 0, 1), action];
}

export const JEQ32 = (value: number, action: BpfAction): Bpf =>
  condition32(Opcode.JUMP_IF_EQUAL, value, action);
export const JNE32 = (value: number, action: BpfAction): Bpf =>
  condition32(Opcode.JUMP_IF_EQUAL, value, action, true);
export const JGT32 = (value: number, action: BpfAction): Bpf =>
  condition32(Opcode.JUMP_IF_GREATER, value, action);
export const JGE32 = (value: number, action: BpfAction): Bpf =>
  condition32(Opcode.JUMP_IF_GREATER_OR_EQUAL, value, action);
export const JLT32 = (value: number, action: BpfAction): Bpf =>
  condition32(Opcode.JUMP_IF_GREATER_OR_EQUAL, value, action, true);
export const JLE32 = (value: number, action: BpfAction): Bpf =>
  condition32(Opcode.JUMP_IF_GREATER, value, action, true);
/** Takes the action if any of these bits is set. */
export const JA32 = (value: number, action: BpfAction): Bpf =>
  condition32(Opcode.JUMP_IF_ANY_BIT, value, action);
/** Takes the action if the syscall number, just loaded, is this one. */
export const SYSCALL = (number: number, action: BpfAction): Bpf => JEQ32(number, action);

/** Two's complement for a negative one. */
function doubleWord(value: number | bigint): bigint {
  if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) {
    throw new RangeError(`${shown(value)} is not a whole number; use a bigint above 2**53`);
  }
  const whole = BigInt(value);
  if (whole < -(1n << 63n) || whole >= 1n << 64n) throw new RangeError(`${whole} does not fit into 64 bits`);
  return BigInt.asUintN(64, whole);
}

const high = (value: number | bigint): number => Number(doubleWord(value) >> 32n);
const low = (value: number | bigint): number => Number(BigInt.asUintN(32, doubleWord(value)));
const loadLow = instruction(Opcode.LOAD_MEMORY, 0);
const loadHigh = instruction(Opcode.LOAD_MEMORY, 1);

// 64-bit conditions, used after ARG(). A holds the high word on entry, in the action and on exit. The numbers are how
// many of the following instructions are skipped.

export const JEQ = (value: number | bigint, action: BpfAction): Bpf => [
  instruction(Opcode.JUMP_IF_EQUAL, high(value), 0, 4),
  loadLow,
  instruction(Opcode.JUMP_IF_EQUAL, low(value), 0, 2),
  loadHigh,
  action,
  loadHigh,
];

export const JNE = (value: number | bigint, action: BpfAction): Bpf => [
  instruction(Opcode.JUMP_IF_EQUAL, high(value), 0, 2),
  loadLow,
  instruction(Opcode.JUMP_IF_EQUAL, low(value), 2, 0),
  loadHigh,
  action,
  loadHigh,
];

function greater(code: number, value: number | bigint, action: BpfAction): Bpf {
  return [
    instruction(Opcode.JUMP_IF_GREATER, high(value), 3, 0),
    instruction(Opcode.JUMP_IF_EQUAL, high(value), 0, 4),
    loadLow,
    instruction(code, low(value), 0, 2),
    loadHigh,
    action,
    loadHigh,
  ];
}

function less(code: number, value: number | bigint, action: BpfAction): Bpf {
  return [
    instruction(Opcode.JUMP_IF_GREATER, high(value), 5, 0),
    instruction(Opcode.JUMP_IF_EQUAL, high(value), 0, 2),
    loadLow,
    instruction(code, low(value), 2, 0),
    loadHigh,
    action,
    loadHigh,
  ];
}

/** Unsigned. */
export const JGT = (value: number | bigint, action: BpfAction): Bpf =>
  greater(Opcode.JUMP_IF_GREATER, value, action);
export const JGE = (value: number | bigint, action: BpfAction): Bpf =>
  greater(Opcode.JUMP_IF_GREATER_OR_EQUAL, value, action);
export const JLT = (value: number | bigint, action: BpfAction): Bpf =>
  less(Opcode.JUMP_IF_GREATER_OR_EQUAL, value, action);
export const JLE = (value: number | bigint, action: BpfAction): Bpf =>
  less(Opcode.JUMP_IF_GREATER, value, action);

/** Takes the action if any of these bits is set. */
export const JA = (value: number | bigint, action: BpfAction): Bpf => [
  instruction(Opcode.JUMP_IF_ANY_BIT, high(value), 2, 0),
  loadLow,
  instruction(Opcode.JUMP_IF_ANY_BIT, low(value), 0, 2),
  loadHigh,
  action,
  loadHigh,
];

const join = (lowWord: number, highWord: number): bigint =>
  (BigInt(word(highWord)) << 32n) | BigInt(word(lowWord));

// The same, with the two words of the value.

export const JEQ64 = (lowWord: number, highWord: number, action: BpfAction): Bpf =>
  JEQ(join(lowWord, highWord), action);
export const JNE64 = (lowWord: number, highWord: number, action: BpfAction): Bpf =>
  JNE(join(lowWord, highWord), action);
export const JGT64 = (lowWord: number, highWord: number, action: BpfAction): Bpf =>
  JGT(join(lowWord, highWord), action);
export const JGE64 = (lowWord: number, highWord: number, action: BpfAction): Bpf =>
  JGE(join(lowWord, highWord), action);
export const JLT64 = (lowWord: number, highWord: number, action: BpfAction): Bpf =>
  JLT(join(lowWord, highWord), action);
export const JLE64 = (lowWord: number, highWord: number, action: BpfAction): Bpf =>
  JLE(join(lowWord, highWord), action);
export const JA64 = (lowWord: number, highWord: number, action: BpfAction): Bpf =>
  JA(join(lowWord, highWord), action);

/** Continues at LABEL(name), which must come later in the same piece. */
export const JUMP = (name: string): LabelReference => ({ kind: 'jump', name });
export const LABEL = (name: string): LabelReference => ({ kind: 'label', name });
