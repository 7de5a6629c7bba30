// Which files of the host a Node sandboxee needs to start: Node itself, and the part of the package that
// "sandwire/sandboxee" consists of.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { sandboxeePackage } from '../../native/addon.js';

/** A directory of the host, and where it is shown. */
export interface ShownDirectory {
  readonly outside: string;
  readonly inside: string;
}

export interface SandboxeeFiles {
  readonly files: readonly string[];
  readonly directories: readonly ShownDirectory[];
}

/** The package's directory as Node would find it from another directory: in the nearest node_modules above. */
function lookUp(name: string, from: string): string | undefined {
  for (let directory = from; ; directory = path.dirname(directory)) {
    const candidate = path.join(directory, 'node_modules', name);
    if (existsSync(path.join(candidate, 'package.json'))) return candidate;
    if (directory === path.dirname(directory)) return undefined;
  }
}

/** Links by which scripts of this program's project find the package at root, as npm link and pnpm make them. */
function linksTo(root: string): readonly string[] {
  const places = [process.cwd(), path.dirname(process.argv[1] ?? '/')].map((from) =>
    lookUp('sandwire', from),
  );
  return [...new Set(places)].filter(
    (place): place is string => place !== undefined && place !== root && realpathSync(place) === root,
  );
}

function dependenciesOf(directory: string): readonly string[] {
  const manifest: unknown = JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8'));
  const { dependencies = {} } = manifest as { dependencies?: Record<string, string> };
  return Object.keys(dependencies);
}

/**
 * The package's part for sandboxees, with links that lead to it, and the packages that it imports with all their
 * dependencies. Where a package manager has made links (pnpm), the package is shown in the link's place, and its
 * dependencies beside it. Throws NativeUnavailableError, or Error for a dependency that is not installed.
 */
export function sandboxeeFiles(): SandboxeeFiles {
  const own = sandboxeePackage();
  const found = new Map<string, ShownDirectory>();
  const add = (name: string, from: string, beside: string | undefined): void => {
    const place = lookUp(name, from);
    if (place === undefined) throw new Error(`the package ${name}, which ${from} needs, is not installed`);
    const outside = realpathSync(place);
    const inside = beside === undefined ? place : path.join(beside, name);
    if (found.has(inside)) return;
    found.set(inside, { outside, inside });
    const isLink = outside !== place;
    const siblings = path.join(inside, ...name.split('/').map(() => '..'));
    for (const next of dependenciesOf(outside)) add(next, outside, isLink ? siblings : undefined);
  };
  for (const name of own.dependencies) add(name, own.root, undefined);
  const rooms = own.directories.map((directory) => ({ outside: directory, inside: directory }));
  // Adding a file behind the link also adds the link.
  const throughLinks = linksTo(own.root).map((link) => path.join(link, 'package.json'));
  return { files: [...own.files, ...throughLinks], directories: [...rooms, ...found.values()] };
}
