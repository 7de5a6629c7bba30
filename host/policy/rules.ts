// The rules of each syscall, in the order in which they were added.
import { type Action, actionOf, describeAction, normalReturn } from './actions.js';
import { type Instruction, maxInstructions, Opcode } from './bpf/instructions.js';
import { checkProgram } from './bpf/interpreter.js';
import { always, type Condition, conditionKey, describeCondition, type ValueNaming } from './conditions.js';
import { PolicyError } from './errors.js';

/** Decides some or all calls of a syscall; the others go on to the next rule. */
export interface Rule {
  /** The method that made it, for messages: "allowSyscall". */
  readonly by: string;
  readonly body:
    | { readonly kind: 'when'; readonly condition: Condition; readonly action: Action }
    /** A piece of BPF. It decides by returning, or falls off its end. */
    | { readonly kind: 'program'; readonly program: readonly Instruction[] };
}

/** What a rule does with all calls of the syscall; undefined if it may leave some to the next rule. */
export function unconditional(rule: Rule): Action | undefined {
  if (rule.body.kind === 'when') return rule.body.condition.kind === 'always' ? rule.body.action : undefined;
  const [first] = rule.body.program;
  return first?.code === Opcode.RETURN ? actionOf(normalReturn(first.k)) : undefined;
}

/**
 * Checks that a piece of BPF can be part of a policy. The kernel must accept it. It must not return a computed value,
 * because its meaning could not be told. It must not divide by X, because a division by 0 kills the thread without a
 * report. Throws Error.
 */
export function checkPiece(program: readonly Instruction[]): void {
  checkProgram(program, true);
  program.forEach(({ code }, index) => {
    if (code === Opcode.RETURN_A)
      throw new Error(`instruction ${index}: a policy cannot return A; return an action`);
    if (code === Opcode.DIVIDE_X) throw new Error(`instruction ${index}: X may be 0; divide by a number`);
  });
}

/** All actions that a rule may take. */
export function possibleActions(rule: Rule): readonly Action[] {
  if (rule.body.kind === 'when') return [rule.body.action];
  return rule.body.program
    .filter(({ code }) => code === Opcode.RETURN)
    .map(({ k }) => actionOf(normalReturn(k)));
}

/** A rule as text: "allow", "errno EACCES when arg 0 is 1", "by 12 instructions of BPF". */
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

/** A text that is equal for rules that do the same, whichever method made them; undefined for a piece of BPF. */
export function ruleKey({ body }: Rule): string | undefined {
  return body.kind === 'when' ? `${describeAction(body.action)} ${conditionKey(body.condition)}` : undefined;
}

export interface AddOptions {
  /** Replaces the earlier rules of the syscall. */
  readonly override?: boolean;
}

/** A rule and its syscall; name is for messages. */
export interface Entry {
  readonly number: number;
  readonly name: string;
  readonly rule: Rule;
}

/** How rules are added. */
export interface Adding extends AddOptions {
  /** The rules are a preset's: where a block before them refuses what they allow under conditions, the block counts. */
  readonly isPreset?: boolean;
}

/** The rules of each syscall, for reading. */
export interface RuleTable {
  /** The syscalls that have rules. */
  readonly numbers: ReadonlySet<number>;
  of(number: number): readonly Rule[];
  /** The rules that count only if no other rule decides. */
  overridableOf(number: number): readonly Rule[];
}

/** More rules for one syscall would not fit into a filter. */
export const maxRules = maxInstructions;

/** The compiler sorts by number: an invalid number would put other rules into the wrong place too. */
function checkNumber(number: number): void {
  if (Number.isInteger(number) && number >= 0 && number <= 0xffffffff) return;
  throw new Error(`${String(number)} is not a syscall number: this is a bug in sandwire’s policy builder`);
}

/** The rules of one syscall, in order. */
class RuleList {
  readonly rules: Rule[] = [];
  /** The first rule that decides all calls. */
  deciding: Rule | undefined;
  readonly #keys = new Set<string>();

