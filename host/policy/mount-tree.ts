// What the sandbox's root holds: a tree of places, each with one thing, conflicts refused when they are made.
import { lstatSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { PolicyError } from './errors.js';
import { checkPath } from './mount-paths.js';

/** A file or directory of the host. */
export interface BoundMount {
  readonly kind: 'file' | 'directory';
  readonly inside: string;
  readonly outside: string;
  readonly writable: boolean;
  readonly executable: boolean;
}

/** One thing in the sandbox's file system. */
export type MountEntry =
  | BoundMount
  | {
      readonly kind: 'tmpfs';
      readonly inside: string;
      readonly sizeBytes: number;
      readonly executable: boolean;
    }
  | { readonly kind: 'symlink'; readonly inside: string; readonly target: string }
  /** The sandbox's own, read-only. */
  | { readonly kind: 'proc' | 'sysfs'; readonly inside: string };

function sameThing(a: string, b: string): boolean {
  if (a === b) return true;
  try {
    const [one, other] = [statSync(a), statSync(b)];
    return one.dev === other.dev && one.ino === other.ino;
  } catch {
    return false; // gone meanwhile; the mount will say so
  }
}

/** As many as the kernel follows (path_resolution(7)). */
const maxLinks = 40;

/** A symlink of the host. */
function linkTarget(place: string): string | undefined {
  try {
    return lstatSync(place).isSymbolicLink() ? readlinkSync(place) : undefined;
  } catch {
    return undefined;
  }
}

export class MountTree {
  readonly #entries = new Map<string, MountEntry>();

  /** Adds it, or upgrades a read-only mount of the same thing to a writable one. Throws PolicyError on conflict. */
  add(method: string, entry: MountEntry): void {
    checkPath(method, entry.inside);
    if (entry.inside === '/') throw new PolicyError(method, 'the root itself cannot be mounted over');
    const isLink = entry.kind === 'symlink';
    this.#place(method, { ...entry, inside: this.#resolve(method, entry.inside, isLink) });
  }

  /**
   * Adds what is to be seen at the same place as on the host, with the symlinks that lead there: "/lib/libc.so.6" also
   * brings the link "/lib" where the host has one, and the file itself at the link's target.
   */
  addAsOnHost(method: string, entry: BoundMount): void {
    checkPath(method, entry.inside);
    let rest = entry.inside.slice(1).split('/');
    let at = '';
    let links = 0;
    while (rest.length > 0) {
      const [part = '', ...after] = rest;
      const next = path.posix.join('/', at, part);
      const target = this.#linkOf(next);
      if (target === 'in the way') {
        at = path.posix.join(next, ...after);
        break;
      }
      if (target === undefined) [at, rest] = [next, after];
      else {
        if (++links > maxLinks) throw new PolicyError(method, `${entry.inside}: too many symlinks`);
        if (!this.#isShown(next)) this.add(method, { kind: 'symlink', inside: next, target });
        if (target.startsWith('/')) at = '/';
        rest = [...target.split('/').filter((name) => name !== '' && name !== '.'), ...after];
      }
    }
    this.add(method, { ...entry, inside: at, outside: at });
  }

  /** Where the symlink leads that is, or can be, at this place; undefined where the host has none. */
  #linkOf(place: string): string | 'in the way' | undefined {
    const present = this.#entries.get(place);
    if (present?.kind === 'symlink') return present.target;
    const target = linkTarget(place);
    if (target === undefined) return undefined;
    if (present !== undefined || this.#below(place) !== undefined) return 'in the way';
    const above = this.#above(place);
    // In a directory of another origin the links are others.
    const isOther = above !== undefined && above.kind !== 'tmpfs' && !this.#isShown(place);
    return isOther ? 'in the way' : target;
  }

  /** Whether a directory of the host at its own place shows what is there. */
  #isShown(place: string): boolean {
    const above = this.#above(place);
    return above?.kind === 'directory' && above.outside === above.inside;
  }

  /** The nearest mount that a place lies in. */
  #above(place: string): MountEntry | undefined {
    for (let at = path.posix.dirname(place); at !== '/'; at = path.posix.dirname(at)) {
      const entry = this.#entries.get(at);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  #below(place: string): string | undefined {
    return [...this.#entries.keys()].find((inside) => inside.startsWith(`${place}/`));
  }

  /** Follows the tree's own symlinks; keepLast: but not one at the very place. */
  #resolve(method: string, place: string, keepLast: boolean): string {
    let rest = place.slice(1).split('/');
    let at = '/';
    let links = 0;
    while (rest.length > 0) {
      const [part = '', ...after] = rest;
      const next = path.posix.join(at, part);
      const entry = keepLast && after.length === 0 ? undefined : this.#entries.get(next);
      if (entry?.kind !== 'symlink') [at, rest] = [next, after];
      else {
        if (++links > maxLinks) throw new PolicyError(method, `${place}: too many symlinks`);
        if (entry.target.startsWith('/')) at = '/';
        rest = [...entry.target.split('/').filter((name) => name !== '' && name !== '.'), ...after];
      }
    }
    return at;
  }

  #place(method: string, entry: MountEntry): void {
    if (entry.inside === '/') throw new PolicyError(method, 'the root itself cannot be mounted over');
    this.#checkAncestors(method, entry);
    const present = this.#entries.get(entry.inside);
    if (present !== undefined) {
      this.#entries.set(entry.inside, this.#merge(method, present, entry));
      return;
    }
    if (entry.kind === 'file' || entry.kind === 'symlink') {
      const below = this.#below(entry.inside);
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

  /** Parents before what lies in them, and otherwise in the order they were added. */
  list(writeExecutable: boolean): readonly MountEntry[] {
    // Settled here, when the last word is said: what was added read-only may have become writable since, and the token
    // may have come later.
    // A link that a directory added later shows anyway is not made again.
    const needed = [...this.#entries.values()].filter(
      ({ kind, inside }) => kind !== 'symlink' || !this.#isShown(inside),
    );
    const settled = needed.map((entry) => {
      if (entry.kind === 'tmpfs') return { ...entry, executable: writeExecutable };
      return 'outside' in entry ? { ...entry, executable: !entry.writable || writeExecutable } : entry;
    });
    return settled.sort((a, b) => {
      const [one, other] = [a.inside.split('/'), b.inside.split('/')];
      return one.length - other.length;
    });
  }
}
