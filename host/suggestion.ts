// From a violation to the line that would have allowed it.
import { type Policy, PolicyBuilder, PolicyError } from './policy/index.js';
import { nativeArch } from './policy/syscalls.js';
import type { Violation } from './result.js';

function allows(policy: Policy, violation: Violation): boolean {
  const args = violation.args.map(({ value }) => BigInt(value));
  return policy.evaluate({ syscall: violation.number, args }).action === 'allow';
}

interface Preset {
  readonly name: string;
  readonly policy: Policy;
}

let presets: readonly Preset[] | undefined;

/** For programs made with something in particular; they allow much that others have no use for. */
const particular: ReadonlySet<string> = new Set([
  'allowNode',
  'allowTcMalloc',
  'allowScudoMalloc',
  'allowRestartableSequences',
  'allowLlvmSanitizers',
  'allowLlvmCoverage',
  'allowUnrestrictedNetworking',
]);

/** The methods of PolicyBuilder that take nothing and allow something; the narrowest, by its program, first. */
function allPresets(): readonly Preset[] {
  const names = [...Object.keys(new PolicyBuilder()), ...Object.getOwnPropertyNames(PolicyBuilder.prototype)];
  return names
    .filter((name) => /^allow[A-Z]/.test(name) && !particular.has(name))
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
