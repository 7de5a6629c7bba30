// Which fds a launch passes to the sandboxee, and with which numbers.
import { closeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { addon } from '../native/addon.js';
import { WireLimit } from '../protocol/wire.generated.js';
import type { FdMapping } from './ipc.js';

/** An fd that is ours until the launch. */
export interface LaunchFd {
  readonly fd: number;
  /** True if the addon made it, and not node:fs or the user. */
  readonly isOurs: boolean;
  /** The program, or a socket that nobody but the host can have sent anything to. */
  readonly isQuick: boolean;
}

/**
 * Closes an fd that the user gave. It may have come from another sandboxee, and closing it may wait; see
 * native/closing.ts.
 *
 * Node lists the files that a worker thread opens by node:fs, and closes them when the thread ends. So there each fd has
 * to be closed by the side that opened it, and a duplicate is what is closed last, in a thread.
 */
function closeGiven(fd: number): void {
  if (isMainThread) {
    addon().closeAside(fd);
    return;
  }
  try {
    addon().closeAside(addon().duplicate(fd));
  } catch {
    // This process has no fd left for a duplicate; or fd is not open, and closeSync() says so.
  }
  closeSync(fd);
}

/**
 * An fd that the user has given away but closed all the same is no longer ours; its run ends with the error that it could
 * not be sent.
 */
export function closeFd({ fd, isOurs, isQuick }: LaunchFd): void {
  try {
    if (isQuick && isOurs) addon().closeSandboxeeEnd(fd);
    else if (isQuick) closeSync(fd);
    else if (isOurs) addon().closeAside(fd);
    else closeGiven(fd);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EBADF')) throw error;
  }
}

/** Closes them and forgets them, so that a second call does nothing. */
export function closeAll(fds: LaunchFd[]): void {
  for (const fd of fds.splice(0)) closeFd(fd);
}

/**
 * Throws Error for more fds than the supervisor accepts; the program, and /dev/null for the standard ones, count too.
 */
export function checkCount(targets: readonly number[]): void {
  const others = 1 + [0, 1, 2].filter((fd) => !targets.includes(fd)).length;
  const excess = others + targets.length - WireLimit.MAX_LAUNCH_FDS;
  if (excess <= 0) return;
  const mapped = targets.length - 1; // one of them is comms
  throw new Error(
    `${mapped} file descriptors are mapped, of which a sandboxee can be given ${mapped - excess} at its start; ` +
      'send the others by comms.sendFd()',
  );
}

/**
 * Decides which fd gets which number at the launch, and which are sent in the handshake instead. The supervisor makes
 * standard input, output and error /dev/null unless they are mapped, so nothing of the host's is passed by accident.
 */
export function placeFds(mappings: readonly FdMapping[], sandboxBeforeExec: boolean) {
  const atLaunch = mappings.filter(
    (mapping) => sandboxBeforeExec || (mapping.remoteFd >= 0 && mapping.name === ''),
  );
  const byHandshake = mappings.filter((mapping) => !atLaunch.includes(mapping));
  const taken = new Set(atLaunch.map((mapping) => mapping.remoteFd));
  let free = 3;
  const placed = atLaunch.map((mapping) => {
    if (mapping.remoteFd >= 0) return mapping;
    while (taken.has(free)) free++;
    taken.add(free);
    return { ...mapping, remoteFd: free };
  });
  return { placed, byHandshake };
}