  /** Does nothing for a rule that exists already, or that no call would reach. */
  add(rule: Rule): void {
    if (this.deciding !== undefined) return;
    const key = ruleKey(rule);
    if (key !== undefined) {
      if (this.#keys.has(key)) return;
      this.#keys.add(key);
    }
    this.rules.push(rule);
    if (unconditional(rule) !== undefined) this.deciding = rule;
  }

  /** True if the rule has any calls left to decide. Throws PolicyError if it has none and is no repetition. */
  takes(name: string, rule: Rule, isPreset: boolean): boolean {
    const { deciding } = this;
    if (deciding === undefined) {
      if (this.rules.length < maxRules) return true;
      throw new PolicyError(rule.by, `${name}: more than ${maxRules} rules for one syscall`);
    }
    const decided = unconditional(deciding) as Action;
    const action = unconditional(rule);
    if (action !== undefined && !sameAction(action, decided)) {
      const advice = isPreset
        ? `to make the earlier one count, call it after ${rule.by}(), with { override: true }`
        : 'to make the later one count, add { override: true }';
      throw new PolicyError(
        rule.by,
        `${name}: ${describeAction(action)} contradicts ${deciding.by}, which said ${describeAction(decided)}; ` +
          advice,
      );
    }
    const allows = possibleActions(rule).every(({ kind }) => kind === 'allow');
    const saysNothingNew = action !== undefined || (allows && (decided.kind === 'allow' || isPreset));
    if (!saysNothingNew) {
      throw new PolicyError(
        rule.by,
        `${name}: this rule would never be reached, because ${deciding.by} said ${describeAction(decided)} for all ` +
          'its calls; add it first, or with { override: true }',
      );
    }
    return false;
  }
}

export class Rules {
  readonly #bySyscall = new Map<number, RuleList>();
  readonly #overridable = new Map<number, RuleList>();

  /** A copy of the current rules. */
  snapshot(): RuleTable {
    const rules = new Map([...this.#bySyscall].map(([number, list]) => [number, [...list.rules]]));
    const overridable = new Map([...this.#overridable].map(([number, list]) => [number, [...list.rules]]));
    return {
      numbers: new Set([...rules.keys(), ...overridable.keys()]),
      of: (number) => rules.get(number) ?? [],
      overridableOf: (number) => overridable.get(number) ?? [],
    };
  }

  /**
   * Adds all or none of the rules of one call of the builder. Throws PolicyError if two calls contradict each other for
   * all calls of a syscall, or if a rule would never be reached because an earlier one decides everything.
   */
  add(entries: readonly Entry[], { override = false, isPreset = false }: Adding = {}): void {
    const listOf = (number: number) => (override ? undefined : this.#bySyscall.get(number));
    const taken = entries.filter(({ number, name, rule }) => {
      checkNumber(number);
      return listOf(number)?.takes(name, rule, isPreset) ?? true;
    });
    if (override) {
      for (const { number } of taken) {
        this.#bySyscall.delete(number);
        this.#overridable.delete(number);
      }
    }
    for (const { number, rule } of taken) listed(this.#bySyscall, number).add(rule);
  }

  /** Adds rules that count only if no other rule decides. Throws PolicyError. */
  addOverridable(entries: readonly Entry[]): void {
    const taken = entries.filter(({ number, name, rule }) => {
      checkNumber(number);
      const list = this.#overridable.get(number);
      return list === undefined || (list.deciding === undefined && list.takes(name, rule, true));
    });
    for (const { number, rule } of taken) listed(this.#overridable, number).add(rule);
  }
}

function listed(lists: Map<number, RuleList>, number: number): RuleList {
  const list = lists.get(number) ?? new RuleList();
  lists.set(number, list);
  return list;
}

export function allowAll(by: string): Rule {
  return { by, body: { kind: 'when', condition: always, action: { kind: 'allow' } } };
}
