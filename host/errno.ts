// Names of error numbers.
import { constants } from 'node:os';

// Not util.getSystemErrorName(): it knows libuv's selection only, and ENOEXEC is not among them. Of two names for one
// number the one that says more.
const names = new Map(
  Object.entries(constants.errno)
    .filter(([name]) => name !== 'EWOULDBLOCK')
    .map(([name, number]) => [number, name]),
);

/** "ENOENT"; a number without a name is told as that. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

/** The name of what a system call of Node's or of the addon's has failed with; undefined for any other error. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
