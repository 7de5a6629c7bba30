// What is said about syscalls one by one: in the guide's words, and as expressions.
import { errnoNumber, type Action as RuleAction } from './actions.js';
import { type ArgumentOf, argumentsOf } from './arguments.js';
import { assemble } from './bpf/assembler.js';
import type { Bpf } from './bpf/macros.js';
import { always, type Condition, isCondition, maxComparisons, sizeOf } from './conditions.js';
import { PolicyError } from './errors.js';
import type { Filter } from './filter.js';
import { type Preset, prepare } from './presets/index.js';
import { type AddOptions, allowAll, checkGuard, checkPiece, type Rule, Rules } from './rules.js';
import {
  type Arch,
  isArch,
  isForeign,
  isSyscallName,
  nativeArch,
  syscallName,
  syscallNumber,
} from './syscalls.js';
import { type DangerousToken, isDangerousToken } from './tokens.js';

/** By name, or by its number on the policy's architecture. */
export type Syscall = string | number;

/** What a rule does with the calls it applies to. */
export type Action =
  | 'allow'
  /** A violation: the call does not happen, and the sandbox ends. */
  | 'kill'
  /** The host's onSyscall handlers are asked. */
  | 'notify'
  /** The call does nothing and fails with this errno, by name or number. */
  | { readonly errno: string | number }
  /** The call does nothing, and the thread gets SIGSYS with this number, 0 to 65535, in si_errno. */
  | { readonly trap: number };

/** One condition, or several that must all hold. */
export type Expression = (arg: ArgumentOf) => Condition | readonly Condition[];

/** Turns what a helper found wrong into an error of this builder method. */
function attempt<T>(method: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof PolicyError || !(error instanceof Error)) throw error;
    throw new PolicyError(method, error.message);
  }
}

export interface RuleBuilderOptions {
  /** Default: the architecture of this process. A policy of another one can be looked at, and not be run. */
  readonly arch?: Arch;
}

export class RuleBuilder {
  readonly arch: Arch;
  readonly #rules = new Rules();
  readonly #tokens = new Set<DangerousToken>();
  #defaultAction: Filter['defaultAction'] = { kind: 'violation' };

  constructor(options: RuleBuilderOptions = {}) {
    this.arch = options.arch ?? nativeArch;
    if (!isArch(this.arch)) {
      throw new PolicyError('constructor', `there is no architecture ${JSON.stringify(this.arch)}`);
    }
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

  /** The errno for what no other rule decides, whichever is said first. */
  overridableBlockSyscallWithErrno(syscall: Syscall, errno: number | string): this {
    const method = 'overridableBlockSyscallWithErrno';
    const action = attempt(method, () => ({ kind: 'errno', errno: errnoNumber(errno) }) as const);
    return this.#addOverridable([syscall], { by: method, body: { kind: 'when', condition: always, action } });
  }

  /** A piece of BPF that decides or falls through to later rules: [ARG(0), JEQ(1, ALLOW), KILL] for example. */
  addPolicyOnSyscall(syscall: Syscall, program: Bpf, options: AddOptions = {}): this {
    return this.#program('addPolicyOnSyscall', [syscall], program, options);
  }

  addPolicyOnSyscalls(syscalls: readonly Syscall[], program: Bpf, options: AddOptions = {}): this {
    return this.#program('addPolicyOnSyscalls', syscalls, program, options);
  }

  addPolicyOnMmap(program: Bpf, options: AddOptions = {}): this {
    return this.#program('addPolicyOnMmap', ['mmap'], program, options);
  }

  /** A piece of BPF that is only asked where no other rule decides, whichever is said first. */
  overridablePolicyOnSyscall(syscall: Syscall, program: Bpf): this {
    return this.overridablePolicyOnSyscalls([syscall], program);
  }

  overridablePolicyOnSyscalls(syscalls: readonly Syscall[], program: Bpf): this {
    const method = 'overridablePolicyOnSyscalls';
    return this.#addOverridable(syscalls, this.#programRule(method, program));
  }

  /**
   * A rule as an expression: syscall('socket', (arg) => arg(0).in(AF_UNIX, AF_INET)) allows these sockets. Without a
   * condition it is for all calls; without an action it allows. Calls it does not apply to go on to later rules.
   */
  syscall(syscall: Syscall | readonly Syscall[], action: Action, options?: AddOptions): this;
  syscall(
    syscall: Syscall | readonly Syscall[],
    condition?: Expression,
    action?: Action,
    options?: AddOptions,
  ): this;
  syscall(
    syscall: Syscall | readonly Syscall[],
    second?: Expression | Action,
    third?: Action | AddOptions,
    fourth?: AddOptions,
  ): this {
    const method = 'syscall';
    const hasCondition = typeof second === 'function' || second === undefined;
    const expression = typeof second === 'function' ? second : undefined;
    const given = (hasCondition ? third : second) as Action | undefined;
    const options = (hasCondition ? fourth : (third as AddOptions | undefined)) ?? {};
    const action = attempt(method, () => ruleAction(given ?? 'allow'));
    const syscalls = Array.isArray(syscall) ? (syscall as readonly Syscall[]) : [syscall as Syscall];
    this.#checkList(method, syscalls);
    for (const one of syscalls) {
      const number = this.#numberOf(method, one);
      if (number === undefined) continue;
      const name = syscallName(number, this.arch) ?? String(number);
      const condition = attempt(method, () => conditionOf(name, expression));
      this.#add(number, { by: method, body: { kind: 'when', condition, action } }, options);
    }
    return this;
  }

  /**
   * What no rule decides is allowed ("allowAllSyscalls"), or asked of the host ("traceAllSyscalls"), but for what is
   * never given by accident (docs/security.md).
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

  /** Weakens the sandbox in ways that have names (docs/policy.md). Must stand before the rules that need it. */
  allow(...tokens: DangerousToken[]): this {
    for (const token of tokens) {
      if (!isDangerousToken(token))
        throw new PolicyError('allow', `there is no token ${JSON.stringify(token)}`);
      this.#tokens.add(token);
    }
    return this;
  }

  // --- for the builders above this one -----------------------------------------------------------------------

  protected get tokens(): ReadonlySet<DangerousToken> {
    return this.#tokens;
  }

  protected filter(): Filter {
    return {
      arch: this.arch,
      rules: this.#rules.copy(),
      tokens: new Set(this.#tokens),
      defaultAction: this.#defaultAction,
    };
  }

  protected preset(method: string, preset: Preset): this {
    const { allow, when, otherwise } = prepare(preset);
    const all = allowAll(method);
    for (const name of allow) {
      const number = this.#numberOf(method, name);
      if (number !== undefined) this.#add(number, all, {});
    }
    for (const [name, condition] of when) {
      const number = this.#numberOf(method, name);
      if (number === undefined) continue;
      // Presets have been thought through; allowSafeBpf() is one that needs no token.
      const rule: Rule = { by: method, body: { kind: 'when', condition, action: { kind: 'allow' } } };
      this.#rules.add(number, name, rule);
    }
    for (const [name, errno] of otherwise) {
      const action: RuleAction = { kind: 'errno', errno: errnoNumber(errno) };
      this.#addOverridable([name], { by: method, body: { kind: 'when', condition: always, action } });
    }
    return this;
  }

  // --- inside ------------------------------------------------------------------------------------------------

  /** The number of a syscall; undefined for one that only other architectures have. */
  #numberOf(method: string, syscall: Syscall): number | undefined {
    if (typeof syscall === 'number') {
      if (
        !Number.isInteger(syscall) ||
        syscall < 0 ||
        syscall >= 0x40000000 ||
        isForeign(syscall, this.arch)
      ) {
        throw new PolicyError(method, `${syscall} is no syscall number`);
      }
      return syscall;
    }
    const number = syscallNumber(syscall, this.arch);
    if (number === undefined && !isSyscallName(syscall)) {
      throw new PolicyError(method, `there is no syscall ${JSON.stringify(syscall)}`);
    }
    return number;
  }

  #checkList(method: string, syscalls: readonly Syscall[]): void {
    if (!Array.isArray(syscalls) || syscalls.length === 0)
      throw new PolicyError(method, 'the list of syscalls is empty');
  }

