// Checks that the method which a policy file names as the origin of a rule could have made it, because reviewers read
// the origin beside the rule.
import { PresetBuilder } from '../preset-builder.js';
import { shown } from '../quoting.js';
import { type Rule, unconditional } from '../rules.js';

interface Made {
  readonly syscall: string;
  readonly rule: Rule;
}

const always = ({ rule }: Made, ...kinds: readonly string[]) =>
  rule.body.kind === 'when' && kinds.includes(unconditional(rule)?.kind ?? '');
const isProgram = ({ rule }: Made) => rule.body.kind === 'program';

/** Presets allow calls, and refuse some others with an errno. */
const presets: readonly string[] = [
  ...Object.keys(new PresetBuilder()).filter((name) => name.startsWith('allow')),
  ...['allowRestartableSequences', 'allowTcMalloc', 'allowLlvmCoverage'],
];

const origins: ReadonlyMap<string, (made: Made) => boolean> = new Map<string, (made: Made) => boolean>([
  ...presets.map(
    (name) =>
      [name, ({ rule: { body } }: Made) => body.kind === 'when' && body.action.kind === 'allow'] as const,
  ),
  ['allowSyscall', (made) => always(made, 'allow')],
  ['allowSyscalls', (made) => always(made, 'allow')],
  ['blockSyscallWithErrno', (made) => always(made, 'errno')],
  ['blockSyscallsWithErrno', (made) => always(made, 'errno')],
  ['addPolicyOnSyscall', isProgram],
  ['addPolicyOnSyscalls', isProgram],
  ['addPolicyOnMmap', (made) => made.syscall === 'mmap' && isProgram(made)],
  ['syscall', (made) => !isProgram(made)],
]);

const overridableOrigins: ReadonlyMap<string, (made: Made) => boolean> = new Map<
  string,
  (made: Made) => boolean
>([
  ...presets.map((name) => [name, (made: Made) => always(made, 'errno')] as const),
  ['overridableBlockSyscallWithErrno', (made) => always(made, 'errno')],
  ['overridablePolicyOnSyscalls', isProgram],
]);

/** Throws RangeError. */
export function checkOrigin(made: Made, isOverridable: boolean): void {
  const { by } = made.rule;
  const isMade = (isOverridable ? overridableOrigins : origins).get(by);
  if (isMade === undefined) throw new RangeError(`${shown(by)} is not a method that makes such rules`);
  if (!isMade(made)) throw new RangeError(`${by}() does not make such a rule`);
}
