// What the sandbox's root holds: a tree of places, each with one thing, conflicts refused when they are made.
import { lstatSync, statSync } from 'node:fs';
import { PolicyError } from './errors.js';

/** One thing in the sandbox's file system. */
export type MountEntry =
  | {
      readonly kind: 'file' | 'directory';
      readonly inside: string;
      readonly outside: string;
      readonly writable: boolean;
      readonly executable: boolean;
    }
  | {
      readonly kind: 'tmpfs';
      readonly inside: string;
      readonly sizeBytes: number;
      readonly executable: boolean;
    }
  | { readonly kind: 'symlink'; readonly inside: string; readonly target: string }
  /** The sandbox's own, read-only. */
  | { readonly kind: 'proc' | 'sysfs'; readonly inside: string };

/** Throws PolicyError unless the path is absolute and canonical: no ".", "..", "//" or trailing "/". */
export function checkPath(method: string, path: string): void {
  if (typeof path !== 'string' || path === '') throw new PolicyError(method, 'the path is empty');
  if (path.includes('\0')) throw new PolicyError(method, `the path holds a NUL: ${JSON.stringify(path)}`);
  if (!path.startsWith('/')) throw new PolicyError(method, `an absolute path is needed, not ${path}`);
  const parts = path.slice(1).split('/');
  if (path !== '/' && parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw new PolicyError(
      method,
      `the path must be canonical, without ".", ".." and needless slashes: ${path}`,
    );
  }
  if (parts.some((part) => part.length > 255))
    throw new PolicyError(method, `a part of the path is too long: ${path}`);
}

/** Throws PolicyError unless the source is there and of this kind. */
export function checkSource(method: string, path: string, kind: 'file' | 'directory'): void {
  checkPath(method, path);
  if (path === '/proc/self' || path.startsWith('/proc/self/')) {
    throw new PolicyError(method, `${path} would be that of another process`);
  }
  let isDirectory: boolean;
  try {
    isDirectory = statSync(path).isDirectory();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const hint = code === 'ENOENT' ? ' (there is none; the …IfExists methods pass over that)' : '';
    throw new PolicyError(method, `${path}: ${code}${hint}`);
  }
  if (isDirectory !== (kind === 'directory')) {
    const fact = isDirectory
      ? 'is a directory; addDirectory() shows one'
      : 'is no directory; addFile() shows a file';
    throw new PolicyError(method, `${path} ${fact}`);
  }
}

function sameThing(a: string, b: string): boolean {
  if (a === b) return true;
  try {
    const [one, other] = [statSync(a), statSync(b)];
    return one.dev === other.dev && one.ino === other.ino;
  } catch {
    return false; // gone meanwhile; the mount will say so
  }
}

export class MountTree {
  readonly #entries = new Map<string, MountEntry>();

  constructor(entries: readonly MountEntry[] = []) {
    for (const entry of entries) this.#entries.set(entry.inside, entry);
  }

  /** Adds it, or upgrades a read-only mount of the same thing to a writable one. Throws PolicyError on conflict. */
  add(method: string, entry: MountEntry): void {
    checkPath(method, entry.inside);
    if (entry.inside === '/') throw new PolicyError(method, 'the root itself cannot be mounted over');
    this.#checkAncestors(method, entry);
    const present = this.#entries.get(entry.inside);
    if (present !== undefined) {
      this.#entries.set(entry.inside, this.#merge(method, present, entry));
      return;
    }
    if (entry.kind === 'file' || entry.kind === 'symlink') {
      const below = [...this.#entries.keys()].find((inside) => inside.startsWith(`${entry.inside}/`));
      if (below !== undefined)
        throw new PolicyError(method, `${entry.inside} cannot be a ${entry.kind}: ${below} lies below it`);
    }
    this.#entries.set(entry.inside, entry);
  }

  #checkAncestors(method: string, entry: MountEntry): void {
    const parts = entry.inside.split('/');
    for (let length = 2; length < parts.length; length++) {
      const above = this.#entries.get(parts.slice(0, length).join('/'));
      if (above?.kind === 'file' || above?.kind === 'symlink') {
        throw new PolicyError(
          method,
          `${entry.inside} cannot lie below ${above.inside}, which is a ${above.kind}`,
        );
      }
    }
  }

  #merge(method: string, present: MountEntry, entry: MountEntry): MountEntry {
    if (
      (present.kind === 'file' || present.kind === 'directory') &&
      entry.kind === present.kind &&
      sameThing(present.outside, entry.outside)
    ) {
      return { ...present, writable: present.writable || entry.writable };
    }
    if (JSON.stringify(present) === JSON.stringify(entry)) return present;
    const describe = (mount: MountEntry) =>
      'outside' in mount ? `${mount.kind} ${mount.outside}` : mount.kind;
    throw new PolicyError(
      method,
      `${entry.inside} is taken: ${describe(present)} is there, ${describe(entry)} was to be`,
    );
  }

  /** Parents before what lies in them. */
  list(writeExecutable: boolean): readonly MountEntry[] {
    // Settled here, when the last word is said: what was added read-only may have become writable since, and the token
    // may have come later.
    const settled = [...this.#entries.values()].map((entry) => {
      if (entry.kind === 'tmpfs') return { ...entry, executable: writeExecutable };
      return 'outside' in entry ? { ...entry, executable: !entry.writable || writeExecutable } : entry;
    });
    return settled.sort((a, b) => {
      const [one, other] = [a.inside.split('/'), b.inside.split('/')];
      return one.length - other.length;
    });
  }
}

/** Whether it is there and of this kind: for the …IfExists methods. */
export function sourceExists(path: string, kind: 'file' | 'directory'): boolean {
  try {
    lstatSync(path);
    return statSync(path).isDirectory() === (kind === 'directory');
  } catch {
    return false;
  }
}