  #add(number: number, rule: Rule, options: AddOptions): void {
    const name = syscallName(number, this.arch) ?? String(number);
    checkGuard(name, rule, this.#tokens);
    this.#rules.add(number, name, rule, options);
  }

  #addAll(method: string, syscalls: readonly Syscall[], rule: Rule, options: AddOptions): this {
    this.#checkList(method, syscalls);
    for (const syscall of syscalls) {
      const number = this.#numberOf(method, syscall);
      if (number !== undefined) this.#add(number, rule, options);
    }
    return this;
  }

  #addOverridable(syscalls: readonly Syscall[], rule: Rule): this {
    this.#checkList(rule.by, syscalls);
    for (const syscall of syscalls) {
      const number = this.#numberOf(rule.by, syscall);
      if (number === undefined) continue;
      checkGuard(syscallName(number, this.arch) ?? '', rule, this.#tokens);
      this.#rules.addOverridable(number, rule);
    }
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

function ruleAction(action: Action): RuleAction {
  if (action === 'allow' || action === 'notify') return { kind: action };
  if (action === 'kill') return { kind: 'violation' };
  if (typeof action === 'object' && 'errno' in action) {
    return { kind: 'errno', errno: errnoNumber(action.errno) };
  }
  if (typeof action === 'object' && 'trap' in action) {
    const data = action.trap;
    if (!Number.isInteger(data) || data < 0 || data > 0xffff)
      throw new RangeError(`a trap carries a number from 0 to 65535, not ${data}`);
    return { kind: 'trap', data };
  }
  throw new RangeError(
    `an action is "allow", "kill", "notify", { errno } or { trap }, not ${JSON.stringify(action)}`,
  );
}

function conditionOf(syscall: string, expression: Expression | undefined): Condition {
  if (expression === undefined) return always;
  const said = expression(argumentsOf(syscall));
  const condition = Array.isArray(said) ? { kind: 'all', of: said } : said;
  if (!isCondition(condition)) {
    throw new RangeError('the expression must return a condition, such as arg(0).eq(1), or an array of them');
  }
  const size = sizeOf(condition);
  if (size > maxComparisons)
    throw new RangeError(`${size} comparisons in one rule; at most ${maxComparisons} are taken`);
  return condition;
}
