// From a violation to the line that would have allowed it.
import { DataOffset, type Instruction, Opcode, ReturnAction } from './policy/bpf/instructions.js';
import { type Policy, PolicyBuilder, PolicyError } from './policy/index.js';
import { auditArch, nativeArch } from './policy/syscalls.js';
import type { Violation } from './result.js';

/** Runs a policy on the call of a violation. Knows the instructions that presets are made of. */
function allows(policy: Policy, violation: Violation): boolean {
  const data = new Map<number, number>([
    [DataOffset.nr, violation.number >>> 0],
    [DataOffset.arch, auditArch[nativeArch] >>> 0],
  ]);
  violation.args.forEach(({ value }, index) => {
    const number = BigInt.asUintN(64, BigInt(value));
    data.set(DataOffset.argumentLow(index), Number(number & 0xffffffffn));
    data.set(DataOffset.argumentHigh(index), Number(number >> 32n));
  });
  const memory: number[] = [];
  let a = 0;
  const holds = ({ code, k }: Instruction): boolean | undefined => {
    switch (code) {
      case Opcode.JUMP_IF_EQUAL:
        return a === k;
      case Opcode.JUMP_IF_GREATER:
        return a > k;
      case Opcode.JUMP_IF_GREATER_OR_EQUAL:
        return a >= k;
      case Opcode.JUMP_IF_ANY_BIT:
        return (a & k) !== 0;
      default:
        return undefined;
    }
  };
  for (let at = 0; at < policy.instructions.length; at++) {
    const instruction = policy.instructions[at];
    if (instruction === undefined) return false;
    const { code, k, jt, jf } = instruction;
    const condition = holds(instruction);
    if (condition !== undefined) at += condition ? jt : jf;
    else if (code === Opcode.LOAD) a = data.get(k) ?? 0;
    else if (code === Opcode.LOAD_MEMORY) a = memory[k] ?? 0;
    else if (code === Opcode.STORE) memory[k] = a;
    else if (code === Opcode.AND) a = (a & k) >>> 0;
    else if (code === Opcode.JUMP) at += k;
    else return code === Opcode.RETURN && k === ReturnAction.ALLOW;
  }
  return false;
}

interface Preset {
  readonly name: string;
  readonly policy: Policy;
}

let presets: readonly Preset[] | undefined;

/** The methods of PolicyBuilder that take nothing and allow something; the narrowest, by its program, first. */
function allPresets(): readonly Preset[] {
  const names = [...Object.keys(new PolicyBuilder()), ...Object.getOwnPropertyNames(PolicyBuilder.prototype)];
  return names
    .filter((name) => /^allow[A-Z]/.test(name))
    .flatMap((name) => {
      const builder = new PolicyBuilder();
      const method: unknown = Reflect.get(builder, name);
      if (typeof method !== 'function' || method.length > 0) return [];
      try {
        Reflect.apply(method, builder, []);
      } catch (error) {
        if (error instanceof PolicyError || error instanceof TypeError) return []; // it takes something after all
        throw error;
      }
      return [{ name, policy: builder.build() }];
    })
    .sort((one, other) => one.policy.program.length - other.policy.program.length);
}

/** The line of a policy, or the advice where there is none. */
export function suggestionFor(violation: Violation): string {
  const { syscall, number } = violation;
  if (violation.arch !== (nativeArch === 'aarch64' ? 'AARCH64' : 'X86-64')) {
    return 'A syscall of another architecture cannot be allowed: run a program made for this machine.';
  }
  const name = /^\w+$/.test(syscall) ? `'${syscall}'` : String(number);
  try {
    new PolicyBuilder().allowSyscall(/^\w+$/.test(syscall) ? syscall : number);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return `It cannot be allowed. To make it fail instead: .blockSyscallWithErrno(${name}, 'EPERM')`;
  }
  presets ??= allPresets();
  const preset = presets.find(({ policy }) => allows(policy, violation));
  const line = preset === undefined ? `.allowSyscall(${name})` : `.${preset.name}()`;
  return (
    `The line that would allow it: ${line}\n` +
    `Or, to make it fail where the program can do without: .blockSyscallWithErrno(${name}, 'EPERM')`
  );
}
