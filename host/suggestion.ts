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

/** Calls that are many in one: the argument that says which. */
const selector: Readonly<Record<string, number>> = {
  arch_prctl: 0,
  fcntl: 1,
  ioctl: 1,
  madvise: 2,
  personality: 0,
  prctl: 0,
  socket: 0,
  socketpair: 0,
};

/** What to think of before allowing it. */
const concerns: Readonly<Record<string, string>> = {
  execve: 'It starts another program, which has this policy and these files too.',
  execveat: 'It starts another program, which has this policy and these files too.',
  socket: 'Sockets open a large part of the kernel, and lead out where there is a network.',
};

/** Allows the call that was tried, and where it is many in one no other of them. */
function narrowLine(violation: Violation, name: string): string {
  const index = selector[violation.syscall];
  const argument = index === undefined ? undefined : violation.args[index];
  if (argument === undefined) return `.allowSyscall(${name})`;
  const words = /^[A-Z_0-9|]*[A-Z_][A-Z_0-9|]*$/.test(argument.text) ? ` // ${argument.text}` : '';
  return `.syscall(${name}, (arg) => arg(${index}).eq(${argument.value}))${words}`;
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
  const line = preset === undefined ? narrowLine(violation, name) : `.${preset.name}()`;
  const blockingLine = `.blockSyscallWithErrno(${name}, 'EPERM')`;
  const concern = preset === undefined ? concerns[syscall] : undefined;
  if (concern !== undefined) {
    return (
      `${concern} To make it fail, which most programs take well: ${blockingLine}\n` +
      `Only where the program is of no use without, the line that would allow it: ${line}`
    );
  }
  return (
    `The line that would allow it: ${line}\n` +
    `Or, to make it fail where the program can do without: ${blockingLine}`
  );
}
