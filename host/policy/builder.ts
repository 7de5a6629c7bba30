// The policy language, with the names of the guide: syscalls are in rule-builder.ts, presets in preset-builder.ts, and
// here are the file system and everything else about the sandbox.
import { realpathSync } from 'node:fs';
import { findLibraries, LibraryError } from './elf/libraries.js';
import { PolicyError } from './errors.js';
import { anchoredPath, checkSource, realSource, sourceExists } from './mount-paths.js';
import { type BoundMount, MountTree } from './mount-tree.js';
import { sandboxeeFiles } from './node-runtime.js';
import { Policy } from './policy.js';
import { PresetBuilder } from './preset-builder.js';
import { programs } from './presets/index.js';
import { checkHostname, defaultStackTraces, type Networking, type StackTraces } from './sandbox-settings.js';
import type { DangerousToken } from './tokens.js';

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/**
 * Says what a sandboxee may do: which syscalls, with which arguments, and what it sees of the file system. A call that
 * is not allowed is a violation, which ends the sandbox before the syscall has any effect.
 *
 * For each syscall the rules are tried in the order of the calls that made them, and the first rule that decides counts
 * (docs/policy.md). Two contradicting rules for all calls of a syscall are an error, unless the later call has {
 * override: true }.
 */
export class PolicyBuilder extends PresetBuilder {
  readonly #mounts = new MountTree();
  #hostname = 'sandwire';
  #networking: Networking = 'private';
  #rootWritable = false;
  #landlock = false;
  readonly #stackTraces: Mutable<StackTraces> = { ...defaultStackTraces };

  // --- presets that also mount -------------------------------------------------------------------------------

  /**
   * What restartable sequences of user-space schedulers and allocators need. Shows /proc and /sys/devices/system/cpu,
   * and reads files: see the mounts.
   */
  allowRestartableSequences = (fences: 'requireFastFences' | 'allowSlowFences' = 'requireFastFences') => {
    const method = 'allowRestartableSequences';
    if (fences === 'allowSlowFences') this.preset(method, programs.slowFences);
    else if (fences !== 'requireFastFences') {
      throw new PolicyError(method, '"requireFastFences" or "allowSlowFences" is needed');
    }
    return this.#cpuList(method).preset(method, programs.restartableSequences);
  };

  /** What tcmalloc does, allowRestartableSequences() included. */
  allowTcMalloc = () => this.#cpuList('allowTcMalloc').preset('allowTcMalloc', programs.tcMalloc);

  /** What coverage instrumentation does, if the variable COVERAGE is set. Shows COVERAGE_DIR, writable. */
  allowLlvmCoverage = () => {
    if (!process.env['COVERAGE']) return this;
    const directory = process.env['COVERAGE_DIR'];
    if (directory) this.addDirectory(directory, false);
    return this.preset('allowLlvmCoverage', programs.coverage);
  };

  // --- the file system ---------------------------------------------------------------------------------------

  /**
   * The absolute path of something named relative to a directory (default: the working directory), as the methods below
   * need it. An absolute path stays as it is. Throws PolicyError if either path is not canonical, for example because
   * of a "..".
   */
  static anchorPathAbsolute(relative: string, base: string = process.cwd()): string {
    return anchoredPath('anchorPathAbsolute', relative, base);
  }

  /** Shows a file of the host at the same path, read-only unless isReadOnly is false. */
  addFile(path: string, isReadOnly = true): this {
    return this.#mount('addFile', 'file', path, path, isReadOnly);
  }

  addFileAt(outside: string, inside: string, isReadOnly = true): this {
    return this.#mount('addFileAt', 'file', outside, inside, isReadOnly);
  }

  addFileIfExists(path: string, isReadOnly = true): this {
    return sourceExists(path, 'file') ? this.#mount('addFileIfExists', 'file', path, path, isReadOnly) : this;
  }

  /** Shows a directory of the host with all below it. "/proc" and "/sys" are the sandbox's own. */
  addDirectory(path: string, isReadOnly = true): this {
    return this.#mount('addDirectory', 'directory', path, path, isReadOnly);
  }

