// Nothing dangerous is allowed without its token. This is checked for each rule when it is made, and again for the
// finished policy.
import type { Action } from './actions.js';
import { PolicyError } from './errors.js';
import { families, prepare } from './presets/index.js';
import { possibleActions, type Rule, type RuleTable, ruleKey } from './rules.js';
import { type Arch, syscallName } from './syscalls.js';
import { type DangerousToken, guardOf } from './tokens.js';

/** allowSafeBpf() allows some calls of a guarded syscall without its token; it is the only such preset. */
const harmless: ReadonlySet<string> = new Set(
  prepare(families.safeBpf).when.map(([syscall, condition]) =>
    harmlessKey(syscall, {
      by: 'allowSafeBpf',
      body: { kind: 'when', condition, action: { kind: 'allow' } },
    }),
  ),
);

function harmlessKey(syscall: string, rule: Rule): string {
  return `${syscall} ${ruleKey(rule) ?? 'by BPF'}`;
}

const refusals: readonly Action['kind'][] = ['errno', 'violation', 'trap'];

/** Throws PolicyError if the rule may allow a call that needs a token which was not given. */
export function checkGuard(name: string, rule: Rule, tokens: ReadonlySet<DangerousToken>): void {
  const token = guardOf(name);
  if (token === undefined || tokens.has(token)) return;
  if (possibleActions(rule).every(({ kind }) => refusals.includes(kind))) return;
  if (harmless.has(harmlessKey(name, rule))) return;
  throw new PolicyError(
    rule.by,
    `${name} can only be allowed after allow("${token}"); ` +
      `blockSyscallWithErrno("${name}", …) can refuse it without ending the sandbox`,
  );
}

/** The same for all rules. */
export function checkGuards(rules: RuleTable, tokens: ReadonlySet<DangerousToken>, arch: Arch): void {
  for (const number of rules.numbers) {
    const name = syscallName(number, arch);
    if (name === undefined || guardOf(name) === undefined) continue;
    for (const rule of [...rules.of(number), ...rules.overridableOf(number)]) checkGuard(name, rule, tokens);
  }
}
