// What a preset is: syscalls that belong together and are allowed at once.
import { type ArgumentOf, argumentsOf } from '../arguments.js';
import type { Condition } from '../conditions.js';

/** Conditions under which a syscall is allowed. Other calls of it go on to later rules. */
export type Allowance = readonly [syscall: string, condition: (arg: ArgumentOf) => Condition];

export interface Preset {
  /** Syscalls of which all calls are allowed. Names that an architecture does not have are skipped there. */
  readonly allow?: readonly string[];
  readonly when?: readonly Allowance[];
  /** Syscalls that fail with an errno unless another rule decides. */
  readonly otherwise?: readonly (readonly [syscall: string, errno: string])[];
  readonly includes?: readonly Preset[];
}

/** A preset with its conditions evaluated once, for all builders. */
export interface ReadyPreset {
  readonly allow: readonly string[];
  readonly when: readonly (readonly [syscall: string, condition: Condition])[];
  readonly otherwise: readonly (readonly [syscall: string, errno: string])[];
}

const ready = new WeakMap<Preset, ReadyPreset>();

/** Prepares a preset together with everything it includes. */
export function prepare(preset: Preset): ReadyPreset {
  const present = ready.get(preset);
  if (present !== undefined) return present;
  const included = (preset.includes ?? []).map(prepare);
  const made: ReadyPreset = {
    allow: [...new Set([...(preset.allow ?? []), ...included.flatMap(({ allow }) => allow)])],
    when: [
      ...(preset.when ?? []).map(([name, condition]) => [name, condition(argumentsOf(name))] as const),
      ...included.flatMap(({ when }) => when),
    ],
    otherwise: [...(preset.otherwise ?? []), ...included.flatMap(({ otherwise }) => otherwise)],
  };
  ready.set(preset, made);
  return made;
}
