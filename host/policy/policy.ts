// A finished policy: a seccomp program and what the sandbox's file system holds.
import { encodeProgram, type Instruction } from './bpf/instructions.js';
import type { MountEntry } from './mount-tree.js';
import type { Arch } from './syscalls.js';

export interface PolicyFields {
  readonly instructions: readonly Instruction[];
  readonly mounts: readonly MountEntry[];
  readonly hostname: string;
  readonly networking: 'private' | 'unrestricted';
  readonly allowSpeculation: boolean;
  readonly rootWritable: boolean;
  readonly arch: Arch;
}

/** Made by PolicyBuilder.build(); never changes. */
export class Policy implements PolicyFields {
  readonly instructions: readonly Instruction[];
  /** struct sock_filter[], little-endian. */
  readonly program: Uint8Array;
  /** Parents before what lies in them. */
  readonly mounts: readonly MountEntry[];
  readonly hostname: string;
  readonly networking: 'private' | 'unrestricted';
  readonly allowSpeculation: boolean;
  readonly rootWritable: boolean;
  readonly arch: Arch;

  constructor(fields: PolicyFields) {
    this.instructions = fields.instructions;
    this.program = encodeProgram(fields.instructions);
    this.mounts = fields.mounts;
    this.hostname = fields.hostname;
    this.networking = fields.networking;
    this.allowSpeculation = fields.allowSpeculation;
    this.rootWritable = fields.rootWritable;
    this.arch = fields.arch;
  }
}
