// Writes a policy as plain data, for a file that people review. Beside numbers that are easily misread their meaning is
// given in words, and the reader (read.ts) checks that the words are true.
import { type Action, errnoName } from '../actions.js';
import { instructionText } from '../bpf/disassembler.js';
import type { Instruction } from '../bpf/instructions.js';
import type { Condition } from '../conditions.js';
import type { MountEntry } from '../mount-tree.js';
import type { PolicyFields } from '../policy-fields.js';
import type { Rule } from '../rules.js';
import type { Networking, StackTraces } from '../sandbox-settings.js';
import { type Arch, syscallName } from '../syscalls.js';
import { constantName } from '../tables/constants.js';
import type { DangerousToken } from '../tokens.js';

/** The version of the format; a reader accepts no other. */
export const formatVersion = 1;

/** A number of the kernel's in hexadecimal, with its name if it has one: "0x1 AF_UNIX". */
export type ValueData = string;

export type ConditionData =
  | {
      readonly arg: number;
      readonly bits: 32 | 64;
      readonly mask?: ValueData;
      readonly op: '==' | '!=' | '<' | '<=' | '>' | '>=';
      readonly value: ValueData;
    }
  | {
      readonly arg: number;
      readonly bits: 32 | 64;
      readonly mask?: ValueData;
      readonly in: readonly ValueData[];
    }
  | { readonly arg: number; readonly bits: 32 | 64; readonly anyBit: ValueData }
  | { readonly all: readonly ConditionData[] }
  | { readonly any: readonly ConditionData[] }
  | { readonly not: ConditionData };

/** An errno by name, or by number if it has none. */
export type ActionData =
  | 'allow'
  | 'violation'
  | 'notify'
  | { readonly errno: string | number }
  | { readonly trap: number };

/** by: the method of PolicyBuilder that made the rule. */
export type RuleData =
  | { readonly by: string; readonly do: ActionData; readonly when?: ConditionData }
  /** Instructions as "code jt jf k: what it does", all but the text in hexadecimal. */
  | { readonly by: string; readonly bpf: readonly string[] };

export type MountData =
  /** at: its path inside, if that differs. */
  | { readonly file: string; readonly at?: string; readonly writable?: true }
  | { readonly directory: string; readonly at?: string; readonly writable?: true }
  | { readonly tmpfs: string; readonly sizeBytes: number }
  | { readonly symlink: string; readonly target: string }
  | { readonly emptyDirectory: string }
  | { readonly proc: string }
  | { readonly sysfs: string };

/** What Policy.toJSON() returns. */
export interface PolicyData {
  readonly sandwirePolicy: number;
  readonly arch: Arch;
  /** Everything that weakens the sandbox, by name. */
  readonly tokens: readonly DangerousToken[];
  readonly defaultAction: 'violation' | 'allowAllSyscalls' | 'traceAllSyscalls';
  /** By name, or by number if the syscall has none; the rules of each in order. */
  readonly syscalls: Readonly<Record<string, readonly RuleData[]>>;
  /** Rules that count if none of the others decides. */
  readonly overridable: Readonly<Record<string, readonly RuleData[]>>;
  readonly mounts: readonly MountData[];
  readonly hostname: string;
  readonly networking: Networking;
  readonly rootWritable: boolean;
  readonly landlock: boolean;
  readonly stackTraces: StackTraces;
}

/** The syscall and argument that a value belongs to. */
export interface Of {
  readonly arch: Arch;
  readonly syscall: string;
}

function valueData({ arch, syscall }: Of, argument: number, value: bigint, asBits: boolean): ValueData {
  const name = constantName(syscall, argument, value, arch, asBits);
  return `0x${value.toString(16)}${name === undefined ? '' : ` ${name}`}`;
}

