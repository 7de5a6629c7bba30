// What is said about each syscall, in the order it was said.
import { type Action, actionOf, describeAction, normalReturn } from './actions.js';
import { type Instruction, Opcode } from './bpf/instructions.js';
import { checkProgram } from './bpf/interpreter.js';
import { always, type Condition, conditionKey, describeCondition, type ValueNaming } from './conditions.js';
import { PolicyError } from './errors.js';
import { type DangerousToken, guardOf } from './tokens.js';

/** Decides some or all calls of a syscall; the others go on to the next rule. */
export interface Rule {
  /** The call that made it, for messages: "allowSyscall". */
  readonly by: string;
  readonly body:
    | { readonly kind: 'when'; readonly condition: Condition; readonly action: Action }
    /** A piece of BPF that decides by returning, or falls off its end. */
    | { readonly kind: 'program'; readonly program: readonly Instruction[] };
}

/** What a rule does with all calls of the syscall; undefined for one that may leave some to the next. */
export function unconditional(rule: Rule): Action | undefined {
  if (rule.body.kind === 'when') return rule.body.condition.kind === 'always' ? rule.body.action : undefined;
  const [first] = rule.body.program;
  return first?.code === Opcode.RETURN ? actionOf(normalReturn(first.k)) : undefined;
}

/**
 * Whether a piece of BPF can be part of a policy: what the kernel would take, without a computed return, of which nobody
 * can tell what it does, and without a division by X, which ends in a killed thread that nobody hears of when X is 0.
 * Throws Error.
 */
export function checkPiece(program: readonly Instruction[]): void {
  checkProgram(program, true);
  program.forEach(({ code }, index) => {
    if (code === Opcode.RETURN_A)
      throw new Error(`instruction ${index}: a policy cannot return A; say which action`);
    if (code === Opcode.DIVIDE_X) throw new Error(`instruction ${index}: X may be 0; divide by a number`);
  });
}

/** All actions a rule may take. */
export function possibleActions(rule: Rule): readonly Action[] {
  if (rule.body.kind === 'when') return [rule.body.action];
  return rule.body.program
    .filter(({ code }) => code === Opcode.RETURN)
    .map(({ k }) => actionOf(normalReturn(k)));
}

/** Throws PolicyError where the rule may let a call through for which a token is needed that was not given. */
export function checkGuard(name: string, rule: Rule, tokens: ReadonlySet<DangerousToken>): void {
  const token = guardOf(name);
  if (token === undefined || tokens.has(token)) return;
  const refusals: readonly Action['kind'][] = ['errno', 'violation', 'trap'];
  if (possibleActions(rule).every(({ kind }) => refusals.includes(kind))) return;
  throw new PolicyError(
    rule.by,
    `${name} can only be allowed after allow(${JSON.stringify(token)}); ` +
      `blockSyscallWithErrno(${JSON.stringify(name)}, …) can refuse it without ending the sandbox`,
  );
}

/** "allow", "errno EACCES when arg 0 is 1", "by 12 instructions of BPF". */
export function describeRule(rule: Rule, nameOf?: ValueNaming): string {
  const { body } = rule;
  if (body.kind === 'program') {
    const action = unconditional(rule);
    return action === undefined ? `by ${body.program.length} instructions of BPF` : describeAction(action);
  }
  const action = describeAction(body.action);
  return body.condition.kind === 'always'
    ? action
    : `${action} when ${describeCondition(body.condition, nameOf)}`;
}

function sameAction(one: Action, other: Action): boolean {
  return describeAction(one) === describeAction(other);
}

/** Whether two rules say the same, whoever made them. */
export function sameRule({ body: one }: Rule, { body: other }: Rule): boolean {
  if (one.kind !== 'when' || other.kind !== 'when') return false;
  if (!sameAction(one.action, other.action)) return false;
  return one.condition === other.condition || conditionKey(one.condition) === conditionKey(other.condition);
}

export interface AddOptions {
  /** What was said of the syscall before no longer counts. */
  readonly override?: boolean;
}

/** The compiler sorts by the numbers: one that is none would put others into the wrong place too. */
function checkNumber(number: number): void {
  if (Number.isInteger(number) && number >= 0 && number <= 0xffffffff) return;
  throw new Error(`${String(number)} is no syscall number: this is a fault of sandwire’s policy builder`);
}

export class Rules {
  readonly #bySyscall = new Map<number, readonly Rule[]>();
  readonly #overridable = new Map<number, readonly Rule[]>();

  copy(): Rules {
    const copy = new Rules();
    for (const [number, rules] of this.#bySyscall) copy.#bySyscall.set(number, rules);
    for (const [number, rules] of this.#overridable) copy.#overridable.set(number, rules);
    return copy;
  }

  get numbers(): ReadonlySet<number> {
    return new Set([...this.#bySyscall.keys(), ...this.#overridable.keys()]);
  }

  of(number: number): readonly Rule[] {
    return this.#bySyscall.get(number) ?? [];
  }

  overridableOf(number: number): readonly Rule[] {
    return this.#overridable.get(number) ?? [];
  }

  /**
   * name is for messages. Throws PolicyError where two calls say opposite things of all calls of a syscall, and where
   * a restriction would never be looked at because a rule before it decides everything.
   */
  add(number: number, name: string, rule: Rule, options: AddOptions = {}): void {
    checkNumber(number);
    const rules = options.override === true ? [] : (this.#bySyscall.get(number) ?? []);
    const deciding = rules.find((other) => unconditional(other) !== undefined);
    const decided = deciding === undefined ? undefined : unconditional(deciding);
    if (deciding !== undefined && decided !== undefined) {
      const says = `${deciding.by} has said ${describeAction(decided)} for all its calls`;
      const action = unconditional(rule);
      if (action !== undefined && !sameAction(action, decided)) {
        throw new PolicyError(
          rule.by,
          `${name}: ${describeAction(action)} contradicts ${deciding.by}, which has said ${describeAction(decided)}; ` +
            'if the later is to count, say { override: true }',
        );
      }
      const isAddition = possibleActions(rule).every(({ kind }) => kind === 'allow');
      if (action === undefined && !isAddition) {
        throw new PolicyError(
          rule.by,
          `${name}: this rule would never be looked at, since ${says}; say it first, or with { override: true }`,
        );
      }
      return; // nothing new
    }
    if (rules.some((other) => sameRule(other, rule))) return;
    this.#bySyscall.set(number, [...rules, rule]);
  }

  /** Counts only where nothing else decides. */
  addOverridable(number: number, rule: Rule): void {
    checkNumber(number);
    const rules = this.#overridable.get(number) ?? [];
    if (rules.some((other) => unconditional(other) !== undefined || sameRule(other, rule))) return;
    this.#overridable.set(number, [...rules, rule]);
  }
}

export function allowAll(by: string): Rule {
  return { by, body: { kind: 'when', condition: always, action: { kind: 'allow' } } };
}
