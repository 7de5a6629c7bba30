// The contents of the sandbox's root: a tree of paths with one thing at each. Conflicts are refused when they are made.
import { lstatSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { WireLimit } from '../../protocol/wire.generated.js';
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

/** A thing in the sandbox's file system. */
export type MountEntry =
  | BoundMount
  | {
      readonly kind: 'tmpfs';
      readonly inside: string;
      readonly sizeBytes: number;
      readonly executable: boolean;
    }
  | { readonly kind: 'symlink'; readonly inside: string; readonly target: string }
  /** The sandbox's own, read-only: /proc, /sys, or a directory that is only a parent of another mount. */
  | { readonly kind: 'proc' | 'sysfs' | 'emptyDirectory'; readonly inside: string };

function sameThing(a: string, b: string): boolean {
  if (a === b) return true;
  try {
    const [one, other] = [statSync(a), statSync(b)];
    return one.dev === other.dev && one.ino === other.ino;
  } catch {
    return false; // it no longer exists; the mount will report that
  }
}

/** As many symlinks as the kernel follows (path_resolution(7)). */
const maxLinks = 40;
const maxEntries = WireLimit.MAX_MOUNTS;

/** The names of a path that are still to be resolved, the next one last. */
function pending(target: string): string[] {
  return target
    .split('/')
    .filter((name) => name !== '' && name !== '.')
    .reverse();
}

/** The target of a symlink of the host; undefined if there is none. */
function linkTarget(place: string): string | undefined {
  try {
    return lstatSync(place).isSymbolicLink() ? readlinkSync(place) : undefined;
  } catch {
    return undefined;
  }
}

export class MountTree {
  readonly #entries = new Map<string, MountEntry>();
  /** For each directory with something in it, one such thing. */
  readonly #below = new Map<string, string>();

  /** Adds the entry, or makes a read-only mount of the same thing writable. Throws PolicyError on conflict. */
  add(method: string, entry: MountEntry): void {
    checkPath(method, entry.inside);
    if (entry.inside === '/') throw new PolicyError(method, 'nothing can be mounted over the root itself');
    const isLink = entry.kind === 'symlink';
    this.#place(method, { ...entry, inside: this.#resolve(method, entry.inside, isLink) });
  }

  /**
   * Adds an entry at the same path as on the host, with everything that leads there. "/lib/libc.so.6" also adds the
   * link "/lib" if the host has one, and the file itself at the link's target. "/app/bin/../lib/x.so" also adds the
   * directory "/app/bin", because the path leads through it. The path is absolute but need not be canonical.
   */
  addAsOnHost(method: string, entry: BoundMount): void {
    const rest = pending(entry.inside);
    let at = '/';
    let links = 0;
    for (let part = rest.pop(); part !== undefined; part = rest.pop()) {
      if (part === '..') {
        this.#makePassable(method, at);
        at = path.posix.dirname(at);
        continue;
      }
      const next = path.posix.join(at, part);
      checkPath(method, next);
      const target = this.#linkOf(next);
      if (target === 'in the way') {
        at = path.posix.join(next, ...rest.reverse());
        break;
      }
      if (target === undefined) at = next;
      else {
        if (++links > maxLinks) throw new PolicyError(method, `${entry.inside}: too many symlinks`);
        if (!this.#isShown(next)) this.add(method, { kind: 'symlink', inside: next, target });
        if (target.startsWith('/')) at = '/';
        rest.push(...pending(target));
      }
    }
    this.add(method, { ...entry, inside: at, outside: at });
  }

  /** Makes sure that there is a directory at the path. */
  #makePassable(method: string, place: string): void {
    if (place === '/' || this.#entries.has(place) || this.#below.has(place)) return;
    const above = this.#above(place);
    if (above === undefined || above.kind === 'tmpfs' || above.kind === 'emptyDirectory') {
      this.#place(method, { kind: 'emptyDirectory', inside: place });
    }
  }

  /** The target of the symlink that is, or can be, at this path; undefined if the host has none. */
  #linkOf(place: string): string | 'in the way' | undefined {
    const present = this.#entries.get(place);
    if (present?.kind === 'symlink') return present.target;
    const target = linkTarget(place);
    if (target === undefined) return undefined;
    if (present !== undefined || this.#below.has(place)) return 'in the way';
    const above = this.#above(place);
    // In a directory from elsewhere on the host, the links are others.
    const isOther =
      above !== undefined &&
      above.kind !== 'tmpfs' &&
      above.kind !== 'emptyDirectory' &&
      !this.#isShown(place);
    return isOther ? 'in the way' : target;
  }

  /** True if a directory of the host, mounted at its own path, shows this path. */
  #isShown(place: string): boolean {
    const above = this.#above(place);
    return above?.kind === 'directory' && above.outside === above.inside;
  }

  /** The nearest mount above a path. */
  #above(place: string): MountEntry | undefined {
    for (let at = path.posix.dirname(place); at !== '/'; at = path.posix.dirname(at)) {
      const entry = this.#entries.get(at);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  /** Follows the tree's own symlinks. keepLast: except one at the path itself. */
  #resolve(method: string, place: string, keepLast: boolean): string {
    const rest = pending(place);
    let at = '/';
    let links = 0;
    for (let part = rest.pop(); part !== undefined; part = rest.pop()) {
      const next = path.posix.join(at, part);
      const entry = keepLast && rest.length === 0 ? undefined : this.#entries.get(next);
      if (entry?.kind !== 'symlink') at = next;
      else {
        if (++links > maxLinks) throw new PolicyError(method, `${place}: too many symlinks`);
        if (entry.target.startsWith('/')) at = '/';
        rest.push(...pending(entry.target));
      }
      if (at.length > 4095)
        throw new PolicyError(method, `${place}: symlinks lead to a path that is too long`);
    }
    return at;
  }

  #place(method: string, entry: MountEntry): void {
    if (entry.inside === '/') throw new PolicyError(method, 'nothing can be mounted over the root itself');
    this.#checkAncestors(method, entry);
    const present = this.#entries.get(entry.inside);
    if (present !== undefined) {
      this.#entries.set(entry.inside, this.#merge(method, present, entry));
      return;
    }
    if (entry.kind === 'file' || entry.kind === 'symlink') {
      const below = this.#below.get(entry.inside);
      if (below !== undefined)
        throw new PolicyError(method, `${entry.inside} cannot be a ${entry.kind}: ${below} is below it`);
    }
    if (this.#entries.size >= maxEntries) throw new PolicyError(method, `more than ${maxEntries} mounts`);
    this.#entries.set(entry.inside, entry);
    for (let at = path.posix.dirname(entry.inside); at !== '/'; at = path.posix.dirname(at)) {
      if (this.#below.has(at)) break;
      this.#below.set(at, entry.inside);
    }
  }

  #checkAncestors(method: string, entry: MountEntry): void {
    const parts = entry.inside.split('/');
    for (let length = 2; length < parts.length; length++) {
      const above = this.#entries.get(parts.slice(0, length).join('/'));
      if (above?.kind === 'file' || above?.kind === 'symlink') {
        throw new PolicyError(
          method,
          `${entry.inside} cannot be below ${above.inside}, which is a ${above.kind}`,
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
    const isDirectory = ({ kind }: MountEntry) => kind !== 'file' && kind !== 'symlink';
    if (present.kind === 'emptyDirectory' && isDirectory(entry)) return entry;
    if (entry.kind === 'emptyDirectory' && isDirectory(present)) return present;
    const describe = (mount: MountEntry) =>
      'outside' in mount ? `${mount.kind} ${mount.outside}` : mount.kind;
    throw new PolicyError(
      method,
      `${entry.inside} is taken: ${describe(present)} is there, ${describe(entry)} was requested`,
    );
  }

  /** The mounts, parents before what is inside them, otherwise in the order in which they were added. */
  list(writeExecutable: boolean): readonly MountEntry[] {
    // This is decided here and not earlier: a read-only mount may have become writable since, and the token may have
    // been given later. A link that a directory added later shows anyway is not made again.
    const needed = [...this.#entries.values()].filter(({ kind, inside }) => {
      if (kind === 'emptyDirectory') return !this.#below.has(inside); // otherwise it is made for what is inside it
      return kind !== 'symlink' || !this.#isShown(inside);
    });
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
