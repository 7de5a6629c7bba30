// Which fds a launch takes along, and where they go.
import { closeSync } from 'node:fs';
import { addon } from '../native/addon.js';
import { WireLimit } from '../protocol/wire.generated.js';
import type { FdMapping } from './ipc.js';

/** An fd of ours for a while. */
export interface LaunchFd {
  readonly fd: number;
  /** Made by the addon, and not by node:fs or the user. */
  readonly isOurs: boolean;
}

/**
 * Node keeps a list of what a worker thread opens by node:fs, and closes that when the thread ends: so each fd has to be
 * closed by the side that opened it. One that the user had given away, and has closed all the same, is none of ours: that
 * it could not be sent is what its run ends with.
 */
export function closeFd({ fd, isOurs }: LaunchFd): void {
  try {
    if (isOurs) addon().closeFd(fd);
    else closeSync(fd);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EBADF')) throw error;
  }
}

/** Closes them and forgets them, so that a second call does nothing. */
export function closeAll(fds: LaunchFd[]): void {
  for (const fd of fds.splice(0)) closeFd(fd);
}

/** Throws Error for more than the supervisor takes; the program, and /dev/null for the standard ones, count too. */
export function checkCount(targets: readonly number[]): void {
  const others = 1 + [0, 1, 2].filter((fd) => !targets.includes(fd)).length;
  const excess = others + targets.length - WireLimit.MAX_LAUNCH_FDS;
  if (excess <= 0) return;
  const mapped = targets.length - 1; // one is that of comms
  throw new Error(
    `${mapped} file descriptors are mapped, of which a sandboxee can be given ${mapped - excess} at its start; ` +
      'send the others by comms.sendFd()',
  );
}

/**
 * Decides which fd gets which number at the launch, and which travel in the handshake instead. The
 * supervisor makes standard input, output and error /dev/null unless mapped: nothing of the host's comes along by itself.
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
