// A policy as text, for its reviewer.
import { describeAction } from './actions.js';
import { instructionText } from './bpf/disassembler.js';
import { maxInstructions } from './bpf/instructions.js';
import { type Filter, numbersOf, rulesFor } from './filter.js';
import { listMounts } from './mount-list.js';
import type { MountEntry } from './mount-tree.js';
import { answeredWithEnosys, magicSyscall } from './preamble.js';
import { describeRule, possibleActions, type Rule, unconditional } from './rules.js';
import { type Arch, syscallName } from './syscalls.js';
import { constantName } from './tables/constants.js';
import { guardOf } from './tokens.js';

/** The parts of a policy that are explained. */
export interface Explained {
  readonly filter: Filter;
  readonly mounts: readonly MountEntry[];
  readonly hostname: string;
  readonly networking: 'private' | 'unrestricted' | 'forkServerShared';
  readonly rootWritable: boolean;
  readonly instructionCount: number;
  /** How a program may make machine code of its own: "mmap", "mprotect" (possible.ts). */
  readonly makesCode: readonly string[];
  /** Allowed calls by which a socket from outside reaches its own network: "bind", "connect" (possible.ts). */
  readonly givenNetworks: readonly string[];
}

const lineWidth = 110;

/** A heading and a list that continues on indented lines. */
function wrapped(heading: string, items: readonly string[]): string {
  const lines: string[] = [heading];
  items.forEach((item, index) => {
    const text = index < items.length - 1 ? `${item},` : item;
    const last = lines[lines.length - 1] as string;
    if (last.length + 1 + text.length > lineWidth) lines.push(`  ${text}`);
    else lines[lines.length - 1] = `${last} ${text}`;
  });
  return lines.join('\n');
}

function isOwnRule(rule: Rule): boolean {
  return rule.by === 'preamble' || rule.by === 'defaultAction';
}

/** What decides a syscall: its rules up to the first that decides everything. */
interface Decided {
  readonly name: string;
  /** True if the policy itself mentions the syscall; the preamble may decide it before. */
  readonly isMentioned: boolean;
  readonly rules: readonly Rule[];
}

/** The rules without the conditional ones that only repeat what the last one does anyway. */
function effective(rules: readonly Rule[]): readonly Rule[] {
  const last = rules.at(-1);
  const before = rules.at(-2);
  if (last === undefined || before === undefined || before.body.kind === 'program') return rules;
  const action = unconditional(last);
  if (action === undefined || describeAction(before.body.action) !== describeAction(action)) return rules;
  return effective([...rules.slice(0, -2), last]);
}

