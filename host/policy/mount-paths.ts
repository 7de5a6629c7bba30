// What a path in a policy must be, and what must be there.
import { realpathSync, statSync } from 'node:fs';
import { PolicyError } from './errors.js';

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

/** /proc/self and the like, and what they lead to: the directory of this process. */
function isOfOneProcess(path: string): boolean {
  return new RegExp(`^/proc/(self|thread-self|${process.pid})(/|$)`).test(path);
}

/** Throws PolicyError for what cannot be shown, whatever is there. */
export function checkSourcePath(method: string, path: string): void {
  checkPath(method, path);
  if (isOfOneProcess(path)) throw new PolicyError(method, `${path} would be that of another process`);
}

/** Throws PolicyError unless the source is there and of this kind. */
export function checkSource(method: string, path: string, kind: 'file' | 'directory'): void {
  checkSourcePath(method, path);
  let isDirectory: boolean;
  try {
    isDirectory = statSync(path).isDirectory();
    // "/dev/fd", "/etc/mtab"
    const leadsTo = realpathSync(path);
    if (isOfOneProcess(leadsTo)) {
      throw new PolicyError(method, `${path} leads to ${leadsTo}, which would be that of another process`);
    }
  } catch (error) {
    if (error instanceof PolicyError) throw error;
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

/** Whether it is there and of this kind: for the …IfExists methods. */
export function sourceExists(path: string, kind: 'file' | 'directory'): boolean {
  try {
    return statSync(path).isDirectory() === (kind === 'directory');
  } catch {
    return false;
  }
}
