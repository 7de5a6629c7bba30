// sandwire/testing: what tests of a sandbox say. Throws plain AssertionErrors, so any test runner will do.
import { AssertionError } from 'node:assert';
import { Result } from './result.js';
import type { CapturedRun } from './sandbox2.js';
import { suggestionFor } from './suggestion.js';

/** What a run came to: what Sandbox2.run() resolves with. */
export type RunOutcome = Result | CapturedRun;

/** A run, the promise of one as run() and awaitResult() give it, or a function that makes one. */
export type Run<T extends RunOutcome = RunOutcome> = T | Promise<T> | (() => T | Promise<T>);

const resultOf = (outcome: RunOutcome): Result => (outcome instanceof Result ? outcome : outcome.result);

/** What a run came to. Throws TypeError for what is none, which is not for a test runner to take for a failure. */
async function outcomeOf<T extends RunOutcome>(run: Run<T>): Promise<T> {
  const outcome: unknown = await (typeof run === 'function' ? run() : run);
  const isOne =
    outcome instanceof Result ||
    (typeof outcome === 'object' &&
      outcome !== null &&
      'result' in outcome &&
      outcome.result instanceof Result);
  if (isOne) return outcome as T;
  const hint =
    typeof outcome === 'boolean'
      ? '; runAsync() resolves with none, awaitResult() does'
      : ': pass sandbox.run()';
  throw new TypeError(`a Result is needed, or what run({ capture }) resolves with${hint}`);
}

/** The end of what the program complained of, where it was captured. */
function complaint(outcome: RunOutcome): string {
  if (outcome instanceof Result) {
    const isMute = outcome.finalStatus === 'OK' && outcome.reasonCode !== 0;
    return isMute ? '\nIts standard error was not captured: run({ capture: {} })' : '';
  }
  if (outcome.stderr.length === 0) return '';
  return `\nIts standard error: ${outcome.stderr.toString().trimEnd().slice(-2000)}`;
}

function fail(
  message: string,
  result: Result,
  expected: string,
  caller: (...args: never[]) => unknown,
): never {
  throw new AssertionError({
    message,
    actual: String(result),
    expected,
    operator: caller.name,
    stackStartFn: caller,
  });
}

function checkNoViolations(outcome: RunOutcome, caller: (...args: never[]) => unknown): void {
  const result = resultOf(outcome);
  const expected = 'no violation';
  if (result.finalStatus === 'VIOLATION') {
    const { violation } = result;
    const words =
      violation === undefined
        ? String(result)
        : 'The sandboxee made a syscall that its policy does not allow:\n' +
          `  ${violation.description}\n${suggestionFor(violation)}`;
    fail(words + complaint(outcome), result, expected, caller);
  }
  if (result.finalStatus === 'SETUP_ERROR' || result.finalStatus === 'INTERNAL_ERROR') {
    fail(`Nothing was tested, for the sandbox failed:\n  ${result}`, result, expected, caller);
  }
}

/**
 * Fails if the run violated its policy, in words and with the line of the policy that would allow what was tried, or if
 * the sandbox itself failed. Crashes, time-outs and exit codes are not its business: see expectOk.
 *
 * @returns what the run came to
 * @throws AssertionError; TypeError for what is no run
 */
export async function expectNoViolations<T extends RunOutcome>(run: Run<T>): Promise<T> {
  const outcome = await outcomeOf(run);
  checkNoViolations(outcome, expectNoViolations);
  return outcome;
}

/**
 * As expectNoViolations, and fails unless the program ended by itself with exit code 0.
 *
 * @returns what the run came to
 * @throws AssertionError; TypeError for what is no run
 */
export async function expectOk<T extends RunOutcome>(run: Run<T>): Promise<T> {
  const outcome = await outcomeOf(run);
  checkNoViolations(outcome, expectOk);
  const result = resultOf(outcome);
  if (!result.isOk) {
    const message = `The sandboxee did not end well:\n  ${result}${complaint(outcome)}`;
    fail(message, result, 'OK - Exit code: 0', expectOk);
  }
  return outcome;
}
