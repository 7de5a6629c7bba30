// What this machine can do, tried without a sandbox.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
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

/** Some sanitizers fail now and then on a kernel whose address space layout is more random than they know. */
const tries = 5;

/** Why no program can be made and run with these flags of a C compiler; undefined: one can. */
export function whyNotCompiled(compiler: string, flags: readonly string[]): string | undefined {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  try {
    const program = path.join(folder, 'program');
    // What libFuzzer calls, and what is called without it.
    const isFuzzer = flags.some((flag) => flag.includes('fuzzer'));
    const input = isFuzzer
      ? 'int LLVMFuzzerTestOneInput(const unsigned char *at, unsigned long size) { (void)at; (void)size; return 0; }'
      : 'int main(void) { return 0; }';
    const made = spawnSync(compiler, [...flags, '-x', 'c', '-o', program, '-'], { input, encoding: 'utf8' });
    if (made.error !== undefined) return `${compiler} is not installed`;
    if (made.status !== 0) return `${compiler} ${flags.join(' ')} makes no program here`;
    for (let round = 0; round < tries; round++) {
      const { status, signal } = spawnSync(program, isFuzzer ? ['-runs=1'] : [], { stdio: 'ignore' });
      if (status !== 0)
        return `a program made by ${compiler} ${flags.join(' ')} does not run here: ${signal ?? `exit code ${status}`}`;
    }
    return undefined;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
