// The Node versions that sandwire is tested on, as npm packages that carry nothing but the binary.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { checkout } from './sandbox.js';

/** Each has a test file of its own, sandboxee-node/version-MAJOR.test.ts. */
export type TestedMajor = 20 | 22 | 24 | 26;

export type InstalledNode =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly reason: string };

/** Installs it into build/ on demand. */
export function installNode(major: TestedMajor): InstalledNode {
  const folder = path.join(checkout, 'build/node-versions', String(major));
  const name = `node-linux-${process.arch}`;
  const binary = path.join(folder, 'node_modules', name, 'bin/node');
  if (existsSync(binary)) return { ok: true, path: binary };
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n');
  } catch (error) {
    return { ok: false, reason: `build/ cannot be written: ${String(error)}` };
  }
  const { npm_config_nodedir: _, ...env } = process.env; // npm's own; it warns of it
  const { status, stderr } = spawnSync(
    'npm',
    [
      ...['install', `${name}@${major}`, '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'],
      ...['--loglevel=error', '--fetch-retries=1', '--fetch-timeout=60000'],
    ],
    { cwd: folder, env, encoding: 'utf8', timeout: 300_000 },
  );
  if (status === 0 && existsSync(binary)) return { ok: true, path: binary };
  return {
    ok: false,
    reason: `npm install ${name}@${major} failed: ${(stderr ?? '').trim().split('\n')[0]}`,
  };
}
