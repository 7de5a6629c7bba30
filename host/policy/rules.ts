// What is said about each syscall, in the order it was said.
import { type Action, actionOf, describeAction, normalReturn } from './actions.js';
import { type Instruction, maxInstructions, Opcode } from './bpf/instructions.js';
import { checkProgram } from './bpf/interpreter.js';
import { always, type Condition, conditionKey, describeCondition, type ValueNaming } from './conditions.js';
import { PolicyError } from './errors.js';

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

/** The same text for rules that say the same, whoever made them; undefined for a piece of BPF. */
export function ruleKey({ body }: Rule): string | undefined {
  return body.kind === 'when' ? `${describeAction(body.action)} ${conditionKey(body.condition)}` : undefined;
}

export interface AddOptions {
  /** What was said of the syscall before no longer counts. */
  readonly override?: boolean;
}

/** A rule and the syscall it is for; name is for messages. */
export interface Entry {
  readonly number: number;
  readonly name: string;
  readonly rule: Rule;
}

/** How rules come in. */
export interface Adding extends AddOptions {
  /** A preset allows under conditions what a block before it refuses: the block counts. */
  readonly isPreset?: boolean;
}

/** The rules of each syscall, to be looked at. */
export interface RuleTable {
  /** Of syscalls that something is said about. */
  readonly numbers: ReadonlySet<number>;
  of(number: number): readonly Rule[];
  /** Those that count only where nothing else decides. */
  overridableOf(number: number): readonly Rule[];
}

/** More for one syscall would not fit into a filter: the kernel takes no more instructions. */
export const maxRules = maxInstructions;

/** The compiler sorts by the numbers: one that is none would put others into the wrong place too. */
function checkNumber(number: number): void {
  if (Number.isInteger(number) && number >= 0 && number <= 0xffffffff) return;
  throw new Error(`${String(number)} is no syscall number: this is a fault of sandwire’s policy builder`);
}

/** What is said of one syscall, in order. */
class RuleList {
  readonly rules: Rule[] = [];
  /** The first that decides everything. */
  deciding: Rule | undefined;
  readonly #keys = new Set<string>();

  /** Nothing for what was said before, or what nobody would look at. */
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

  /** Whether there is anything left to be said. Throws PolicyError where there is not and the rule says it all the same. */
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
        ? `if the earlier is to count, say it after ${rule.by}(), with { override: true }`
        : 'if the later is to count, say { override: true }';
      throw new PolicyError(
        rule.by,
        `${name}: ${describeAction(action)} contradicts ${deciding.by}, which has said ${describeAction(decided)}; ` +
          advice,
      );
    }
    const allows = possibleActions(rule).every(({ kind }) => kind === 'allow');
    const saysNothingNew = action !== undefined || (allows && (decided.kind === 'allow' || isPreset));
    if (!saysNothingNew) {
      throw new PolicyError(
        rule.by,
        `${name}: this rule would never be looked at, since ${deciding.by} has said ${describeAction(decided)} for all ` +
          'its calls; say it first, or with { override: true }',
      );
    }
    return false;
  }
}

export class Rules {
  readonly #bySyscall = new Map<number, RuleList>();
  readonly #overridable = new Map<number, RuleList>();

  /** As it stands. */
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
   * All or none of what one call of the builder says. Throws PolicyError where two calls say opposite things of all
   * calls of a syscall, and where a rule would never be looked at because one before it decides everything.
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

  /** Count only where nothing else decides. Throws PolicyError. */
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
