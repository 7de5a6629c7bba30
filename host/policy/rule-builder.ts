// Rules for single syscalls: by the methods of the guide, and as expressions.
import { errnoNumber, type Action as RuleAction, trapNumber } from './actions.js';
import { type ArgumentOf, argumentsOf } from './arguments.js';
import { assemble } from './bpf/assembler.js';
import type { Bpf } from './bpf/macros.js';
import { always, type Condition, checkCondition, copyCondition } from './conditions.js';
import { PolicyError } from './errors.js';
import type { Filter } from './filter.js';
import { checkGuard } from './guard.js';
import { completeFilter } from './possible.js';
import { type Preset, prepare } from './presets/index.js';
import { shown } from './quoting.js';
import { type AddOptions, allowAll, checkPiece, type Entry, type Rule, Rules } from './rules.js';
import {
  type Arch,
  isArch,
  isForeign,
  isSyscallName,
  nativeArch,
  syscallName,
  syscallNumber,
} from './syscalls.js';
import { type DangerousToken, dangerousTokens, isDangerousToken } from './tokens.js';

/** A syscall's name, or its number on the policy's architecture. */
export type Syscall = string | number;

/** What a rule does with the calls it applies to. */
export type Action =
  | 'allow'
  /** A violation: the call does not happen, and the sandbox ends. */
  | 'kill'
  /** The host's onSyscall handlers decide. */
  | 'notify'
  /** The call does nothing and fails with this errno, by name or number. */
  | { readonly errno: string | number }
  /** The call does nothing, and the thread gets SIGSYS with this number, 0 to 65535, in si_errno. */
  | { readonly trap: number };

/** One condition, or several that must all hold. */
export type Expression = (arg: ArgumentOf) => Condition | readonly Condition[];

/** Turns an error of a helper into an error of this builder method. */
function attempt<T>(method: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof PolicyError || !(error instanceof Error)) throw error;
    throw new PolicyError(method, error.message);
  }
}

/** A copy of the options. Throws PolicyError for a misspelled option. */
function optionsOf(method: string, options: unknown, ...known: readonly string[]): Record<string, unknown> {
  if (options === undefined) return {};
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new PolicyError(method, `options such as { ${known[0]}: … } are needed, not ${shown(options)}`);
  }
  const copy: Record<string, unknown> = { ...options };
  const unknown = Object.keys(copy).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new PolicyError(method, `there is no option ${shown(unknown)}`);
  return copy;
}

function addOptionsOf(method: string, options: unknown): AddOptions {
  const { override = false } = optionsOf(method, options, 'override');
  if (typeof override === 'boolean') return { override };
  throw new PolicyError(method, `override must be true or false, not ${shown(override)}`);
}

export interface RuleBuilderOptions {
  /** Default: the architecture of this process. A policy for another one can be inspected but not run. */
  readonly arch?: Arch;
}

export class RuleBuilder {
  readonly arch: Arch;
  readonly #rules = new Rules();
  readonly #tokens = new Set<DangerousToken>();
  #defaultAction: Filter['defaultAction'] = { kind: 'violation' };

  constructor(options: RuleBuilderOptions = {}) {
    const { arch = nativeArch } = optionsOf('constructor', options, 'arch');
    if (!isArch(arch)) throw new PolicyError('constructor', `there is no architecture ${shown(arch)}`);
    this.arch = arch;
  }

  /** Allows all calls of a syscall. */
  allowSyscall(syscall: Syscall, options: AddOptions = {}): this {
    return this.#addAll('allowSyscall', [syscall], allowAll('allowSyscall'), options);
  }

  allowSyscalls(syscalls: readonly Syscall[], options: AddOptions = {}): this {
    return this.#addAll('allowSyscalls', syscalls, allowAll('allowSyscalls'), options);
  }

  /** The syscall does nothing and fails with the errno, given by name ("ENOENT") or number. */
  blockSyscallWithErrno(syscall: Syscall, errno: number | string, options: AddOptions = {}): this {
    return this.#block('blockSyscallWithErrno', [syscall], errno, options);
  }

  blockSyscallsWithErrno(
    syscalls: readonly Syscall[],
    errno: number | string,
    options: AddOptions = {},
  ): this {
    return this.#block('blockSyscallsWithErrno', syscalls, errno, options);
  }

  /** The errno for calls that no other rule decides, whichever call of the builder comes first. */
  overridableBlockSyscallWithErrno(syscall: Syscall, errno: number | string): this {
    const method = 'overridableBlockSyscallWithErrno';
    const action = attempt(method, () => ({ kind: 'errno', errno: errnoNumber(errno) }) as const);
    return this.#addOverridable([syscall], { by: method, body: { kind: 'when', condition: always, action } });
  }