  addDirectoryAt(outside: string, inside: string, isReadOnly = true): this {
    return this.#mount('addDirectoryAt', 'directory', outside, inside, isReadOnly);
  }

  addDirectoryIfExists(path: string, isReadOnly = true): this {
    return sourceExists(path, 'directory')
      ? this.#mount('addDirectoryIfExists', 'directory', path, path, isReadOnly)
      : this;
  }

  /** Shows an empty writable file system in memory, of at most sizeBytes. */
  addTmpfs(inside: string, sizeBytes: number): this {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) {
      throw new PolicyError('addTmpfs', `a size in bytes is needed, not ${sizeBytes}`);
    }
    this.#mounts.add('addTmpfs', { kind: 'tmpfs', inside, sizeBytes, executable: false });
    return this;
  }

  /**
   * Shows the dynamic loader of a program (glibc's or musl's) and the libraries it needs, found as the loader finds
   * them. For a static program it shows nothing. Files that a program opens later by itself (dlopen(3), plug-ins, name
   * services) are not included. ldLibraryPath: directories to search first, separated by ":".
   */
  addLibrariesForBinary(path: string, ldLibraryPath = ''): this {
    const method = 'addLibrariesForBinary';
    checkSource(method, path, 'file', true);
    try {
      const { libraries, configuration } = findLibraries(path, ldLibraryPath);
      for (const library of libraries) {
        checkSource(method, realpathSync.native(library.path), 'file', true);
        const { path } = library;
        this.#mounts.addAsOnHost(method, {
          kind: 'file',
          inside: path,
          outside: path,
          writable: false,
          executable: true,
        });
      }
      // The file from which the loader learns of directories that are not default ones.
      if (configuration !== undefined) this.addFileIfExists(configuration);
    } catch (error) {
      if (error instanceof LibraryError) throw new PolicyError(method, error.message);
      throw error;
    }
    return this;
  }

  /**
   * Shows what a Node sandboxee needs to start, read-only and nothing more: Node with its libraries, and the part of
   * this package that "sandwire/sandboxee" consists of. You have to show the script itself. Used together with
   * allowNode().
   *
   * @param nodePath the Node to be run; its realpath is shown
   */
  addNodeRuntime(nodePath: string = process.execPath): this {
    const method = 'addNodeRuntime';
    checkSource(method, nodePath, 'file', true);
    const node = realpathSync(nodePath);
    this.addLibrariesForBinary(node).#mount(method, 'file', node, node, true);
    try {
      const { files, directories } = sandboxeeFiles();
      for (const file of files) this.#mount(method, 'file', file, file, true);
      for (const { outside, inside } of directories) this.#mount(method, 'directory', outside, inside, true);
    } catch (error) {
      throw error instanceof PolicyError ? error : new PolicyError(method, String(error));
    }
    return this;
  }

  /** Lets the sandboxee write into its root directory, a small file system in memory. */
  setRootWritable(): this {
    this.#rootWritable = true;
    return this;
  }

  // --- the rest of the sandbox -------------------------------------------------------------------------------

  /** Default: "sandwire". */
  setHostname(hostname: string): this {
    checkHostname('setHostname', hostname);
    this.#hostname = hostname;
    return this;
  }

  override allow(...tokens: DangerousToken[]): this {
    const isNetworking = tokens.includes('allowUnrestrictedNetworking');
    if (isNetworking) this.#checkNetwork('allow', 'unrestricted');
    super.allow(...tokens);
    return isNetworking ? this.#network('allow', 'unrestricted') : this;
  }

  /** The same as allow("allowUnrestrictedNetworking"). */
  allowUnrestrictedNetworking(): this {
    return this.allow('allowUnrestrictedNetworking');
  }

  /**
   * Puts the sandboxee into one network together with all sandboxees of this host program whose policy says so. It is a
   * loopback device that is not the host's. They reach each other's sockets, abstract ones too, and cost less to start
   * than with a network each. Excludes a /sys. The name is sandbox2's; here it works with and without a fork server.
   */
  useForkServerSharedNetNs(): this {
    return this.#network('useForkServerSharedNetNs', 'forkServerShared');
  }

  /** Uses Landlock alone to hide the host's files, where no mount namespace can be made. Needs Linux 6.12. */
  enableLandlock(): this {
    this.#landlock = true;
    return this;
  }

  /** Default: true. */
  collectStacktracesOnViolation(enabled: boolean): this {
    return this.#collect('collectStacktracesOnViolation', 'onViolation', enabled);
  }

  /** When a signal ends the sandboxee. Default: true. */
  collectStacktracesOnSignal(enabled: boolean): this {
    return this.#collect('collectStacktracesOnSignal', 'onSignal', enabled);
  }

  /** When the walltime is over. Default: true. */
  collectStacktracesOnTimeout(enabled: boolean): this {
    return this.#collect('collectStacktracesOnTimeout', 'onTimeout', enabled);
  }

  /** When the host kills it. Default: false. */
  collectStacktracesOnKill(enabled: boolean): this {
    return this.#collect('collectStacktracesOnKill', 'onKill', enabled);
  }

  /** When it exits by itself. Default: false. */
  collectStacktracesOnExit(enabled: boolean): this {
    return this.#collect('collectStacktracesOnExit', 'onExit', enabled);
  }

  /** Default: false. */
  collectAllThreadsStacktrace(enabled: boolean): this {
    return this.#collect('collectAllThreadsStacktrace', 'allThreads', enabled);
  }

  // --- building ----------------------------------------------------------------------------------------------

  /** The policy as it is now; the builder can go on and build others. Throws PolicyError. */
  build(): Policy {
    return new Policy({
      filter: this.filter(this.#landlock),
      // Under Landlock alone the host's own symlinks are visible.
      mounts: this.#mounts
        .list(this.tokens.has('allowWriteExecutable'))
        .filter(({ kind }) => (kind !== 'symlink' && kind !== 'emptyDirectory') || !this.#landlock),
      hostname: this.#hostname,
      networking: this.#networking,
      rootWritable: this.#rootWritable,
      stackTraces: { ...this.#stackTraces },
    });
  }

  // --- inside ------------------------------------------------------------------------------------------------

  #cpuList(method: string): this {
    this.#mount(method, 'directory', '/proc', '/proc', true);
    const cpus = '/sys/devices/system/cpu';
    return sourceExists(cpus, 'directory') ? this.#mount(method, 'directory', cpus, cpus, true) : this;
  }

  #checkNetwork(method: string, networking: Networking): void {
    if (this.#networking !== 'private' && this.#networking !== networking) {
      throw new PolicyError(method, 'unrestricted networking and a shared network exclude each other');
    }
  }

  #network(method: string, networking: Networking): this {
    this.#checkNetwork(method, networking);
    this.#networking = networking;
    return this;
  }

  #collect(method: string, when: keyof StackTraces, enabled: boolean): this {
    if (typeof enabled !== 'boolean') throw new PolicyError(method, 'true or false is needed');
    this.#stackTraces[when] = enabled;
    return this;
  }

  #mount(
    method: string,
    kind: 'file' | 'directory',
    outside: string,
    inside: string,
    isReadOnly: boolean,
  ): this {
    if (typeof isReadOnly !== 'boolean') {
      throw new PolicyError(method, `isReadOnly is true or false, not ${String(isReadOnly)}`);
    }
    if (inside === '/') throw new PolicyError(method, 'nothing can be mounted over the root itself');
    const source = checkSource(method, outside, kind, isReadOnly);
    if (source !== 'plain') {
      this.#mounts.add(method, { kind: source, inside });
      return this;
    }
    const entry: BoundMount = {
      kind,
      inside,
      outside,
      writable: !isReadOnly,
      executable: isReadOnly,
    };
    if (inside === outside) this.#mounts.addAsOnHost(method, entry);
    else this.#mounts.add(method, { ...entry, outside: realSource(outside) });
    return this;
  }
}
