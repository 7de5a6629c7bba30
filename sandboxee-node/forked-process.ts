// Makes a process of its own of a forked one: in a child, right after the fork.
import { addon } from '../native/addon.js';
import { ForkError } from './fork-readiness.js';
import { leaveWithoutThreads } from './forked-exit.js';
import { renewRandomness } from './forked-randomness.js';
import { renewStdio } from './forked-stdio.js';

/**
 * A worker thread would start, and never end: it would wait for work of V8's that a thread was to do which is not there.
 * Node tells of each new one by this event, so that the exception is one that nobody can catch.
 */
function refuseWorkers(): void {
  process.on('worker', () => {
    throw new ForkError('a forked Node process cannot have worker threads; fork another child in its place');
  });
}

/** What JavaScript has remembered of the fork server becomes that of the child; and the child can leave. */
export function becomeOwnProcess(): void {
  leaveWithoutThreads(); // first: whatever fails from here on can end the process
  Object.defineProperty(process, 'pid', {
    value: addon().ownPid(),
    writable: false,
    enumerable: true,
    configurable: true,
  });
  process.chdir('.'); // Node remembers its working directory until it is changed
  renewRandomness();
  renewStdio();
  refuseWorkers();
}
