// Finds the libraries of a program as the dynamic loader would: ld.so(8), and ldso/dynlink.c of musl. The program may
// be hostile, and every file that is found is shown to it, so only libraries are accepted.
import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import {
  expandTokens,
  isPartOfMusl,
  type LoaderKind,
  loaderFiles,
  loaderKind,
  type Machine,
  machines,
  tidy,
} from './loaders.js';
import { type DynamicInfo, OtherMachineError, parseElf } from './parser.js';
import { withFile } from './source.js';

/** A library, or the loader, and what needs it. */
export interface FoundLibrary {
  /** An absolute path, not always canonical: "/app/bin/../lib/libx.so". */
  readonly path: string;
  readonly neededBy: string;
}

export interface FoundLibraries {
  /** Each by the path that the loader will open. Empty for a static program. */
  readonly libraries: readonly FoundLibrary[];
  /** The file from which the loader learns where they are, if it exists. */
  readonly configuration: string | undefined;
}

export class LibraryError extends Error {}

const maxLibraries = 1000;
/** Lookups in one search. A program that needs more was made to keep the host busy. */
const maxLookups = 100_000;
const maxDirectories = 500;

function read(file: string, neededBy: string, machine?: number): DynamicInfo {
  try {
    return withFile(file, (source) => parseElf(source, machine));
  } catch (error) {
    if (error instanceof OtherMachineError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new LibraryError(`cannot read ${file} (needed by ${neededBy}): ${why}`);
  }
}

/** The same, for a file that the loader does not skip. */
function readMatching(file: string, neededBy: string, machine?: number): DynamicInfo {
  try {
    return read(file, neededBy, machine);
  } catch (error) {
    if (!(error instanceof OtherMachineError)) throw error;
    throw new LibraryError(`cannot use ${file} (needed by ${neededBy}): ${error.message}`);
  }
}

/** A program or library, and the object that needed it. */
interface Loaded {
  readonly file: string;
  readonly info: DynamicInfo;
  readonly by: Loaded | undefined;
}

class Search {
  readonly #kind: LoaderKind;
  readonly #machine: Machine;
  readonly #given: readonly string[];
  readonly #usual: readonly string[];
  #lookups = 0;

  constructor(kind: LoaderKind, machine: Machine, given: readonly string[], usual: readonly string[]) {
    this.#kind = kind;
    this.#machine = machine;
    this.#given = given;
    this.#usual = usual;
  }

  #own(loaded: Loaded, directories: readonly string[]): readonly string[] {
    const origin = path.dirname(loaded.file);
    return directories.flatMap((directory) => expandTokens(directory, origin, this.#machine));
  }

  /** DT_RPATH of an object and of those that needed it. It is ignored if there is a DT_RUNPATH. */
  #rpaths(loaded: Loaded): readonly string[] {
    const found: string[] = [];
    for (let at: Loaded | undefined = loaded; at !== undefined; at = at.by) {
      if (at.info.runpath.length === 0) found.push(...this.#own(at, at.info.rpath));
      if (found.length > maxDirectories) break;
    }
    return found;
  }

  /** musl treats both alike, and uses those of all objects that needed this one. */
  #muslPaths(loaded: Loaded): readonly string[] {
    const found: string[] = [];
    for (let at: Loaded | undefined = loaded; at !== undefined; at = at.by) {
      found.push(...this.#own(at, at.info.runpath.length > 0 ? at.info.runpath : at.info.rpath));
      if (found.length > maxDirectories) break;
    }
    return found;
  }

  #directories(by: Loaded): readonly string[] {
    const directories =
      this.#kind === 'musl'
        ? [...this.#given, ...this.#muslPaths(by), ...this.#usual]
        : [
            ...(by.info.runpath.length > 0 ? [] : this.#rpaths(by)),
            ...this.#given,
            ...this.#own(by, by.info.runpath),
            ...this.#usual,
          ];
    if (directories.length > maxDirectories)
      throw new LibraryError(`${by.file} has a search path of more than ${maxDirectories} directories`);
    return directories;
  }

  #exists(file: string, by: Loaded): boolean {
    if (++this.#lookups > maxLookups)
      throw new LibraryError(`looking for the libraries of ${by.file}: more than ${maxLookups} places`);
    // Files in /proc are different for each process.
    return path.isAbsolute(file) && !/^\/proc(\/|$)/.test(file) && existsSync(file);
  }

  /** The library, or undefined if the file is for another machine, which the loader skips. */
  #load(file: string, by: Loaded): Loaded | undefined {
    try {
      const info = read(file, by.file, by.info.machine);
      if (info.isProgram)
        throw new LibraryError(`${file} (needed by ${by.file}) is a program, not a library`);
      return { file, info, by };
    } catch (error) {
      if (error instanceof OtherMachineError) return undefined;
      throw error;
    }
  }

  #find(file: string, by: Loaded): Loaded | undefined {
    return this.#exists(file, by) ? this.#load(file, by) : undefined;
  }

  /**
   * All files that the loader may use for a name: the one it uses on any machine, and before it those that it prefers
   * on more capable CPUs. Throws LibraryError if there is none.
   */
  locate(name: string, by: Loaded): readonly Loaded[] {
    if (name.includes('/')) {
      const candidates = expandTokens(name, path.dirname(by.file), this.#machine);
      const found = candidates.find((file) => this.#exists(file, by));
      const loaded = found === undefined ? undefined : this.#load(found, by);
      if (loaded === undefined) throw new LibraryError(`${name}, needed by ${by.file}, does not exist`);
      return [loaded];
    }
    const preferred: Loaded[] = [];
    const directories = this.#directories(by);
    const capabilities = this.#kind === 'glibc' ? this.#machine.capabilities : [];
    for (const directory of directories) {
      const special = `${directory}/glibc-hwcaps`;
      const below = capabilities.length > 0 && this.#exists(special, by) ? capabilities : [];
      for (const level of below) {
        const loaded = this.#find(`${special}/${level}/${name}`, by);
        if (loaded !== undefined) preferred.push(loaded);
      }
      const loaded = this.#find(`${directory}/${name}`, by);
      if (loaded !== undefined) return [...preferred, loaded];
    }
    if (preferred.length > 0) return preferred;
    throw new LibraryError(`${name}, needed by ${by.file}, is in none of ${directories.join(', ')}`);
  }
}

/**
 * ldLibraryPath: directories to search first, separated by ":" or ";". Throws LibraryError naming what is missing and
 * what needs it.
 */
export function findLibraries(program: string, ldLibraryPath = ''): FoundLibraries {
  const info = readMatching(program, 'the policy');
  // The kernel gives the loader the program's real path, whatever link led to it.
  const file = realpathSync.native(program);
  const { interpreter } = info;
  if (interpreter === undefined) return { libraries: [], configuration: undefined };
  const machine = machines.get(info.machine);
  if (machine === undefined) throw new LibraryError(`${program} is for another machine (${info.machine})`);
  const kind = loaderKind(interpreter);
  if (kind === undefined) {
    throw new LibraryError(
      `${program} needs ${JSON.stringify(interpreter)}, which is not a known dynamic loader`,
    );
  }
  if (!path.isAbsolute(interpreter) || !existsSync(interpreter)) {
    throw new LibraryError(
      `${program} needs the dynamic loader ${interpreter}, which does not exist on this machine`,
    );
  }
  readMatching(interpreter, program, info.machine);
  const { directories, configuration } = loaderFiles(kind, interpreter, machine);
  const given = ldLibraryPath
    .split(/[:;]/)
    .filter((directory) => directory !== '')
    .map(tidy);
  const search = new Search(kind, machine, given, directories);
  const names = new Set([path.basename(interpreter)]);
  const found = new Map<string, FoundLibrary>([[interpreter, { path: interpreter, neededBy: program }]]);
  const queue: Loaded[] = [{ file, info, by: undefined }];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    for (const name of next.info.needed) {
      if (names.has(name) || (kind === 'musl' && isPartOfMusl(name))) continue;
      names.add(name);
      if (names.size > maxLibraries)
        throw new LibraryError(`${program} needs more than ${maxLibraries} libraries`);
      for (const loaded of search.locate(name, next)) {
        found.set(loaded.file, { path: loaded.file, neededBy: next.file });
        queue.push(loaded);
      }
    }
  }
  return {
    libraries: [...found.values()],
    configuration: existsSync(configuration) ? configuration : undefined,
  };
}
