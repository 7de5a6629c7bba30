// What a Node process must be like to be forked. Everything that could hang or go wrong in a child is refused here, in
// words.
import { readdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import inspector from 'node:inspector';
import { isMainThread } from 'node:worker_threads';
import { addon, forkableNodeFlags } from '../native/addon.js';

/** The majors whose children the tests have seen working. */
const testedMajors = [20, 22, 24, 26];

/** What a sandboxee's pid is inside, after that of the sandbox's init. */
const childPid = 2;
/** Another process that watches, what a child has to change and cannot, a thread that a child would not have. */
const hindering = /^--(watch|frozen-intrinsics|inspect)/;

/** This process cannot be forked, and why. */
export class ForkError extends Error {
  override readonly name = 'ForkError';
}

// In NODE_OPTIONS Node takes the second of the flags only.
const given = [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/)];

const missing = forkableNodeFlags.filter((flag) => !given.includes(flag));
const hindrance = given.find((flag) => hindering.test(flag));

/** Whether this process was started to be forked. */
export const isMeantToFork = missing.length === 0 && hindrance === undefined;

/** Throws ForkError where no fork server can be made of this process at all. */
export function checkForkable(): void {
  const major = Number(process.versions.node.split('.')[0]);
  if (!testedMajors.includes(major)) {
    throw new ForkError(
      `a Node process can be forked where that was tested, in versions ${testedMajors.join(', ')}; this is ${process.version}`,
    );
  }
  if (!isMainThread)
    throw new ForkError('a worker thread cannot fork; make the ForkingClient in the main thread');
  if (process.pid <= childPid) {
    throw new ForkError(
      `this process has the pid ${process.pid}, as its children may have in their sandboxes: OpenSSL, which notices a fork by ` +
        'the pid, would give them all the same random numbers. Start something else before the host, in this container',
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

/** Threads that Node itself has: main, V8's worker, timers, the signal that wakes the inspector. */
const ownThreads = process.execArgv.includes('--disable-sigusr1') ? 3 : 4;

function poolThreads(): number {
  const size = Number.parseInt(process.env['UV_THREADPOOL_SIZE'] ?? '4', 10);
  return Number.isNaN(size) || size < 1 ? 1 : Math.min(size, 1024);
}

/** What a fork server may have at most: its own threads, and libuv's pool, which every child starts anew. */
export const forkableThreads = ownThreads + poolThreads();

/** What Node has on `process` and does not tell TypeScript. */
interface ProcessInternals {
  _getActiveHandles(): readonly { readonly _isStdio?: boolean }[];
}

/**
 * What this process waits for, by the names of async_hooks. Standard output and error are not among them: Node counts
 * them once they have been looked at, though nothing comes from them, and a child has its own.
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

/** Waits for what is about to be done, and throws ForkError for what is not: a child would wait for it for ever. */
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
    throw new ForkError(
      `this process has memory that all its children could write to, and see what others write (${shared}): a Buffer of ` +
        'sandwire’s, or another shared mapping',
    );
  }
  const named = pendingResources();
  const pending = named.length > 0 ? named : addon().pollHandles(); // those that Node does not tell of
  if (pending.length > 0) {
    throw new ForkError(
      `this process waits for something, which would be shared by all its children or never come in them: ` +
        `${[...new Set(pending)].join(', ')}. Close it, clear it or await it before you wait for requests`,
    );
  }
}
