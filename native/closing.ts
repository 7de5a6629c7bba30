// Closing what peers have sent. A close can wait for as long as a hostile peer likes, so in a host it is done in threads;
// see sandboxee-c/include/sandwire/closer.h. A sandboxee trusts its host, and may not be allowed to make threads.
import { addon } from './addon.js';

let isGuarded = false;

/**
 * This environment has peers that it does not trust: from now on what comes from peers is closed in threads. Throws a system
 * error, EAGAIN for example, if no threads can be had.
 */
export function guard(): void {
  if (isGuarded) return;
  addon().guard();
  isGuarded = true;
}

/**
 * Closes a file descriptor that came from a sandboxee, or from another peer that is not trusted. fs.closeSync() and fs.close()
 * can wait for as long as its sender likes: for a lock that the sender holds, for a file system, for gigabytes to be freed.
 * Here a thread waits, and the descriptor is closed soon after. Throws EBADF for what is not open.
 */
export function closeFd(fd: number): void {
  if (!Number.isInteger(fd) || fd < 0 || fd > 0x7fffffff)
    throw new TypeError(`closeFd: ${fd} is no file descriptor number`);
  guard();
  addon().closeAside(fd);
}
