// Classic BPF as seccomp accepts it (linux/filter.h, linux/bpf_common.h, linux/seccomp.h).

/** struct sock_filter: jt and jf count instructions to skip. */
export interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** Every instruction that seccomp_check_filter() of kernel/seccomp.c accepts. */
export const Opcode = {
  /** A = 32-bit word of struct seccomp_data at k. */
  LOAD: 0x20,
  /** A = the size of struct seccomp_data, 64. */
  LOAD_LENGTH: 0x80,
  LOAD_X_LENGTH: 0x81,
  LOAD_IMMEDIATE: 0x00,
  LOAD_X_IMMEDIATE: 0x01,
  /** A = M[k]. */
  LOAD_MEMORY: 0x60,
  LOAD_X_MEMORY: 0x61,
  /** M[k] = A. */
  STORE: 0x02,
  STORE_X: 0x03,
  ADD: 0x04,
  SUBTRACT: 0x14,
  MULTIPLY: 0x24,
  DIVIDE: 0x34,
  OR: 0x44,
  AND: 0x54,
  SHIFT_LEFT: 0x64,
  SHIFT_RIGHT: 0x74,
  NEGATE: 0x84,
  XOR: 0xa4,
  ADD_X: 0x0c,
  SUBTRACT_X: 0x1c,
  MULTIPLY_X: 0x2c,
  DIVIDE_X: 0x3c,
  OR_X: 0x4c,
  AND_X: 0x5c,
  SHIFT_LEFT_X: 0x6c,
  SHIFT_RIGHT_X: 0x7c,
  XOR_X: 0xac,
  /** X = A. */
  TAX: 0x07,
  /** A = X. */
  TXA: 0x87,
  JUMP: 0x05,
  JUMP_IF_EQUAL: 0x15,
  JUMP_IF_GREATER: 0x25,
  JUMP_IF_GREATER_OR_EQUAL: 0x35,
  JUMP_IF_ANY_BIT: 0x45,
  JUMP_IF_EQUAL_X: 0x1d,
  JUMP_IF_GREATER_X: 0x2d,
  JUMP_IF_GREATER_OR_EQUAL_X: 0x3d,
  JUMP_IF_ANY_BIT_X: 0x4d,
  RETURN: 0x06,
  RETURN_A: 0x16,
} as const;

/** sizeof(struct seccomp_data) */
export const dataSize = 64;
/** BPF_MEMWORDS */
export const memoryWords = 16;

/** Where the words of struct seccomp_data are, on a little-endian machine. */
export const DataOffset = {
  nr: 0,
  arch: 4,
  argumentLow: (index: number) => 16 + 8 * index,
  argumentHigh: (index: number) => 20 + 8 * index,
} as const;

/** SECCOMP_RET_*; the low 16 bits are data. */
export const ReturnAction = {
  KILL_PROCESS: 0x80000000,
  KILL_THREAD: 0x00000000,
  TRAP: 0x00030000,
  ERRNO: 0x00050000,
  USER_NOTIF: 0x7fc00000,
  TRACE: 0x7ff00000,
  LOG: 0x7ffc0000,
  ALLOW: 0x7fff0000,
} as const;

/**
 * The data of a USER_NOTIF. The kernel does not pass it on. It is for whoever evaluates the same program again (the
 * supervisor, filter_evaluation.c): it says which of the three reasons for a notification applies.
 */
export { NotificationReason } from '../../../protocol/wire.generated.js';

/** BPF_MAXINSNS. */
export const maxInstructions = 4096;

/** Frozen, because constants such as ALLOW are shared. */
export function instruction(code: number, k: number, jt = 0, jf = 0): Instruction {
  return Object.freeze({ code, jt, jf, k: k >>> 0 });
}

/** A jump of any kind: class BPF_JMP. */
export function isJump(code: number): boolean {
  return (code & 7) === 5;
}

/** X as the second operand: BPF_X of an arithmetic instruction or a jump. */
function hasOperandX(code: number): boolean {
  const isArithmetic = (code & 7) === 4 && code !== Opcode.NEGATE;
  return (isArithmetic || (isJump(code) && code !== Opcode.JUMP)) && (code & 8) !== 0;
}

/** True if the instruction reads X. */
export function readsX({ code }: Instruction): boolean {
  return hasOperandX(code) || code === Opcode.TXA || code === Opcode.STORE_X;
}

/** struct sock_filter[], little-endian. */
export function encodeProgram(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  program.forEach(({ code, jt, jf, k }, index) => {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, jt);
    view.setUint8(index * 8 + 3, jf);
    view.setUint32(index * 8 + 4, k, true);
  });
  return bytes;
}

/** The inverse of encodeProgram(). Throws RangeError if the length is not a multiple of 8. */
export function decodeProgram(bytes: Uint8Array): readonly Instruction[] {
  if (bytes.length % 8 !== 0)
    throw new RangeError(`${bytes.length} bytes are not an array of struct sock_filter`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 8 }, (_, index) => ({
    code: view.getUint16(index * 8, true),
    jt: view.getUint8(index * 8 + 2),
    jf: view.getUint8(index * 8 + 3),
    k: view.getUint32(index * 8 + 4, true),
  }));
}
