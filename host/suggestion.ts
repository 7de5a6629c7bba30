// Finds the line of a policy that would have allowed a violation.
import { type Policy, PolicyBuilder, PolicyError } from './policy/index.js';
import { nativeArch } from './policy/syscalls.js';
import { FUTEX_COMMAND_MASK, PROT_EXEC } from './policy/tables/numbers.js';
import { isDynamic } from './program.js';
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

/** Presets for programs made with particular tools; they allow much that others do not need. */
const particular: ReadonlySet<string> = new Set([
  'allowNode',
  'allowTcMalloc',
  'allowScudoMalloc',
  'allowRestartableSequences',
  'allowLlvmSanitizers',
  'allowLlvmCoverage',
  'allowUnrestrictedNetworking',
]);

/**
 * The methods of PolicyBuilder that have no parameters and allow something; the narrowest first, by the length of its
 * program.
 */
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
        if (error instanceof PolicyError || error instanceof TypeError) return []; // it has parameters after all
        throw error;
      }
      return [{ name, policy: builder.build() }];
    })
    .sort((one, other) => one.policy.program.length - other.policy.program.length);
}

/** Calls that have many functions: the argument that selects one. */
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

/** The part of a program that a syscall is mainly for, if other presets also contain it. undefined: none. */
const mostlyFor: Readonly<Record<string, string | undefined>> = {
  brk: 'allowSystemMalloc',
  close: undefined,
  fcntl: 'allowSafeFcntl',
  madvise: 'allowSystemMalloc',
  mmap: 'allowSystemMalloc',
  mprotect: 'allowSystemMalloc',
  mremap: 'allowSystemMalloc',
  munmap: 'allowSystemMalloc',
};

/** These calls cannot fail, and no program checks whether they have. */
const neverFail: ReadonlySet<string> = new Set([
  ...['getpid', 'getppid', 'gettid', 'getpgrp', 'getuid', 'geteuid', 'getgid', 'getegid', 'umask'],
  ...['brk', 'close', 'exit', 'exit_group', 'munmap', 'rt_sigreturn', 'sched_yield'],
]);

/** What to consider before allowing it. */
const concerns: Readonly<Record<string, string>> = {
  execve: 'It starts another program, which has this policy and these files too.',
  execveat: 'It starts another program, which has this policy and these files too.',
  socket: 'Sockets give access to a large part of the kernel, and to the network if there is one.',
};
const executableMemory = 'It makes memory executable: the program could then run code that it was sent.';

const execTokenMethods: Readonly<Record<string, string>> = {
  mmap: 'allowMmap',
  mprotect: 'allowMprotect',
  pkey_mprotect: 'allowPkeyMprotect',
};

const argumentOf = (violation: Violation, index: number) => BigInt(violation.args[index]?.value ?? 0);

/**
 * The method of PolicyBuilder that allows a whole program's start-up before its main(), if the call is part of that.
 */
function startupOf(violation: Violation): string | undefined {
  const { syscall, program, args } = violation;
  const isNode = program === process.execPath || /\/node(js)?$/.test(program);
  if (isNode && allows(new PolicyBuilder().allowNode().build(), violation)) return 'allowNode';
  const names = /"\/etc\/ld(\.so\.|-musl-)/;
  const isLoaders = args.some(({ text }) => names.test(text));
  // The C library asks for its break once; after that it knows it.
  const isFirst = syscall === 'brk' && argumentOf(violation, 0) === 0n;
  if (isLoaders) return 'allowDynamicStartup';
  return isFirst || narrowest(violation) === 'allowStaticStartup' ? startupPreset(program) : undefined;
}

function startupPreset(program: string): string {
  return isDynamic(program) ? 'allowDynamicStartup' : 'allowStaticStartup';
}

function narrowest(violation: Violation): string | undefined {
  presets ??= allPresets();
  const allowing = presets.filter(({ policy }) => allows(policy, violation));
  const { syscall } = violation;
  if (!(syscall in mostlyFor)) return allowing[0]?.name;
  return allowing.find(({ name }) => name === mostlyFor[syscall])?.name;
}

/** Allows the call that was tried; if the syscall has many functions, no other of them. */
function narrowLine(violation: Violation, name: string): string {
  const index = selector[violation.syscall];
  const argument = index === undefined ? undefined : violation.args[index];
  if (argument === undefined) return `.allowSyscall(${name})`;
  const words = /^[A-Z_0-9|]*[A-Z_][A-Z_0-9|]*$/.test(argument.text) ? ` // ${argument.text}` : '';
  return `.syscall(${name}, (arg) => arg(${index}).eq(${argument.value}))${words}`;
}

interface Line {
  readonly line: string;
  readonly concern?: string | undefined;
}

function lineFor(violation: Violation, name: string): Line {
  const { syscall } = violation;
  const startup = startupOf(violation);
  if (startup !== undefined) return { line: `.${startup}()` };
  if (syscall === 'futex') {
    const operation = Number(argumentOf(violation, 1) & BigInt(FUTEX_COMMAND_MASK));
    const words = violation.args[1]?.text.split('|')[0] ?? '';
    return { line: `.allowFutexOp(${operation})${/^FUTEX_\w+$/.test(words) ? ` // ${words}` : ''}` };
  }
  const preset = narrowest(violation);
  if (preset !== undefined) return { line: `.${preset}()` };
  const method = execTokenMethods[syscall];
  if (method !== undefined) {
    return (argumentOf(violation, 2) & BigInt(PROT_EXEC)) !== 0n
      ? { line: `.${method}('allowMapExec')`, concern: executableMemory }
      : { line: `.${method}WithoutExec()` };
  }
  return { line: narrowLine(violation, name), concern: concerns[syscall] };
}

/** The line of a policy, or advice if there is none. */
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
  const { line, concern } = lineFor(violation, name);
  const blockingLine = `.blockSyscallWithErrno(${name}, 'EPERM')`;
  if (concern !== undefined) {
    return (
      `${concern} To make it fail, which most programs handle well: ${blockingLine}\n` +
      `If the program is of no use without it, the line that would allow it: ${line}`
    );
  }
  const isPart = /^\.allow(Node|\w+Startup)\(/.test(line);
  const allowing = `The line that would allow it: ${line}`;
  if (isPart || neverFail.has(syscall)) return allowing;
  return `${allowing}\nOr, to make it fail if the program can do without it: ${blockingLine}`;
}
