// Classic BPF as seccomp takes it (linux/filter.h, linux/bpf_common.h, linux/seccomp.h).

/** struct sock_filter: jt and jf count instructions to skip. */
export interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

export const Opcode = {
  /** A = 32-bit word of struct seccomp_data at k. */
  LOAD: 0x20,
  /** A = M[k]. */
  LOAD_MEMORY: 0x60,
  /** M[k] = A. */
  STORE: 0x02,
  JUMP: 0x05,
  JUMP_IF_EQUAL: 0x15,
  JUMP_IF_GREATER: 0x25,
  JUMP_IF_GREATER_OR_EQUAL: 0x35,
  JUMP_IF_ANY_BIT: 0x45,
  AND: 0x54,
  RETURN: 0x06,
} as const;

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

/** BPF_MAXINSNS. */
export const maxInstructions = 4096;

export function instruction(code: number, k: number, jt = 0, jf = 0): Instruction {
  return { code, jt, jf, k: k >>> 0 };
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
