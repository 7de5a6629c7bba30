// Which fds a launch takes along, and where they go.
import { closeSync } from 'node:fs';
import { addon } from '../native/addon.js';
import type { FdMapping } from './ipc.js';

/** An fd of ours for a while. */
export interface LaunchFd {
  readonly fd: number;
  /** Made by the addon, and not by node:fs or the user. */
  readonly isOurs: boolean;
}

/**
 * Node keeps a list of what a worker thread opens by node:fs, and closes that when the thread ends: so each fd has to be
 * closed by the side that opened it.
 */
export function closeFd({ fd, isOurs }: LaunchFd): void {
  if (isOurs) addon().closeFd(fd);
  else closeSync(fd);
}

/** Closes them and forgets them, so that a second call does nothing. */
export function closeAll(fds: LaunchFd[]): void {
  for (const fd of fds.splice(0)) closeFd(fd);
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