function decidedSyscalls(filter: Filter): readonly Decided[] {
  const spokenOf = new Set(filter.rules.numbers);
  return [...numbersOf(filter)]
    .filter((number) => number !== magicSyscall)
    .map((number) => {
      const rules = rulesFor(filter, number);
      const last = rules.findIndex((rule) => unconditional(rule) !== undefined);
      return {
        name: syscallName(number, filter.arch) ?? String(number),
        isMentioned: spokenOf.has(number),
        rules: effective(rules.slice(0, last + 1)),
      };
    })
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

const outcomes = {
  allow: 'Allowed',
  errno: 'Refused with an errno',
  trap: 'Trapped (SIGSYS)',
  notify: 'Asked of the host',
  violation: 'A violation',
} as const;

const defaults = {
  allow: 'Everything else is allowed.',
  notify: 'Everything else is asked of the host.',
  violation: 'Everything else is a violation.',
} as const;

function ruleLines(arch: Arch, name: string, rule: Rule, isLast: boolean): string[] {
  const nameOf = (argument: number, value: bigint, asBits: boolean) =>
    constantName(name, argument, value, arch, asBits);
  const text = describeRule(rule, nameOf);
  const by = isOwnRule(rule) ? '' : `  (${rule.by})`;
  const lines = [`    ${isLast ? 'otherwise ' : ''}${text}${by}`];
  const { body } = rule;
  if (body.kind === 'program' && unconditional(rule) === undefined) {
    lines.push(...body.program.map((entry, at) => `      ${at}: ${instructionText(entry, at)}`));
  }
  return lines;
}

/** True for a rule that only allows the launch call: no other call that it matches is allowed. */
const isOfLaunch = (rule: Rule): boolean => possibleActions(rule).every(({ kind }) => kind === 'launch');

/** True if the syscall has a line of its own: the policy mentions it, or the preamble differs from the default. */
function hasOwnLine(filter: Filter, { name, isMentioned, rules }: Decided): boolean {
  if (isMentioned || !rules.every(isOwnRule)) return true;
  const lastAction = unconditional(rules.at(-1) as Rule);
  if (filter.defaultAction.kind === 'violation' || lastAction?.kind === 'violation') return false;
  const isLaunchOnly = rules.slice(0, -1).every(isOfLaunch);
  return answeredWithEnosys.has(name) || lastAction?.kind === 'errno' || (rules.length > 1 && !isLaunchOnly);
}

function syscallLines(filter: Filter): string[] {
  const all = decidedSyscalls(filter).filter((decided) => hasOwnLine(filter, decided));
  const simple = all.filter(({ rules }) => rules.length === 1);
  const lines: string[] = [];
  for (const [kind, heading] of Object.entries(outcomes)) {
    const names = simple.flatMap(({ name, rules: [rule] }) => {
      const action = rule === undefined ? undefined : unconditional(rule);
      if (action?.kind !== kind) return [];
      return [action.kind === 'errno' ? `${name} ${describeAction(action).slice('errno '.length)}` : name];
    });
    if (names.length > 0) lines.push(wrapped(`${heading}:`, names));
  }
  const conditional = all.filter(({ rules }) => rules.length > 1);
  if (conditional.length > 0) lines.push('Under conditions, the first that holds:');
  for (const { name, rules } of conditional) {
    lines.push(`  ${name}`);
    rules.forEach((rule, index) => {
      if (!isOfLaunch(rule)) lines.push(...ruleLines(filter.arch, name, rule, index === rules.length - 1));
    });
  }
  return lines;
}

/** The calls that are refused although all others are allowed. */
function exceptionLines(filter: Filter): string[] {
  if (filter.defaultAction.kind === 'violation') return [];
  const own = decidedSyscalls(filter).filter(({ rules }) => rules.every(isOwnRule));
  const guarded = own
    .filter(({ rules: [rule] }) => rule !== undefined && unconditional(rule)?.kind === 'violation')
    .map(({ name }) => `${name} (${guardOf(name)})`);
  return guarded.length === 0 ? [] : [wrapped('A violation for want of a token:', guarded)];
}

function weakeningLines(policy: Explained): string[] {
  const { tokens, defaultAction } = policy.filter;
  const named = [
    ...(defaultAction.kind === 'allow' ? ['allowAllSyscalls'] : []),
    ...(defaultAction.kind === 'notify' ? ['traceAllSyscalls'] : []),
    ...[...tokens].sort(),
  ];
  const lines = [
    named.length === 0 ? 'Nothing is weakened by name.' : wrapped('Weakened by name:', named),
    'Always: syscalls of another architecture are violations.',
  ];
  if (policy.makesCode.length > 0) {
    lines.push(`Memory can be made executable: ${policy.makesCode.join(', ')}.`);
  }
  return lines;
}

const networks = {
  private: 'Network: a loopback device of its own, nothing else.',
  unrestricted: 'Network: that of the host.',
  forkServerShared:
    'Network: one that all sandboxees of this host share whose policy asks for it, not the host’s.',
} as const;

function networkLines({ networking, filter, givenNetworks }: Explained): readonly string[] {
  const own =
    networking === 'private' && !filter.makesSockets
      ? 'Network: none, because no socket can be made.'
      : networks[networking];
  if (givenNetworks.length === 0) return [own];
  return [
    own,
    'Warning: a socket that is mapped or inherited stays one of the network it was made in, the host’s for example.',
    `Allowed on it: ${givenNetworks.join(', ')}.`,
  ];
}

/** The text ends with a newline. */
export function explain(policy: Explained): string {
  const { filter } = policy;
  const sections = [
    [
      `A policy for ${filter.arch}: ${policy.instructionCount} instructions of at most ${maxInstructions}.`,
      ...weakeningLines(policy),
    ],
    [...syscallLines(filter), ...exceptionLines(filter), defaults[filter.defaultAction.kind]],
    [
      filter.landlockOnly ? 'Files, of the host’s own root under Landlock:' : 'Files:',
      ...listMounts(policy.mounts).map((line) => `  ${line}`),
      policy.rootWritable
        ? 'The root directory is writable, in memory.'
        : 'The root directory is read-only; what is not listed is not there.',
    ],
    [...networkLines(policy), `Host name: ${policy.hostname}`],
  ];
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}