/** An instruction and what it does; at is its index. */
export function instructionData(entry: Instruction, at: number): string {
  const { code, jt, jf, k } = entry;
  const numbers = [code, jt, jf, k].map((number) => number.toString(16));
  return `${numbers.join(' ')}: ${instructionText(entry, at)}`;
}

function conditionData(of: Of, condition: Condition): ConditionData {
  const inner = (part: Condition) => conditionData(of, part);
  switch (condition.kind) {
    case 'always':
      throw new Error('"always" cannot be part of a condition');
    case 'all':
      return { all: condition.of.map(inner) };
    case 'any':
      return { any: condition.of.map(inner) };
    case 'not':
      return { not: inner(condition.of) };
    default: {
      const { arg, bits } = condition;
      const value = (number: bigint, asBits = false) => valueData(of, arg, number, asBits);
      if (condition.kind === 'anyBit') return { arg, bits, anyBit: value(condition.value, true) };
      const mask = condition.mask === undefined ? {} : { mask: value(condition.mask, true) };
      if (condition.kind === 'in')
        return { arg, bits, ...mask, in: condition.values.map((number) => value(number)) };
      return { arg, bits, ...mask, op: condition.op, value: value(condition.value) };
    }
  }
}

function actionData(action: Action): ActionData {
  switch (action.kind) {
    case 'errno':
      return { errno: errnoName(action.errno) ?? action.errno };
    case 'trap':
      return { trap: action.data };
    case 'launch':
      throw new Error('a policy has no rule with the action "launch"');
    default:
      return action.kind;
  }
}

function ruleData(of: Of, { by, body }: Rule): RuleData {
  if (body.kind === 'program') return { by, bpf: body.program.map(instructionData) };
  const action = actionData(body.action);
  if (body.condition.kind === 'always') return { by, do: action };
  return { by, do: action, when: conditionData(of, body.condition) };
}

function rulesData(arch: Arch, numbers: Iterable<number>, rulesOf: (number: number) => readonly Rule[]) {
  const entries = [...numbers]
    .sort((one, other) => one - other)
    .map((number) => {
      const name = syscallName(number, arch) ?? String(number);
      return [name, rulesOf(number).map((rule) => ruleData({ arch, syscall: name }, rule))] as const;
    });
  return Object.fromEntries(entries.filter(([, rules]) => rules.length > 0));
}

function mountData(mount: MountEntry): MountData {
  switch (mount.kind) {
    case 'file':
    case 'directory': {
      const rest = {
        ...(mount.inside === mount.outside ? {} : { at: mount.inside }),
        ...(mount.writable ? { writable: true as const } : {}),
      };
      return mount.kind === 'file' ? { file: mount.outside, ...rest } : { directory: mount.outside, ...rest };
    }
    case 'tmpfs':
      return { tmpfs: mount.inside, sizeBytes: mount.sizeBytes };
    case 'symlink':
      return { symlink: mount.inside, target: mount.target };
    case 'emptyDirectory':
      return { emptyDirectory: mount.inside };
    case 'proc':
      return { proc: mount.inside };
    case 'sysfs':
      return { sysfs: mount.inside };
  }
}

const defaultActions = {
  violation: 'violation',
  allow: 'allowAllSyscalls',
  notify: 'traceAllSyscalls',
} as const;

export function writePolicy(fields: PolicyFields): PolicyData {
  const { arch, rules, tokens, defaultAction } = fields.filter;
  return {
    sandwirePolicy: formatVersion,
    arch,
    tokens: [...tokens].sort(),
    defaultAction: defaultActions[defaultAction.kind],
    syscalls: rulesData(arch, rules.numbers, (number) => rules.of(number)),
    overridable: rulesData(arch, rules.numbers, (number) => rules.overridableOf(number)),
    mounts: fields.mounts.map(mountData),
    hostname: fields.hostname,
    networking: fields.networking,
    rootWritable: fields.rootWritable,
    landlock: fields.filter.landlockOnly,
    stackTraces: { ...fields.stackTraces },
  };
}
