// Asks the kernel itself what it answers under a policy's program, in a throw-away process
// (test/sandboxees/judge_calls.c).
import { spawnSync } from 'node:child_process';
import type { Policy } from '../../host/index.js';
import { actionOf, describeAction, returnValue } from '../../host/policy/actions.js';
import { encodeProgram, type Instruction, Opcode } from '../../host/policy/bpf/instructions.js';
import { sandboxeePath } from '../support/sandbox.js';

export interface Call {
  readonly number: number;
  readonly args?: readonly (number | bigint)[];
  /** By int 0x80, where the number is that of the 32-bit interface. */
  readonly is32Bit?: boolean;
}

// Every action is replaced by an errno that no rule of a test uses, so that no call takes effect.
const disguises = ['allow', 'violation', 'notify', 'launch', 'trap'] as const;
const firstDisguise = 4080;

function disguised(entry: Instruction): Instruction {
  if (entry.code === Opcode.RETURN_A) throw new Error('a computed return cannot be disguised');
  if (entry.code !== Opcode.RETURN) return entry;
  const action = actionOf(entry.k);
  const at = (disguises as readonly string[]).indexOf(action.kind);
  return at < 0 ? entry : { ...entry, k: returnValue({ kind: 'errno', errno: firstDisguise + at }) };
}

/** "allow", "errno ENOENT", "violation" … for each call. A trap comes without its number. */
export function kernelAnswers(policy: Policy, calls: readonly Call[]): readonly string[] {
  const program = encodeProgram(policy.instructions.map(disguised));
  const bytes = Buffer.alloc(8 + program.length + calls.length * 64);
  bytes.writeUInt32LE(policy.instructions.length, 0);
  bytes.set(program, 4);
  bytes.writeUInt32LE(calls.length, 4 + program.length);
  calls.forEach(({ number, args = [], is32Bit = false }, index) => {
    const at = 8 + program.length + index * 64;
    bytes.writeBigUInt64LE(is32Bit ? 1n : 0n, at);
    bytes.writeBigInt64LE(BigInt(number | 0), at + 8);
    args.forEach((value, place) => {
      bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), at + 16 + 8 * place);
    });
  });
  const run = spawnSync(sandboxeePath('judge_calls'), { input: bytes, maxBuffer: 64 << 20 });
  if (run.status !== 0) throw new Error(`judge_calls ended with ${run.status ?? run.signal}`);
  return calls.map((_, index) => {
    const errno = run.stdout.readInt32LE(index * 4);
    return disguises[errno - firstDisguise] ?? describeAction({ kind: 'errno', errno });
  });
}
