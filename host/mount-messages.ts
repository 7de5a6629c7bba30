// Converts the policy's mounts to messages for the supervisor.
import { type Mount, MountKind } from '../protocol/messages.generated.js';
import type { MountEntry } from './policy/index.js';
import { checkHoldsNoProc } from './policy/mount-paths.js';

const kinds: Record<MountEntry['kind'], MountKind> = {
  file: MountKind.MOUNT_FILE,
  directory: MountKind.MOUNT_DIRECTORY,
  tmpfs: MountKind.MOUNT_TMPFS,
  symlink: MountKind.MOUNT_SYMLINK,
  proc: MountKind.MOUNT_PROC,
  sysfs: MountKind.MOUNT_SYSFS,
  emptyDirectory: MountKind.MOUNT_EMPTY_DIRECTORY,
};

/** Throws PolicyError for a path that may not be shown: the paths in a policy from a file have not been checked yet. */
export function encodeMounts(mounts: readonly MountEntry[]): Mount[] {
  for (const mount of mounts) {
    if (mount.kind === 'directory') checkHoldsNoProc('Sandbox2', mount.outside);
  }
  const bytes = (text: string) => new TextEncoder().encode(text);
  return mounts.map((mount) => {
    const common = { kind: kinds[mount.kind], inside: bytes(mount.inside) };
    switch (mount.kind) {
      case 'file':
      case 'directory':
        return {
          ...common,
          outside: bytes(mount.outside),
          writable: mount.writable,
          executable: mount.executable,
        };
      case 'tmpfs':
        return {
          ...common,
          sizeBytes: BigInt(mount.sizeBytes),
          writable: true,
          executable: mount.executable,
        };
      case 'symlink':
        return { ...common, outside: bytes(mount.target) };
      default:
        return common;
    }
  });
}
