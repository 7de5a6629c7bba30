// Where the two dynamic loaders, glibc's and musl's, look for libraries.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export interface Machine {
  /** As in "/lib/x86_64-linux-gnu", and what $PLATFORM becomes. */
  readonly cpu: string;
  /** Subdirectories that glibc searches first if the CPU supports them (ld.so(8), "glibc-hwcaps"). */
  readonly capabilities: readonly string[];
}

/** By e_machine. */
export const machines: ReadonlyMap<number, Machine> = new Map([
  [62, { cpu: 'x86_64', capabilities: ['x86-64-v4', 'x86-64-v3', 'x86-64-v2'] }],
  [183, { cpu: 'aarch64', capabilities: [] }],
]);

export type LoaderKind = 'glibc' | 'musl';

/** undefined: not a known dynamic loader. It is checked because the file that a program names here is shown to it. */
export function loaderKind(interpreter: string): LoaderKind | undefined {
  const name = path.basename(interpreter);
  if (/^(ld-linux-(x86-64|aarch64)|ld64|ld)\.so\.\d+$/.test(name) || /^ld-\d+\.\d+\.so$/.test(name))
    return 'glibc';
  return /^ld-musl-\w+\.so\.1$/.test(name) ? 'musl' : undefined;
}

/** The directories that /etc/ld.so.conf adds; the loader learns of them from /etc/ld.so.cache. */
function configuredDirectories(file = '/etc/ld.so.conf', depth = 0): string[] {
  if (depth > 5 || !existsSync(file)) return [];
  const directories: string[] = [];
  for (const raw of readFileSync(file, 'utf8').split('\n')) {
    const line = raw.replace(/#.*/, '').trim();
    const included = /^include\s+(.+)$/.exec(line)?.[1];
    if (included !== undefined) {
      for (const name of expand(path.resolve('/etc', included)))
        directories.push(...configuredDirectories(name, depth + 1));
    } else if (line.startsWith('/')) {
      directories.push(line);
    }
  }
  return directories;
}

/** The files that match a pattern with * in its last part, as ld.so.conf allows it. */
function expand(pattern: string): string[] {
  const directory = path.dirname(pattern);
  if (!existsSync(directory)) return [];
  const parts = path
    .basename(pattern)
    .split('*')
    .map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const form = new RegExp(`^${parts.join('.*')}$`);
  return readdirSync(directory)
    .filter((name) => form.test(name))
    .sort()
    .map((name) => path.join(directory, name));
}

/** The file that replaces musl's own list of directories. */
function muslPathFile(interpreter: string): string {
  const name = path.basename(interpreter).replace(/\.so\.1$/, '.path');
  // "/lib/ld-musl-x86_64.so.1" and "/etc/ld-musl-x86_64.path" have the same prefix (ldso/dynlink.c of musl).
  return path.join(path.dirname(path.dirname(interpreter)), 'etc', name);
}

export interface LoaderFiles {
  /** The directories that are searched last, after all other paths. */
  readonly directories: readonly string[];
  /** The file from which the loader learns of them, if it exists. */
  readonly configuration: string;
}

export function loaderFiles(kind: LoaderKind, interpreter: string, { cpu }: Machine): LoaderFiles {
  if (kind === 'musl') {
    const configuration = muslPathFile(interpreter);
    const listed = existsSync(configuration) ? readFileSync(configuration, 'utf8').split(/[:\n]/) : [];
    const directories = listed.map((line) => line.trim()).filter((line) => line.startsWith('/'));
    return {
      directories: directories.length > 0 ? directories : ['/lib', '/usr/local/lib', '/usr/lib'],
      configuration,
    };
  }
  const triplet = `${cpu}-linux-gnu`;
  const usual = [`/lib/${triplet}`, `/usr/lib/${triplet}`, '/lib64', '/usr/lib64', '/lib', '/usr/lib'];
  return { directories: [...configuredDirectories(), ...usual], configuration: '/etc/ld.so.cache' };
}

/** True for libraries that are part of musl's loader itself (ldso/dynlink.c, load_library()). */
export function isPartOfMusl(name: string): boolean {
  return /^lib(c|pthread|rt|m|dl|util|xnet)\.(so|musl-\w+\.so\.1)$/.test(name);
}

/** A path with $ORIGIN, $LIB and $PLATFORM replaced, in every way a distribution's loader may do it. */
export function expandTokens(text: string, origin: string, { cpu }: Machine): readonly string[] {
  const replace = (name: string, by: string, within: string) =>
    within.replaceAll(`\${${name}}`, () => by).replaceAll(new RegExp(`\\$${name}(?!\\w)`, 'g'), () => by);
  const whole = replace('PLATFORM', cpu, replace('ORIGIN', origin, text));
  const libraries = [`lib/${cpu}-linux-gnu`, 'lib64', 'lib'];
  return [...new Set(libraries.map((library) => tidy(replace('LIB', library, whole))))];
}

/**
 * The path without needless slashes and ".". A ".." stays: after a symlink it leads elsewhere than it seems, and the
 * loader goes through the directory before it.
 */
export function tidy(file: string): string {
  const parts = file.split('/').filter((part) => part !== '' && part !== '.');
  return (file.startsWith('/') ? '/' : '') + parts.join('/');
}
