// How a forked process ends: handlers run, exit codes and messages are as ever, and then it leaves by _exit(), because
// Node's own way out would wait for threads that are not there.
import { writeSync } from 'node:fs';
import { inspect } from 'node:util';
import { addon } from '../native/addon.js';

/** What Node has on `process` and does not tell TypeScript. */
export interface Leaving {
  reallyExit(code?: number): never;
  _fatalException(error: unknown, fromPromise?: boolean): boolean;
  _exiting?: boolean;
}

/** Calls back when nothing is left to wait for, and again, with true, if there still is nothing after that. */
export type WatchForEnd = (callback: (isLast: boolean) => void) => void;

/** Exit code of an exception in a handler of uncaught exceptions (process of Node's manual). */
const handlerFailed = 7;

function say(error: unknown): void {
  try {
    writeSync(2, `\n${inspect(error)}\n\nNode.js ${process.version}\n`);
  } catch {
    // nowhere to say it
  }
}

const exitCode = (otherwise: number) => Number(process.exitCode ?? otherwise);

/**
 * From here on this process leaves by _exit(), whichever way it ends by itself.
 *
 * @param leaving `process`, or what stands in for it in a rehearsal
 * @param watchForEnd the addon's, or nothing
 */
export function leaveWithoutThreads(leaving: Leaving, watchForEnd: WatchForEnd): void {
  const { exitNow } = addon();
  leaving.reallyExit = (code) => exitNow(Number(code ?? 0));
  const handle = leaving._fatalException.bind(leaving);
  // Node calls it for an exception that nobody has caught, and would end the process if it answers false.
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
      process.emit('beforeExit', exitCode(0)); // its handlers may find more to do
      return;
    }
    // As Node does at its end, and not process.exit(): that would take away the handler by which Node 20 makes the exit
    // code 13 of an await at top level that came to nothing. Later ones look at it in native code, which is out of reach.
    leaving._exiting = true;
    process.emit('exit', exitCode(0));
    exitNow(exitCode(0));
  });
}
