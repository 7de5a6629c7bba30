// Computes what the kernel would answer: classic BPF over struct seccomp_data, with every instruction that seccomp
// accepts (seccomp_check_filter() and bpf_check_classic() of the kernel).
import { DataOffset, dataSize, type Instruction, isJump, memoryWords, Opcode } from './instructions.js';

/** struct seccomp_data. */
export interface SyscallData {
  /** Unsigned, as the filter sees it. */
  readonly nr: number;
  /** AUDIT_ARCH_* */
  readonly arch: number;
  readonly instructionPointer?: bigint;
  /** Missing arguments are 0. */
  readonly args?: readonly bigint[];
}

/** A program that the kernel would refuse, or that leaves its own bounds. */
export class BpfError extends Error {
  override readonly name = 'BpfError';
}

/** The 16 words of struct seccomp_data on a little-endian machine. */
export function dataWords(data: SyscallData): Uint32Array {
  const words = new Uint32Array(dataSize / 4);
  words[DataOffset.nr / 4] = data.nr;
  words[DataOffset.arch / 4] = data.arch;
  const pointer = BigInt.asUintN(64, data.instructionPointer ?? 0n);
  words[2] = Number(pointer & 0xffffffffn);
  words[3] = Number(pointer >> 32n);
  for (let index = 0; index < 6; index++) {
    const value = BigInt.asUintN(64, data.args?.[index] ?? 0n);
    words[DataOffset.argumentLow(index) / 4] = Number(value & 0xffffffffn);
    words[DataOffset.argumentHigh(index) / 4] = Number(value >> 32n);
  }
  return words;
}

const known = new Set<number>(Object.values(Opcode));

function checkOperand(entry: Instruction, index: number): void {
  const { code, k } = entry;
  const fail = (why: string): never => {
    throw new BpfError(`instruction ${index}: ${why}`);
  };
  if (!known.has(code)) fail(`0x${code.toString(16)} is not an instruction that seccomp accepts`);
  switch (code) {
    case Opcode.LOAD:
      if (k % 4 !== 0) fail(`misaligned read (${k})`);
      if (k >= dataSize) fail(`out of bounds read (${k})`);
      return;
    case Opcode.LOAD_MEMORY:
    case Opcode.LOAD_X_MEMORY:
    case Opcode.STORE:
    case Opcode.STORE_X:
      if (k >= memoryWords) fail(`there is no M[${k}]`);
      return;
    case Opcode.DIVIDE:
      if (k === 0) fail('division by 0');
      return;
    case Opcode.SHIFT_LEFT:
    case Opcode.SHIFT_RIGHT:
      if (k >= 32) fail(`a shift by ${k} bits`);
      return;
  }
}

/**
 * Makes the checks of the kernel before it accepts a program. mayFallOff: it is a piece, and its end leads to another.
 * Throws BpfError.
 */
export function checkProgram(program: readonly Instruction[], mayFallOff = false): void {
  // The words of M that are written on every way to an instruction (check_load_and_stores() of net/core/filter.c).
  const written = new Uint16Array(program.length + 1).fill(0xffff);
  let here = 0;
  const limit = program.length + (mayFallOff ? 0 : -1);
  program.forEach((entry, index) => {
    checkOperand(entry, index);
    const { code, jt, jf, k } = entry;
    here &= written[index] ?? 0;
    const reach = (distance: number) => {
      const target = index + 1 + distance;
      if (target > limit) throw new BpfError(`instruction ${index} jumps past the end`);
      written[target] = (written[target] ?? 0) & here;
    };
    if (code === Opcode.STORE || code === Opcode.STORE_X) here |= 1 << k;
    if ((code === Opcode.LOAD_MEMORY || code === Opcode.LOAD_X_MEMORY) && ((here >> k) & 1) === 0) {
      throw new BpfError(`instruction ${index}: M[${k}] is read before it is written`);
    }
    if (isJump(code)) {
      if (code === Opcode.JUMP) reach(k);
      else {
        reach(jt);
        reach(jf);
      }
      here = 0xffff;
    }
  });
  const last = program[program.length - 1]?.code;
  if (last === undefined) throw new BpfError('there is no instruction');
  if (!mayFallOff && last !== Opcode.RETURN && last !== Opcode.RETURN_A)
    throw new BpfError('the last instruction is not a return');
}

