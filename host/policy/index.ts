// The policy language: what a sandboxee may do.
export {
  ALLOW,
  ARG,
  ARG_32,
  type Bpf,
  type BpfAction,
  DENY,
  ERRNO,
  JA,
  JA32,
  JEQ,
  JEQ32,
  JGE,
  JGE32,
  JGT,
  JGT32,
  JLE,
  JLE32,
  JLT,
  JLT32,
  JNE,
  JNE32,
  JUMP,
  KILL,
  LABEL,
  LOAD_ARCH,
  LOAD_SYSCALL_NR,
  SYSCALL,
  TRAP,
} from './bpf/macros.js';
export { type DangerousToken, PolicyBuilder, type Syscall } from './builder.js';
export { type DescribedSyscall, describeSyscall } from './describe.js';
export { PolicyError } from './errors.js';
export type { MountEntry } from './mount-tree.js';
export { Policy } from './policy.js';
export { SYS } from './syscalls.js';
