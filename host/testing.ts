// sandwire/testing: assertions for tests of a sandbox. They throw plain AssertionErrors, so any test runner works.
import { AssertionError } from 'node:assert';
import { Result } from './result.js';
import type { CapturedRun } from './sandbox2.js';
import { suggestionFor } from './suggestion.js';

/** The outcome of a run: what Sandbox2.run() resolves with. */
export type RunOutcome = Result | CapturedRun;

/** An outcome, a promise of one as run() and awaitResult() return it, or a function that makes one. */
export type Run<T extends RunOutcome = RunOutcome> = T | Promise<T> | (() => T | Promise<T>);

const resultOf = (outcome: RunOutcome): Result => (outcome instanceof Result ? outcome : outcome.result);

/** The outcome of a run. Throws TypeError for anything else, which a test runner should not take for a failed test. */
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

/** The end of the program's standard error, if that was captured. */
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
    fail(`Nothing was tested, because the sandbox failed:\n  ${result}`, result, expected, caller);
  }
}

/**
 * Fails if the run violated its policy, with a message that contains the line of the policy that would allow the call,
 * or if the sandbox itself failed. Crashes, time-outs and exit codes are ignored: see expectOk.
 *
 * @returns the outcome of the run
 * @throws AssertionError; TypeError for a value that is not a run
 */
export async function expectNoViolations<T extends RunOutcome>(run: Run<T>): Promise<T> {
  const outcome = await outcomeOf(run);
  checkNoViolations(outcome, expectNoViolations);
  return outcome;
}

/**
 * Like expectNoViolations, and also fails unless the program ended by itself with exit code 0.
 *
 * @returns the outcome of the run
 * @throws AssertionError; TypeError for a value that is not a run
 */
export async function expectOk<T extends RunOutcome>(run: Run<T>): Promise<T> {
  const outcome = await outcomeOf(run);
  checkNoViolations(outcome, expectOk);
  const result = resultOf(outcome);
  if (!result.isOk) {
    const message = `The sandboxee failed:\n  ${result}${complaint(outcome)}`;
    fail(message, result, 'OK - Exit code: 0', expectOk);
  }
  return outcome;
}
