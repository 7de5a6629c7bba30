// Finds the program's place in its sandbox, from where it is executed.
//
// The executed file can be reached as /proc/self/exe. On the host's mount the file's owner can change its mode, times
// and attributes; on the sandbox's own mount, which is read-only, no process can.
import { realpathSync, type Stats } from 'node:fs';
import type { BoundMount, MountEntry, Policy } from './policy/index.js';
import { holderOf } from './policy/mount-list.js';

export interface ProgramPlace {
  /** Its path inside, if a read-only mount shows it. The file there may be another one by now. */
  readonly inside: string | undefined;
  /** The mount that shows it, if the policy does not. */
  readonly mount: BoundMount | undefined;
}

/** The uid of a root host's sandboxees; those of other hosts have the host's. */
const unprivilegedUid = 65534;

function findInside(mounts: readonly MountEntry[], outside: string): string | undefined {
  const places = mounts.flatMap((mount) => {
    if ((mount.kind !== 'file' && mount.kind !== 'directory') || mount.writable) return [];
    const isBelow = mount.kind === 'directory' && outside.startsWith(`${mount.outside}/`);
    if (!isBelow && outside !== mount.outside) return [];
    const inside = mount.inside + outside.slice(mount.outside.length);
    return holderOf(mounts, inside) === mount ? [inside] : [];
  });
  return places.find((place) => place === outside) ?? places[0];
}

/** True if a mount can be made there without leaving a trace in a directory of the host. */
function isFree(mounts: readonly MountEntry[], place: string): boolean {
  if (mounts.some(({ inside }) => inside === place || inside.startsWith(`${place}/`))) return false;
  const holder = holderOf(mounts, place);
  return holder === undefined || holder.kind === 'tmpfs' || holder.kind === 'emptyDirectory';
}

/** True if a sandboxee that finds its program through /proc can change it. */
function isAtStake(policy: Policy, { uid, mode }: Stats, sandboxeeUid: number | undefined): boolean {
  if (!policy.mounts.some(({ kind }) => kind === 'proc')) return false;
  const host = process.geteuid?.() ?? 0;
  return uid === (sandboxeeUid ?? (host === 0 ? unprivilegedUid : host)) || (mode & 0o022) !== 0;
}

function realPathOf(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch {
    return undefined; // it was removed after it was opened
  }
}

function placeOf(policy: Policy, path: string, isNeeded: boolean): ProgramPlace {
  const { mounts } = policy;
  const outside = realPathOf(path);
  if (outside === undefined) return { inside: undefined, mount: undefined };
  const inside = findInside(mounts, outside);
  if (inside !== undefined || !isNeeded || !isFree(mounts, outside)) return { inside, mount: undefined };
  const mount = { kind: 'file', inside: outside, outside, writable: false, executable: true } as const;
  return { inside: outside, mount };
}

const places = new WeakMap<Policy, Map<string, ProgramPlace>>();
const mostPlaces = 256;

/** status: that of the program opened at this path; sandboxeeUid: if one was chosen. */
export function placeProgram(
  policy: Policy,
  path: string,
  status: Stats,
  sandboxeeUid: number | undefined,
): ProgramPlace {
  if (policy.landlock || policy.mounts.length === 0) return { inside: undefined, mount: undefined };
  const isNeeded = isAtStake(policy, status, sandboxeeUid);
  const known = places.get(policy) ?? new Map<string, ProgramPlace>();
  places.set(policy, known);
  const program = `${isNeeded} ${status.dev} ${status.ino} ${status.ctimeMs} ${path}`;
  let place = known.get(program);
  if (place === undefined) {
    place = placeOf(policy, path, isNeeded);
    if (known.size === mostPlaces) known.clear();
    known.set(program, place);
  }
  return place;
}
