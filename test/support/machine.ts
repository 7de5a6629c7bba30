// What this machine can do, tried without a sandbox.
import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { sandboxeePath } from './sandbox.js';

/** Why no 32-bit syscall can be made here; undefined: it can. A kernel that is configured for them may run on a machine that is not. */
export function whyNo32BitCalls(): string | undefined {
  if (process.arch !== 'x64') return 'only x86-64 has int 0x80';
  const getpid = '32:20';
  const { status, signal } = spawnSync(sandboxeePath('make_syscall'), [getpid]);
  if (status === 0) return undefined;
  if (status === constants.errno.ENOSYS) return 'int 0x80 is answered with ENOSYS here';
  return `int 0x80 ends a process here: ${signal ?? `exit code ${status}`}`;
}
