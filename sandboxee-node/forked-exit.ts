// How a forked process ends: handlers run, and exit codes and messages are the usual ones, but it leaves by _exit(),
// because Node's own way to exit would wait for threads that do not exist.
import { writeSync } from 'node:fs';
import { inspect } from 'node:util';
import { addon } from '../native/addon.js';

/** Members of `process` that Node has but does not declare for TypeScript. */
export interface Leaving {
  reallyExit(code?: number): never;
  _fatalException(error: unknown, fromPromise?: boolean): boolean;
  _exiting?: boolean;
}

/**
 * Calls back when the process waits for nothing any more, and calls again, with true, if that is still so afterwards.
 */
export type WatchForEnd = (callback: (isLast: boolean) => void) => void;

/** The exit code for an exception in a handler of uncaught exceptions (process of Node's manual). */
const handlerFailed = 7;

function say(error: unknown): void {
  try {
    writeSync(2, `\n${inspect(error)}\n\nNode.js ${process.version}\n`);
  } catch {
    // there is nowhere to report it
  }
}

const exitCode = (otherwise: number) => Number(process.exitCode ?? otherwise);

/**
 * From here on this process leaves by _exit(), whichever way it ends by itself.
 *
 * @param leaving `process`, or its stand-in in a rehearsal
 * @param watchForEnd the addon's function, or a stand-in
 */
export function leaveWithoutThreads(leaving: Leaving, watchForEnd: WatchForEnd): void {
  const { exitNow } = addon();
  leaving.reallyExit = (code) => exitNow(Number(code ?? 0));
  const handle = leaving._fatalException.bind(leaving);
  // Node calls it for an uncaught exception, and would end the process if it returned false.
  leaving._fatalException = (error, fromPromise) => {
    try {
      if (handle(error, fromPromise)) return true;
    } catch (failure) {
      say(failure);
      exitNow(handlerFailed);
    }
    say(error);
    return exitNow(exitCode(1));
  };
  watchForEnd((isLast) => {
    if (!isLast) {
      process.emit('beforeExit', exitCode(0)); // its handlers may start more work
      return;
    }
    // This is what Node does at its end. process.exit() would remove the handler by which Node 20 sets the exit code 13
    // for a top-level await that never settles. Later versions check this in native code, which cannot be reached from
    // here.
    leaving._exiting = true;
    process.emit('exit', exitCode(0));
    exitNow(exitCode(0));
  });
}
