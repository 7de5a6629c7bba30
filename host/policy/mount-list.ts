// Reads a policy's mounts: as lines of text, and where a path inside leads.
import path from 'node:path';
import type { MountEntry } from './mount-tree.js';
import { plainOrQuoted } from './quoting.js';

function sizeText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = bytes;
  let unit = 0;
  for (; size >= 1024 && size % 1024 === 0 && unit < units.length - 1; unit++) size /= 1024;
  return `${size} ${units[unit]}`;
}

function lineOf(mount: MountEntry): string {
  switch (mount.kind) {
    case 'file':
    case 'directory': {
      const slash = mount.kind === 'directory' ? '/' : '';
      const from = mount.outside === mount.inside ? '' : ` from ${plainOrQuoted(mount.outside + slash)}`;
      const code = mount.writable && mount.executable ? ', executable' : '';
      return `${mount.writable ? 'W' : 'R'} ${plainOrQuoted(mount.inside + slash)}${from}${code}`;
    }
    case 'tmpfs':
      return `W ${plainOrQuoted(`${mount.inside}/`)} in memory, at most ${sizeText(mount.sizeBytes)}${mount.executable ? ', executable' : ''}`;
    case 'symlink':
      return `  ${plainOrQuoted(mount.inside)} leads to ${plainOrQuoted(mount.target)}`;
    case 'proc':
    case 'sysfs':
      return `R ${plainOrQuoted(`${mount.inside}/`)} of the sandbox (${mount.kind})`;
    case 'emptyDirectory':
      return `R ${plainOrQuoted(`${mount.inside}/`)} with nothing in it but what is listed here`;
  }
}

/**
 * The mounts as lines, sorted by path: "R /etc/hosts", "W /data/ from /srv/data/", "W /tmp/ in memory, at most 64 MiB".
 */
export function listMounts(mounts: readonly MountEntry[]): readonly string[] {
  const byPlace = [...mounts].sort((one, other) => (one.inside < other.inside ? -1 : 1));
  return byPlace.map(lineOf);
}

/** The mount that a path inside belongs to; undefined: the sandbox's own root. */
export function holderOf(mounts: readonly MountEntry[], inside: string): MountEntry | undefined {
  const holders = mounts.filter((mount) => inside === mount.inside || inside.startsWith(`${mount.inside}/`));
  return holders.sort((one, other) => other.inside.length - one.inside.length)[0];
}

/** The host's path of a path inside; undefined if it is not the host's, or does not exist. */
export function resolvePath(mounts: readonly MountEntry[], inside: string, links = 40): string | undefined {
  const nearest = holderOf(mounts, inside);
  if (nearest === undefined) return undefined;
  const below = inside.slice(nearest.inside.length);
  switch (nearest.kind) {
    case 'file':
      return below === '' ? nearest.outside : undefined;
    case 'directory':
      return nearest.outside + below;
    case 'symlink': {
      if (links === 0) return undefined;
      const target = path.posix.resolve(path.posix.dirname(nearest.inside), nearest.target);
      return resolvePath(mounts, target + below, links - 1);
    }
    default:
      return undefined;
  }
}
