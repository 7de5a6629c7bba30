// What the paths of a policy must look like, and what must exist at them.
import { readFileSync, realpathSync, type Stats, statfsSync, statSync } from 'node:fs';
import { PolicyError } from './errors.js';
import { shown } from './quoting.js';

/** Throws PolicyError unless the path is absolute and canonical: no ".", "..", "//" or trailing "/". */
export function checkPath(method: string, path: string): void {
  if (typeof path !== 'string') {
    const hint = (path as unknown) instanceof URL ? ': fileURLToPath() of node:url converts a URL' : '';
    throw new PolicyError(method, `a path must be a string${hint}, not ${shown(path)}`);
  }
  if (path === '') throw new PolicyError(method, 'the path is empty');
  if (path.includes('\0')) throw new PolicyError(method, `the path contains a NUL: ${JSON.stringify(path)}`);
  if (!path.startsWith('/')) throw new PolicyError(method, `an absolute path is needed, not ${path}`);
  const parts = path.slice(1).split('/');
  if (path !== '/' && parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw new PolicyError(
      method,
      `the path must be canonical, without ".", ".." and needless slashes: ${path}`,
    );
  }
  // NAME_MAX and PATH_MAX (limits.h)
  if (parts.some((part) => Buffer.byteLength(part) > 255) || Buffer.byteLength(path) > 4095) {
    throw new PolicyError(method, `the path, or a part of it, is too long: ${path.slice(0, 300)}`);
  }
}

/** See PolicyBuilder.anchorPathAbsolute. */
export function anchoredPath(method: string, relative: string, base: string): string {
  if (typeof relative !== 'string' || relative === '') throw new PolicyError(method, 'the path is empty');
  if (relative.startsWith('/')) {
    checkPath(method, relative);
    return relative;
  }
  checkPath(method, base);
  const path = base === '/' ? `/${relative}` : `${base}/${relative}`;
  checkPath(method, path);
  return path;
}

/** True for a path in the directory of a process, /proc/self and the like included. */
function isOfAProcess(path: string): boolean {
  return /^\/proc\/(self|thread-self|\d+)(\/|$)/.test(path);
}

/** Throws PolicyError if a symlink cannot have this text. */
export function checkTarget(method: string, target: string): void {
  if (target === '' || target.includes('\0')) throw new PolicyError(method, 'it is empty, or contains a NUL');
  if (Buffer.byteLength(target) > 4095) throw new PolicyError(method, 'it is longer than a path can be');
}

/** Throws PolicyError for a path that can never be shown, whatever is there. */
export function checkSourcePath(method: string, path: string, isWritable: boolean): void {
  checkPath(method, path);
  if (isWritable && /^\/(proc|sys)(\/|$)/.test(path)) {
    throw new PolicyError(method, `${path} is always read-only in a sandbox`);
  }
  if (isOfAProcess(path)) throw new PolicyError(method, `${path} belongs to a process and cannot be shown`);
}

// f_type in statfs(2). The root directory of both has the inode 1.
const fileSystems = { proc: 0x9fa0, sysfs: 0x62656572 } as const;
const rootInode = 1;

/** The mounted file systems; empty if there is no /proc that lists them. */
function mountPoints(): readonly { readonly at: string; readonly type: string }[] {
  let table: string;
  try {
    table = readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return [];
  }
  // proc_pid_mountinfo(5): "36 35 98:0 / /mnt rw shared:1 - ext4 …", with spaces and the like in octal.
  return table.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const at = before
      .split(' ')[4]
      ?.replaceAll(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
    const type = after.split(' ')[0];
    return at === undefined || type === undefined ? [] : [{ at, type }];
  });
}

/** Throws PolicyError for a directory of the host that contains the host's /proc or /sys. */
export function checkHoldsNoProc(method: string, path: string): void {
  let real: string;
  try {
    real = realpathSync(path);
  } catch {
    return; // it no longer exists, and the launch reports that
  }
  const prefix = real === '/' ? '/' : `${real}/`;
  const within = mountPoints().find(
    ({ at, type }) => (type === 'proc' || type === 'sysfs') && at.startsWith(prefix),
  );
  if (within !== undefined) {
    throw new PolicyError(
      method,
      `${path} contains the host’s ${within.at}, which reveals its processes and can act on them; show the ` +
        'directories in it that are needed, and /proc as the sandbox’s own',
    );
  }
}

/**
 * What a source is: the machine's whole /proc or /sys, of which a sandbox gets its own, or an ordinary file or
 * directory. Throws PolicyError unless it exists, is of this kind, and may be shown.
 */
export function checkSource(
  method: string,
  path: string,
  kind: 'file' | 'directory',
  isReadOnly: boolean,
): 'proc' | 'sysfs' | 'plain' {
  checkSourcePath(method, path, !isReadOnly);
  let status: Stats;
  let real: string;
  let type: number;
  try {
    status = statSync(path);
    real = realpathSync(path);
    ({ type } = statfsSync(path));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const canPassOver = method === 'addFile' || method === 'addDirectory';
    const missing = canPassOver ? `there is none; ${method}IfExists() would skip it` : 'there is none';
    const hint = code === 'ENOENT' ? ` (${missing})` : '';
    throw new PolicyError(method, `${path}: ${code}${hint}`);
  }
  if (status.isDirectory() !== (kind === 'directory')) {
    const fact = status.isDirectory()
      ? 'is a directory; addDirectory() shows one'
      : 'is not a directory; addFile() shows a file';
    throw new PolicyError(method, `${path} ${fact}`);
  }
  // "/dev/fd", "/etc/mtab"
  if (isOfAProcess(real)) {
    throw new PolicyError(method, `${path} leads to ${real}, which belongs to a process and cannot be shown`);
  }
  const isSpecial = type === fileSystems.proc || type === fileSystems.sysfs;
  if (isSpecial && !isReadOnly) {
    throw new PolicyError(method, `${path} belongs to ${real}, which is always read-only in a sandbox`);
  }
  if (isSpecial && status.ino === rootInode) return type === fileSystems.proc ? 'proc' : 'sysfs';
  if (kind === 'directory') checkHoldsNoProc(method, path);
  return 'plain';
}

/**
 * Where a path leads now. Mounts are made by this resolved path, so a symlink that is put there later is not followed.
 * A path that leads nowhere is returned as it is, and the launch reports it.
 */
export function realSource(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return path;
  }
}

/** True if the path exists and is of this kind: for the …IfExists methods. */
export function sourceExists(path: string, kind: 'file' | 'directory'): boolean {
  try {
    return statSync(path).isDirectory() === (kind === 'directory');
  } catch {
    return false;
  }
}
