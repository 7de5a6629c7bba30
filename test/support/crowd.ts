// Many sandboxees at once. Each has a keyring, and an ordinary user may have 200 keys (kernel.keys.maxkeys), so test files that run
// beside each other take turns.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';

const folder = path.join(tmpdir(), `sandwire-tests-${userInfo().uid}`);

/** Runs it while no other test of this user's has a crowd of its own. */
export async function withCrowd<T>(work: () => Promise<T>): Promise<T> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // The lock is held until this process closes the pipe, be it by its end.
  const holder = spawn('flock', [path.join(folder, 'crowd'), 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const isHeld = once(holder.stdout, 'data');
  const hasEnded = once(holder, 'exit'); // rejects where there is no flock(1): then tests take no turns
  try {
    await Promise.race([isHeld, hasEnded]).catch(() => {});
    return await work();
  } finally {
    isHeld.catch(() => {});
    hasEnded.catch(() => {});
    holder.stdin.end();
  }
}