/** The 32-bit value that the program returns; undefined if it falls off its end, which only a piece may do. */
export function run(program: readonly Instruction[], words: Uint32Array, startWithA = 0): number | undefined {
  let a = startWithA >>> 0;
  let x = 0;
  const memory = new Uint32Array(memoryWords);
  for (let at = 0; at < program.length; at++) {
    const { code, jt, jf, k } = program[at] as Instruction;
    switch (code) {
      case Opcode.LOAD:
        a = words[k >> 2] ?? 0;
        break;
      case Opcode.LOAD_LENGTH:
        a = dataSize;
        break;
      case Opcode.LOAD_X_LENGTH:
        x = dataSize;
        break;
      case Opcode.LOAD_IMMEDIATE:
        a = k;
        break;
      case Opcode.LOAD_X_IMMEDIATE:
        x = k;
        break;
      case Opcode.LOAD_MEMORY:
        a = memory[k] ?? 0;
        break;
      case Opcode.LOAD_X_MEMORY:
        x = memory[k] ?? 0;
        break;
      case Opcode.STORE:
        memory[k] = a;
        break;
      case Opcode.STORE_X:
        memory[k] = x;
        break;
      case Opcode.TAX:
        x = a;
        break;
      case Opcode.TXA:
        a = x;
        break;
      case Opcode.JUMP:
        at += k;
        break;
      case Opcode.RETURN:
        return k;
      case Opcode.RETURN_A:
        return a;
      default:
        if (isJump(code)) {
          at += compare(code, a, (code & 8) === 0 ? k : x) ? jt : jf;
        } else {
          const operand = (code & 8) === 0 ? k : x;
          // A division by an X of 0 ends the program with 0: SECCOMP_RET_KILL_THREAD.
          if (code === Opcode.DIVIDE_X && operand === 0) return 0;
          a = calculate(code, a, operand);
        }
    }
  }
  return undefined;
}

/** True if a conditional jump is taken. Throws BpfError for another instruction. */
export function compare(code: number, a: number, operand: number): boolean {
  switch (code & 0xf7) {
    case Opcode.JUMP_IF_EQUAL:
      return a === operand;
    case Opcode.JUMP_IF_GREATER:
      return a > operand;
    case Opcode.JUMP_IF_GREATER_OR_EQUAL:
      return a >= operand;
    case Opcode.JUMP_IF_ANY_BIT:
      return (a & operand) !== 0;
    default:
      throw new BpfError(`Invalid instruction 0x${code.toString(16)}`);
  }
}

/** Throws BpfError if code is not arithmetic. */
export function calculate(code: number, a: number, operand: number): number {
  switch (code & 0xf7) {
    case Opcode.ADD:
      return (a + operand) >>> 0;
    case Opcode.SUBTRACT:
      return (a - operand) >>> 0;
    case Opcode.MULTIPLY:
      return Math.imul(a, operand) >>> 0;
    case Opcode.DIVIDE:
      return Math.floor(a / operand);
    case Opcode.OR:
      return (a | operand) >>> 0;
    case Opcode.AND:
      return (a & operand) >>> 0;
    case Opcode.XOR:
      return (a ^ operand) >>> 0;
    // The kernel masks a shift by X (bpf_convert_filter(), "AND 31").
    case Opcode.SHIFT_LEFT:
      return (a << (operand & 31)) >>> 0;
    case Opcode.SHIFT_RIGHT:
      return a >>> (operand & 31);
    case Opcode.NEGATE:
      return -a >>> 0;
    default:
      throw new BpfError(`Invalid instruction 0x${code.toString(16)}`);
  }
}
