// Checks that a Node process can be forked. Everything that could hang or go wrong in a child is refused here, with an
// error message.
import { readdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import inspector from 'node:inspector';
import { isMainThread } from 'node:worker_threads';
import { addon, forkableNodeFlags } from '../native/addon.js';

/** The major versions that the tests have forked. */
const testedMajors = [20, 22, 24, 26];

/** The pid of a sandboxee inside its sandbox, where init has 1. */
const childPid = 2;
/**
 * Flags for another process that watches, for objects that a child has to change and cannot, and for a thread that a
 * child would not have.
 */
const hindering = /^--(watch|frozen-intrinsics|inspect)/;

/** This process cannot be forked, and why. */
export class ForkError extends Error {
  override readonly name = 'ForkError';
}

// Node accepts only the second of the flags in NODE_OPTIONS.
const given = [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/)];

const missing = forkableNodeFlags.filter((flag) => !given.includes(flag));
const hindrance = given.find((flag) => hindering.test(flag));

/** True if this process was started to be forked. */
export const isMeantToFork = missing.length === 0 && hindrance === undefined;

/** Throws ForkError if this process can never be a fork server. */
export function checkForkable(): void {
  const major = Number(process.versions.node.split('.')[0]);
  if (!testedMajors.includes(major)) {
    throw new ForkError(
      `only tested Node versions can be forked: ${testedMajors.join(', ')}; this is ${process.version}`,
    );
  }
  if (!isMainThread)
    throw new ForkError('a worker thread cannot fork; make the ForkingClient in the main thread');
  if (process.pid <= childPid) {
    throw new ForkError(
      `this process has the pid ${process.pid}, which its children may have in their sandboxes, too. OpenSSL notices ` +
        'a fork by the pid, so it would give them all the same random numbers. Start another process before the host ' +
        'in this container',
    );
  }
  if (hindrance !== undefined)
    throw new ForkError(`a process that was started with ${hindrance} cannot be forked; leave it out`);
  if (missing.length > 0) {
    throw new ForkError(
      `a fork server in Node is started as node ${forkableNodeFlags.join(' ')}, as Executor.nodeForkServer() does; ` +
        `${missing.join(' and ')} is missing`,
    );
  }
}

/** The threads of Node itself: main, V8's worker, timers, the signal that wakes the inspector. */
const ownThreads = process.execArgv.includes('--disable-sigusr1') ? 3 : 4;

function poolThreads(): number {
  const size = Number.parseInt(process.env['UV_THREADPOOL_SIZE'] ?? '4', 10);
  return Number.isNaN(size) || size < 1 ? 1 : Math.min(size, 1024);
}

/** The most threads that a fork server may have: Node's own, and libuv's pool, which every child starts anew. */
export const forkableThreads = ownThreads + poolThreads();

/** Members of `process` that Node has but does not declare for TypeScript. */
interface ProcessInternals {
  _getActiveHandles(): readonly { readonly _isStdio?: boolean }[];
}

/**
 * What this process waits for, by the names of async_hooks. Standard output and error are left out: once they were
 * used, Node counts them although nothing comes from them, and a child has its own.
 */
function pendingResources(): readonly string[] {
  const handles = (process as unknown as ProcessInternals)._getActiveHandles();
  let streams = handles.filter((handle) => handle._isStdio === true).length;
  return process.getActiveResourcesInfo().filter((name) => {
    const isStream = streams > 0 && /^(PipeWrap|TTYWrap|TCPSocketWrap|TTY)$/.test(name);
    if (isStream) streams -= 1;
    return !isStream;
  });
}

/**
 * Waits for what will soon be finished, and throws ForkError for anything else that is pending: a child would wait for
 * it for ever.
 */
export async function settle(): Promise<void> {
  if (inspector.url() !== undefined)
    throw new ForkError(
      'a process with an open inspector cannot be forked: the inspector’s thread would be missing',
    );
  await stat('/'); // starts libuv's pool, so that threads can be counted
  await new Promise(setImmediate);
  const threads = readdirSync('/proc/self/task').length;
  if (threads > forkableThreads) {
    throw new ForkError(
      `this process has ${threads} threads, and Node itself ${forkableThreads}: a worker thread, or one of an addon, ` +
        'would be missing in every child, whatever it holds at that moment',
    );
  }
  const shared = addon().sharedMemory();
  if (shared !== undefined) {
    const what = shared.includes('io_uring')
      ? 'a ring, which Node 22 and later has unless it is started by Executor.startForkServer()'
      : 'a Buffer of sandwire’s, or another shared mapping';
    throw new ForkError(
      `this process has memory that all its children could write to and read from each other (${shared}): ${what}`,
    );
  }
  const named = pendingResources();
  const pending = named.length > 0 ? named : addon().pollHandles(); // handles that Node does not report
  if (pending.length > 0) {
    throw new ForkError(
      `this process waits for something that all its children would share, or that would never come in them: ` +
        `${[...new Set(pending)].join(', ')}. Close it, clear it or await it before you wait for requests`,
    );
  }
}
