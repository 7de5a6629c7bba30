// Names of error numbers.
import { constants } from 'node:os';

// Not util.getSystemErrorName(): it knows only libuv's selection, which lacks ENOEXEC. Of two names for one number the
// clearer one is used.
const names = new Map(
  Object.entries(constants.errno)
    .filter(([name]) => name !== 'EWOULDBLOCK')
    .map(([name, number]) => [number, name]),
);

/** "ENOENT"; a number without a name is shown as the number. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

/** The error name of a failed system call of Node's or of the addon's; undefined for any other error. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