  /** A piece of BPF that decides or falls through to later rules, for example [ARG(0), JEQ(1, ALLOW), KILL]. */
  addPolicyOnSyscall(syscall: Syscall, program: Bpf, options: AddOptions = {}): this {
    return this.#program('addPolicyOnSyscall', [syscall], program, options);
  }

  addPolicyOnSyscalls(syscalls: readonly Syscall[], program: Bpf, options: AddOptions = {}): this {
    return this.#program('addPolicyOnSyscalls', syscalls, program, options);
  }

  addPolicyOnMmap(program: Bpf, options: AddOptions = {}): this {
    return this.#program('addPolicyOnMmap', ['mmap'], program, options);
  }

  /** A piece of BPF that only runs if no other rule decides, whichever call of the builder comes first. */
  overridablePolicyOnSyscall(syscall: Syscall, program: Bpf): this {
    return this.overridablePolicyOnSyscalls([syscall], program);
  }

  overridablePolicyOnSyscalls(syscalls: readonly Syscall[], program: Bpf): this {
    const method = 'overridablePolicyOnSyscalls';
    return this.#addOverridable(syscalls, this.#programRule(method, program));
  }

  /**
   * A rule as an expression: syscall('socket', (arg) => arg(0).in(AF_UNIX, AF_INET)) allows these sockets. Without a
   * condition it applies to all calls; without an action it allows them. Calls to which it does not apply go on to
   * later rules. undefined is neither a condition nor an action; leave the argument out instead.
   */
  syscall(syscall: Syscall | readonly Syscall[]): this;
  syscall(syscall: Syscall | readonly Syscall[], action: Action, options?: AddOptions): this;
  syscall(syscall: Syscall | readonly Syscall[], condition: Expression): this;
  syscall(
    syscall: Syscall | readonly Syscall[],
    condition: Expression,
    action: Action,
    options?: AddOptions,
  ): this;
  syscall(syscall: Syscall | readonly Syscall[], ...said: readonly unknown[]): this {
    const method = 'syscall';
    const [first] = said;
    const expression = typeof first === 'function' ? (first as Expression) : undefined;
    const rest = expression === undefined ? said : said.slice(1);
    if (rest.length > 2) throw new PolicyError(method, 'there are no arguments after the options');
    const action = attempt(method, () => ruleAction(rest.length === 0 ? 'allow' : rest[0]));
    const options = addOptionsOf(method, rest[1]);
    const syscalls = Array.isArray(syscall) ? (syscall as readonly Syscall[]) : [syscall as Syscall];
    const entries = this.#entries(method, syscalls, (name) => {
      const condition = attempt(method, () => conditionOf(name, expression));
      return { by: method, body: { kind: 'when', condition, action } };
    });
    this.#rules.add(entries, options);
    return this;
  }

  /**
   * Allows calls that no rule decides ("allowAllSyscalls"), or lets the host decide them ("traceAllSyscalls"), except
   * those that always need a token (docs/security.md).
   */
  defaultAction(token: 'allowAllSyscalls' | 'traceAllSyscalls'): this {
    switch (token) {
      case 'allowAllSyscalls':
        this.#defaultAction = { kind: 'allow' };
        return this;
      case 'traceAllSyscalls':
        this.#defaultAction = { kind: 'notify' };
        return this;
      default:
        throw new PolicyError(
          'defaultAction',
          'the token "allowAllSyscalls" or "traceAllSyscalls" is needed',
        );
    }
  }

  /** The same as defaultAction("allowAllSyscalls"). */
  dangerDefaultAllowAll(): this {
    return this.defaultAction('allowAllSyscalls');
  }

  /** Weakens the sandbox in ways that have names (docs/policy.md). Must come before the rules that need it. */
  allow(...tokens: DangerousToken[]): this {
    for (const token of tokens) {
      if (isDangerousToken(token)) continue;
      throw new PolicyError(
        'allow',
        `there is no token ${shown(token)}, only ${dangerousTokens.join(', ')}; other things are allowed by other methods`,
      );
    }
    for (const token of tokens) this.#tokens.add(token);
    return this;
  }

  // --- for the builders above this one -----------------------------------------------------------------------

  protected get tokens(): ReadonlySet<DangerousToken> {
    return this.#tokens;
  }

  protected filter(landlockOnly: boolean): Filter {
    return completeFilter({
      arch: this.arch,
      landlockOnly,
      rules: this.#rules.snapshot(),
      tokens: new Set(this.#tokens),
      defaultAction: this.#defaultAction,
    });
  }

  protected preset(method: string, preset: Preset): this {
    const { allow, when, otherwise } = prepare(preset);
    const all = allowAll(method);
    const entryOf = (name: string, condition: Condition, action: RuleAction) =>
      this.#entry(method, name, { by: method, body: { kind: 'when', condition, action } });
    const allowed = [
      ...allow.map((name) => this.#entry(method, name, all)),
      ...when.map(([name, condition]) => entryOf(name, condition, { kind: 'allow' })),
    ];
    const answered = otherwise.map(([name, errno]) =>
      entryOf(name, always, { kind: 'errno', errno: errnoNumber(errno) }),
    );
    this.#rules.add(allowed.filter(isThere), { isPreset: true });
    this.#rules.addOverridable(answered.filter(isThere));
    return this;
  }

  // --- inside ------------------------------------------------------------------------------------------------

  /** The number of a syscall; undefined if only other architectures have it. */
  #numberOf(method: string, syscall: unknown): number | undefined {
    if (typeof syscall === 'number') {
      const isNumber = Number.isInteger(syscall) && syscall >= 0 && syscall < 0x40000000;
      if (isNumber && !isForeign(syscall, this.arch)) return syscall;
      throw new PolicyError(method, `${syscall} is not a syscall number`);
    }
    if (typeof syscall !== 'string') {
      throw new PolicyError(method, `a syscall’s name or number is needed, not ${shown(syscall)}`);
    }
    const number = syscallNumber(syscall, this.arch);
    if (number === undefined && !isSyscallName(syscall)) {
      throw new PolicyError(method, `there is no syscall ${shown(syscall)}`);
    }
    return number;
  }

  /** undefined if only other architectures have the syscall. Throws PolicyError if a token is missing. */
  #entry(method: string, syscall: unknown, rule: Rule | ((name: string) => Rule)): Entry | undefined {
    const number = this.#numberOf(method, syscall);
    if (number === undefined) return undefined;
    const name = syscallName(number, this.arch) ?? String(number);
    const made = typeof rule === 'function' ? rule(name) : rule;
    checkGuard(name, made, this.#tokens);
    return { number, name, rule: made };
  }

  #entries(method: string, syscalls: unknown, rule: Rule | ((name: string) => Rule)): readonly Entry[] {
    if (!Array.isArray(syscalls)) {
      throw new PolicyError(method, `a list of syscalls is needed, not ${shown(syscalls)}`);
    }
    if (syscalls.length === 0) throw new PolicyError(method, 'the list of syscalls is empty');
    return Array.from(syscalls, (syscall: unknown) => this.#entry(method, syscall, rule)).filter(isThere);
  }

  #addAll(method: string, syscalls: readonly Syscall[], rule: Rule, options: AddOptions): this {
    const entries = this.#entries(method, syscalls, rule);
    this.#rules.add(entries, addOptionsOf(method, options));
    return this;
  }

  #addOverridable(syscalls: readonly Syscall[], rule: Rule): this {
    this.#rules.addOverridable(this.#entries(rule.by, syscalls, rule));
    return this;
  }

  #block(method: string, syscalls: readonly Syscall[], errno: number | string, options: AddOptions): this {
    const action = attempt(method, () => ({ kind: 'errno', errno: errnoNumber(errno) }) as const);
    const rule: Rule = { by: method, body: { kind: 'when', condition: always, action } };
    return this.#addAll(method, syscalls, rule, options);
  }

  #programRule(method: string, program: Bpf): Rule {
    return attempt(method, () => {
      const assembled = assemble(program);
      checkPiece(assembled);
      return { by: method, body: { kind: 'program', program: assembled } };
    });
  }

  #program(method: string, syscalls: readonly Syscall[], program: Bpf, options: AddOptions): this {
    return this.#addAll(method, syscalls, this.#programRule(method, program), options);
  }
}

const isThere = (entry: Entry | undefined): entry is Entry => entry !== undefined;

function ruleAction(action: unknown): RuleAction {
  if (action === 'allow' || action === 'notify') return { kind: action };
  if (action === 'kill') return { kind: 'violation' };
  if (typeof action === 'object' && action !== null) {
    const { errno, trap, ...others }: { errno?: unknown; trap?: unknown } = { ...action };
    if (Object.keys(others).length === 0 && (errno === undefined) !== (trap === undefined)) {
      return errno === undefined
        ? { kind: 'trap', data: trapNumber(trap) }
        : { kind: 'errno', errno: errnoNumber(errno) };
    }
  }
  throw new RangeError(
    `an action must be "allow", "kill", "notify", { errno } or { trap }, not ${shown(action)}`,
  );
}

function conditionOf(syscall: string, expression: Expression | undefined): Condition {
  if (expression === undefined) return always;
  const said: unknown = expression(argumentsOf(syscall));
  const condition = copyCondition(Array.isArray(said) ? { kind: 'all', of: said } : said);
  if (condition === undefined) {
    throw new RangeError('the expression must return a condition, such as arg(0).eq(1), or an array of them');
  }
  checkCondition(condition);
  return condition;
}
