// Finds the libraries of a program as the dynamic loader would (ld.so(8)).
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { type DynamicInfo, ElfError, parseElf } from './parser.js';

/** A library, or the loader, and who asked for it. */
export interface FoundLibrary {
  readonly path: string;
  readonly neededBy: string;
}

export class LibraryError extends Error {}

const maxLibraries = 1000;
const maxFileBytes = 500 << 20;

const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
const defaultDirectories = [
  `/lib/${triplet}`,
  `/usr/lib/${triplet}`,
  '/lib64',
  '/usr/lib64',
  '/lib',
  '/usr/lib',
];

function read(file: string, neededBy: string): DynamicInfo {
  try {
    const { size } = statSync(file);
    if (size > maxFileBytes) throw new ElfError(`its ${size} bytes are too many`);
    return parseElf(readFileSync(file));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new LibraryError(`cannot read ${file} (needed by ${neededBy}): ${why}`);
  }
}

/** Directories that /etc/ld.so.conf adds; the loader knows them by way of /etc/ld.so.cache. */
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

/** Files that match a pattern with * in its last part, as ld.so.conf has it. */
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

/**
 * The loader and all libraries of a program, each by the path the loader will open. Empty for a static program.
 * ldLibraryPath: directories to look in first, separated by ":" or ";". Throws LibraryError naming what is missing and
 * who needs it.
 */
export function findLibraries(program: string, ldLibraryPath = ''): readonly FoundLibrary[] {
  const main = read(program, 'the policy');
  if (main.interpreter === undefined) return [];
  if (!existsSync(main.interpreter)) {
    throw new LibraryError(
      `${program} needs the dynamic loader ${main.interpreter}, which is not on this machine`,
    );
  }
  const given = ldLibraryPath.split(/[:;]/).filter((directory) => directory !== '');
  const usual = [...configuredDirectories(), ...defaultDirectories];
  const found = new Map<string, FoundLibrary>([
    [path.basename(main.interpreter), { path: main.interpreter, neededBy: program }],
  ]);
  const queue: { readonly file: string; readonly info: DynamicInfo }[] = [{ file: program, info: main }];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { file, info } = next;
    const origin = path.dirname(file);
    const own = (directories: readonly string[]) =>
      directories.map((directory) => substitute(directory, origin));
    // DT_RPATH counts only where there is no DT_RUNPATH, and that of the program counts for all.
    const rpath = info.runpath.length > 0 ? [] : [...own(info.rpath), ...mainRpath(main, program)];
    const directories = [...rpath, ...given, ...own(info.runpath), ...usual];
    for (const name of info.needed) {
      if (found.has(name)) continue;
      const library = locate(name, directories);
      if (library === undefined)
        throw new LibraryError(`${name}, needed by ${file}, is in none of ${directories.join(', ')}`);
      found.set(name, { path: library, neededBy: file });
      if (found.size > maxLibraries)
        throw new LibraryError(`${program} needs more than ${maxLibraries} libraries`);
      queue.push({ file: library, info: read(library, file) });
    }
  }
  return [...found.values()];
}

function mainRpath(main: DynamicInfo, program: string): string[] {
  if (main.runpath.length > 0) return [];
  return main.rpath.map((directory) => substitute(directory, path.dirname(program)));
}

function substitute(directory: string, origin: string): string {
  return path.normalize(
    directory.replaceAll(/\$(ORIGIN|\{ORIGIN\})/g, origin).replaceAll(/\$(LIB|\{LIB\})/g, `lib/${triplet}`),
  );
}

function locate(name: string, directories: readonly string[]): string | undefined {
  if (name.includes('/')) return path.isAbsolute(name) && existsSync(name) ? path.normalize(name) : undefined;
  for (const directory of directories) {
    const candidate = path.join(directory, name);
    if (path.isAbsolute(candidate) && existsSync(candidate)) return candidate;
  }
  return undefined;
}
