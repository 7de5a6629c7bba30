// The policy language: what a sandboxee may do.
export { Argument, type ArgumentOf, type ArgumentValue, allOf, anyOf, not } from './arguments.js';
export {
  ALLOW,
  ARG,
  ARG_32,
  ARG_64,
  type Bpf,
  type BpfAction,
  DENY,
  ERRNO,
  JA,
  JA32,
  JA64,
  JEQ,
  JEQ32,
  JEQ64,
  JGE,
  JGE32,
  JGE64,
  JGT,
  JGT32,
  JGT64,
  JLE,
  JLE32,
  JLE64,
  JLT,
  JLT32,
  JLT64,
  JNE,
  JNE32,
  JNE64,
  JUMP,
  KILL,
  LABEL,
  LOAD_ARCH,
  LOAD_SYSCALL_NR,
  NOTIFY,
  SANDBOX2_TRACE,
  SYSCALL,
  TRACE,
  TRAP,
} from './bpf/macros.js';
export { PolicyBuilder } from './builder.js';
export type { Comparison, Condition } from './conditions.js';
export { type DescribedSyscall, describeSyscall } from './describe.js';
export { PolicyError } from './errors.js';
export type { ActionData, ConditionData, MountData, PolicyData, RuleData } from './json/write.js';
export type { BoundMount, MountEntry } from './mount-tree.js';
export {
  type DecidingRule,
  type EvaluatedCall,
  type Evaluation,
  Policy,
} from './policy.js';
export type { MapExecToken } from './preset-builder.js';
export type { Action, Expression, RuleBuilderOptions, Syscall } from './rule-builder.js';
export type { AddOptions } from './rules.js';
export type { Networking, StackTraces } from './sandbox-settings.js';
export { type Arch, SYS } from './syscalls.js';
export type { DangerousToken } from './tokens.js';
