// Turns a forked process into one of its own; runs in a child, right after the fork.
import type { EventEmitter } from 'node:events';
import { addon } from '../native/addon.js';
import { noteRendezvous } from './client.js';
import { Comms } from './comms.js';
import { ForkError } from './fork-readiness.js';
import { type Leaving, leaveWithoutThreads, type WatchForEnd } from './forked-exit.js';
import { renewRandomness } from './forked-randomness.js';
import { renewStdio } from './forked-stdio.js';

/** The objects that are changed; in a rehearsal, their stand-ins. */
export interface ProcessParts {
  readonly process: Leaving & Pick<EventEmitter, 'on'>;
  readonly watchForEnd: WatchForEnd;
  /** Returns the fd of the channel to the host. */
  readonly takeComms: () => number;
}

/**
 * A worker thread would start but never end: it would wait for work of a V8 thread that does not exist. Node announces
 * each new one with this event, so the exception cannot be caught.
 */
function refuseWorkers(emitter: Pick<EventEmitter, 'on'>): void {
  emitter.on('worker', () => {
    throw new ForkError('a forked Node process cannot have worker threads; fork another child in its place');
  });
}

/**
 * Replaces what JavaScript remembers of the fork server by the child's own, and lets the child exit. Returns its
 * channel to the host, which is Comms.default() from then on.
 */
export function becomeOwnProcess(parts: ProcessParts): Comms {
  leaveWithoutThreads(parts.process, parts.watchForEnd); // first: after a failure the process must be able to end
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
