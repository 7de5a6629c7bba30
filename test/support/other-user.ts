// What tests run as a user other than root needs the checkout to be readable by that user.
import { spawnSync } from 'node:child_process';
import { checkout } from './sandbox.js';

/** Runs what follows as a user that has no other process. Only root can. */
export const asOtherUser = ['setpriv', '--reuid', '54321', '--regid', '54321', '--clear-groups'] as const;

const [setpriv, ...options] = asOtherUser;

/** The reason for a skip; undefined: other users can read the checkout. */
export const unreadable: string | undefined =
  spawnSync(setpriv, [...options, 'cat', `${checkout}package.json`]).status === 0
    ? undefined
    : 'this folder cannot be read by other users';
