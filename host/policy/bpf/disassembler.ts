// Classic BPF as text, one line for each instruction.
import { errnoName } from '../actions.js';
import {
  DataOffset,
  dataSize,
  type Instruction,
  isJump,
  memoryWords,
  NotificationReason,
  Opcode,
  ReturnAction,
} from './instructions.js';

const hexadecimal = (value: number): string => `0x${(value >>> 0).toString(16)}`;

/** The name of a word of struct seccomp_data. */
export function wordText(offset: number): string {
  if (offset % 4 !== 0) return `data[${hexadecimal(offset)}] (misaligned load)`;
  if (offset >= dataSize) return `data[${hexadecimal(offset)}] (invalid load)`;
  if (offset === DataOffset.nr) return 'syscall number';
  if (offset === DataOffset.arch) return 'architecture';
  const half = offset % 8 === 0 ? 'low' : 'high';
  return offset < DataOffset.argumentLow(0)
    ? `instruction pointer ${half}`
    : `arg ${(offset - DataOffset.argumentLow(0)) >> 3} ${half}`;
}

const reasons: ReadonlyMap<number, string> = new Map([
  [NotificationReason.VIOLATION, ' (violation)'],
  [NotificationReason.NOTIFY, ' (asks the host)'],
  [NotificationReason.LAUNCH, ' (launch)'],
]);

function returnText(value: number): string {
  const data = value & 0xffff;
  switch ((value & 0xffff0000) >>> 0) {
    case ReturnAction.ALLOW:
      return 'ALLOW';
    case ReturnAction.LOG:
      return 'LOG';
    case ReturnAction.KILL_THREAD:
      return 'KILL';
    case ReturnAction.KILL_PROCESS:
      return 'KILL_PROCESS';
    case ReturnAction.ERRNO:
      return `ERRNO ${errnoName(data) ?? data}`;
    case ReturnAction.TRAP:
      return `TRAP ${hexadecimal(data)}`;
    case ReturnAction.TRACE:
      return `TRACE ${hexadecimal(data)}`;
    case ReturnAction.USER_NOTIF:
      return `USER_NOTIF${reasons.get(data) ?? ` ${hexadecimal(data)}`}`;
    default:
      return `return ${hexadecimal(value)}`;
  }
}

/** The sign if the jump is taken, and the sign if it is not. */
const comparisons: ReadonlyMap<number, readonly [string, string]> = new Map([
  [Opcode.JUMP_IF_EQUAL, ['==', '!=']],
  [Opcode.JUMP_IF_GREATER, ['>', '<=']],
  [Opcode.JUMP_IF_GREATER_OR_EQUAL, ['>=', '<']],
  [Opcode.JUMP_IF_ANY_BIT, ['&', '&']],
]);

const operators: ReadonlyMap<number, string> = new Map([
  [Opcode.ADD, '+'],
  [Opcode.SUBTRACT, '-'],
  [Opcode.MULTIPLY, '*'],
  [Opcode.DIVIDE, '/'],
  [Opcode.OR, '|'],
  [Opcode.AND, '&'],
  [Opcode.SHIFT_LEFT, '<<'],
  [Opcode.SHIFT_RIGHT, '>>'],
  [Opcode.XOR, '^'],
]);

function invalid(code: number): string {
  return `Invalid instruction ${code}`;
}

function jumpText({ code, jt, jf, k }: Instruction, at: number): string {
  if (code === Opcode.JUMP) return `jump to ${at + 1 + k}`;
  const signs = comparisons.get(code & 0xf7);
  if (signs === undefined) return invalid(code);
  const operand = (code & 8) === 0 ? hexadecimal(k) : 'X';
  const [yes, no] = [at + 1 + jt, at + 1 + jf];
  if (jt !== 0 && jf !== 0) return `if A ${signs[0]} ${operand} then ${yes} else ${no}`;
  if (jf === 0) return `if A ${signs[0]} ${operand} goto ${yes}`;
  const test = `A ${signs[1]} ${operand}`;
  return `if ${signs[0] === signs[1] ? `!(${test})` : test} goto ${no}`;
}

function memoryText(k: number): string {
  return k < memoryWords ? `M[${k}]` : `M[${k}] (invalid slot)`;
}

/** at: the index of the instruction; jumps are relative to it. */
export function instructionText(entry: Instruction, at: number): string {
  const { code, k } = entry;
  switch (code) {
    case Opcode.LOAD:
      return `A := ${wordText(k)}`;
    case Opcode.LOAD_LENGTH:
      return `A := ${dataSize}`;
    case Opcode.LOAD_X_LENGTH:
      return `X := ${dataSize}`;
    case Opcode.LOAD_IMMEDIATE:
      return `A := ${hexadecimal(k)}`;
    case Opcode.LOAD_X_IMMEDIATE:
      return `X := ${hexadecimal(k)}`;
    case Opcode.LOAD_MEMORY:
      return `A := ${memoryText(k)}`;
    case Opcode.LOAD_X_MEMORY:
      return `X := ${memoryText(k)}`;
    case Opcode.STORE:
      return `${memoryText(k)} := A`;
    case Opcode.STORE_X:
      return `${memoryText(k)} := X`;
    case Opcode.TAX:
      return 'X := A';
    case Opcode.TXA:
      return 'A := X';
    case Opcode.NEGATE:
      return 'A := -A';
    case Opcode.RETURN:
      return returnText(k);
    case Opcode.RETURN_A:
      return 'return A';
  }
  if (isJump(code)) return jumpText(entry, at);
  const operator = operators.get(code & 0xf7);
  if (operator === undefined || (code & 0xff00) !== 0) return invalid(code);
  return `A := A ${operator} ${(code & 8) === 0 ? hexadecimal(k) : 'X'}`;
}

/** The lines "000: A := architecture" and so on, each with its note after ";". */
export function disassemble(
  program: readonly Instruction[],
  noteOf: (at: number) => string = () => '',
): string {
  const lines = program.map((entry, at) => `${String(at).padStart(3, '0')}: ${instructionText(entry, at)}`);
  const width = Math.min(44, Math.max(0, ...lines.map((line) => line.length)));
  return lines
    .map((line, at) => {
      const note = noteOf(at);
      return note === '' ? `${line}\n` : `${line.padEnd(width)} ; ${note}\n`;
    })
    .join('');
}
