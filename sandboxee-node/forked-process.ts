// Makes a process of its own of a forked one: in a child, right after the fork.
import type { EventEmitter } from 'node:events';
import { addon } from '../native/addon.js';
import { noteRendezvous } from './client.js';
import { Comms } from './comms.js';
import { ForkError } from './fork-readiness.js';
import { type Leaving, leaveWithoutThreads, type WatchForEnd } from './forked-exit.js';
import { renewRandomness } from './forked-randomness.js';
import { renewStdio } from './forked-stdio.js';

/** What is changed; in a rehearsal, what stands in for it. */
export interface ProcessParts {
  readonly process: Leaving & Pick<EventEmitter, 'on'>;
  readonly watchForEnd: WatchForEnd;
  /** The fd of the channel to the host. */
  readonly takeComms: () => number;
}

/**
 * A worker thread would start, and never end: it would wait for work of V8's that a thread was to do which is not there.
 * Node tells of each new one by this event, so that the exception is one that nobody can catch.
 */
function refuseWorkers(emitter: Pick<EventEmitter, 'on'>): void {
  emitter.on('worker', () => {
    throw new ForkError('a forked Node process cannot have worker threads; fork another child in its place');
  });
}

/**
 * What JavaScript has remembered of the fork server becomes that of the child, and the child can leave. Returns its channel
 * to the host, which is Comms.default() from then on.
 */
export function becomeOwnProcess(parts: ProcessParts): Comms {
  leaveWithoutThreads(parts.process, parts.watchForEnd); // first: whatever fails from here on can end the process
  Object.defineProperty(parts.process, 'pid', {
    value: addon().ownPid(),
    writable: false,
    enumerable: true,
    configurable: true,
  });
  process.chdir('.'); // Node remembers its working directory until it is changed
  renewRandomness();
  renewStdio(parts.process);
  refuseWorkers(parts.process);
  noteRendezvous();
  const comms = new Comms(parts.takeComms());
  Comms.adopt(comms);
  return comms;
}
