// Finds compiled files whose source is gone: the compiler leaves them, and they would be run as tests or be published.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';

/** Removes them below dist/. */
export function removeStale(root) {
  const dist = path.join(root, 'dist');
  if (!existsSync(dist)) return;
  for (const file of readdirSync(dist, { recursive: true })) {
    const source = /^(.*?)(\.d\.ts|\.js|\.js\.map)$/.exec(file);
    if (source !== null && !existsSync(path.join(root, `${source[1]}.ts`))) rmSync(path.join(dist, file));
  }
}
