// The policy language in the guide's words.
import { assemble } from './bpf/assembler.js';
import { type Block, compile } from './bpf/compiler.js';
import type { Instruction } from './bpf/instructions.js';
import { ALLOW, type Bpf, ERRNO, errnoNumber, KILL } from './bpf/macros.js';
import { findLibraries, LibraryError } from './elf/libraries.js';
import { PolicyError } from './errors.js';
import { checkSource, MountTree, sourceExists } from './mount-tree.js';
import { Policy } from './policy.js';
import { answeredWithEnosys, dangerous, magicSyscall, neverAllowed, preamble } from './preamble.js';
import * as presets from './presets.js';
import { type Rule, Rules } from './rules.js';
import { auditArch, foreignFrom, isSyscallName, nativeArch, syscallName, syscallNumber } from './syscalls.js';

/** By name, or by the number of this machine. */
export type Syscall = string | number;

/** What weakens a sandbox is only done when it is named; a review can search for these words. */
export type DangerousToken =
  | 'allowAllSyscalls'
  | 'allowUnrestrictedNetworking'
  | 'allowSpeculation'
  | 'allowWriteExecutable';

const hostnameForm = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$/;

/**
 * Says what a sandboxee may do: which syscalls, with which arguments, and what of the file system it sees. What is not
 * allowed is a violation, which ends the sandbox before the syscall has any effect.
 *
 * For each syscall the rules are tried in the order of the calls that made them, and the first that decides counts.
 * Saying two opposite things of all calls of one syscall is an error.
 */
export class PolicyBuilder {
  readonly #rules: Rules;
  readonly #mounts: MountTree;
  #hostname = 'sandwire';
  #defaultAllow = false;
  #networking: 'private' | 'unrestricted' = 'private';
  #allowSpeculation = false;
  #writeExecutable = false;
  #rootWritable = false;

  constructor() {
    this.#rules = new Rules();
    this.#mounts = new MountTree();
  }

  // --- syscalls ----------------------------------------------------------------------------------------------

  /** Allows all calls of a syscall. */
  allowSyscall(syscall: Syscall): this {
    return this.#unconditional('allowSyscall', [syscall], ALLOW, 'allow');
  }

  allowSyscalls(syscalls: readonly Syscall[]): this {
    return this.#unconditional('allowSyscalls', syscalls, ALLOW, 'allow');
  }

  /** The syscall does nothing and fails with the errno, given by name ("ENOENT") or number. */
  blockSyscallWithErrno(syscall: Syscall, errno: number | string): this {
    return this.#block('blockSyscallWithErrno', [syscall], errno);
  }

  blockSyscallsWithErrno(syscalls: readonly Syscall[], errno: number | string): this {
    return this.#block('blockSyscallsWithErrno', syscalls, errno);
  }

  /** A piece of BPF that decides or falls through to later rules: [ARG(0), JEQ(1, ALLOW), KILL] for example. */
  addPolicyOnSyscall(syscall: Syscall, program: Bpf): this {
    return this.#conditional('addPolicyOnSyscall', [syscall], program);
  }

  addPolicyOnSyscalls(syscalls: readonly Syscall[], program: Bpf): this {
    return this.#conditional('addPolicyOnSyscalls', syscalls, program);
  }

  addPolicyOnMmap(program: Bpf): this {
    return this.#conditional('addPolicyOnMmap', ['mmap'], program);
  }

  /** What no rule decides is allowed, but for what is never given by accident (docs/security.md). */
  defaultAction(token: 'allowAllSyscalls'): this {
    if (token !== 'allowAllSyscalls')
      throw new PolicyError('defaultAction', 'the token "allowAllSyscalls" is needed');
    this.#defaultAllow = true;
    return this;
  }

  /** Weakens the sandbox in a way that has a name. */
  allow(token: Exclude<DangerousToken, 'allowAllSyscalls'>): this {
    switch (token) {
      case 'allowUnrestrictedNetworking':
        this.#networking = 'unrestricted';
        return this;
      case 'allowSpeculation':
        this.#allowSpeculation = true;
        return this;
      case 'allowWriteExecutable':
        this.#writeExecutable = true;
        return this;
      default:
        throw new PolicyError('allow', `there is no token ${JSON.stringify(token)}`);
    }
  }

  // --- presets -----------------------------------------------------------------------------------------------

  /** exit, exit_group */
  allowExit = () => this.#preset('allowExit', presets.exit);
  /** read, readv, pread64, preadv, preadv2 */
  allowRead = () => this.#preset('allowRead', presets.read);
  /** write, writev, pwrite64, pwritev, pwritev2 */
  allowWrite = () => this.#preset('allowWrite', presets.write);
  /** open, openat, openat2, creat: of what the policy mounts */
  allowOpen = () => this.#preset('allowOpen', presets.open);
  /** stat, fstat, statx and the like */
  allowStat = () => this.#preset('allowStat', presets.stat);
  /** access, faccessat, faccessat2 */
  allowAccess = () => this.#preset('allowAccess', presets.access);
  /** getdents, getdents64 */
  allowReaddir = () => this.#preset('allowReaddir', presets.readdir);
  /** readlink, readlinkat */
  allowReadlink = () => this.#preset('allowReadlink', presets.readlink);
  /** time, gettimeofday, clock_gettime */
  allowTime = () => this.#preset('allowTime', presets.time);
  /** getpid, getppid, gettid */
  allowGetPIDs = () => this.#preset('allowGetPIDs', presets.getPids);
  /** get{,e,res}{u,g}id, getgroups */
  allowGetIDs = () => this.#preset('allowGetIDs', presets.getIds);
  /** getrlimit, and prlimit64 where it changes nothing */
  allowGetRlimit = () => this.#preset('allowGetRlimit', presets.getRlimit);
  /** getrandom with flags 0 or GRND_NONBLOCK */
  allowGetRandom = () => this.#preset('allowGetRandom', presets.getRandom);
  /** dup, dup2, dup3 */
  allowDup = () => this.#preset('allowDup', presets.dup);
  /** fcntl where it only looks, duplicates or sets flags and locks */
  allowSafeFcntl = () => this.#preset('allowSafeFcntl', presets.safeFcntl);
  /** rt_sigaction, rt_sigreturn, rt_sigprocmask, sigaltstack, restart_syscall */
  allowHandleSignals = () => this.#preset('allowHandleSignals', presets.handleSignals);
  /** ioctl(TCGETS): isatty() */
  allowTCGETS = () => this.#preset('allowTCGETS', presets.tcgets);
  /** fork, vfork, clone without new namespaces: processes and threads */
  allowFork = () => this.#preset('allowFork', presets.fork);
  /** wait4, waitid */
  allowWait = () => this.#preset('allowWait', presets.wait);
  /** poll, ppoll */
  allowPoll = () => this.#preset('allowPoll', presets.poll);
  /** What malloc() of the C library does. */
  allowSystemMalloc = () => this.#preset('allowSystemMalloc', presets.systemMalloc);
  /** What a static program does before main(). */
  allowStaticStartup = () => this.#preset('allowStaticStartup', presets.staticStartup);
  /** What the dynamic loader and the C library do before main(). */
  allowDynamicStartup = () => this.#preset('allowDynamicStartup', presets.dynamicStartup);
  /** What libsandwire's comms do, on their own fd (1023) only. */
  allowComms = () => this.#preset('allowComms', presets.comms);

  // --- the file system ---------------------------------------------------------------------------------------

  /** Shows a file of the host at the same place, read-only unless isReadOnly is false. */
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

  /** An empty writable file system in memory, of at most sizeBytes. */
  addTmpfs(inside: string, sizeBytes: number): this {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) {
      throw new PolicyError('addTmpfs', `a size in bytes is needed, not ${sizeBytes}`);
    }
    this.#mounts.add('addTmpfs', { kind: 'tmpfs', inside, sizeBytes });
    return this;
  }

  /** Shows the dynamic loader of a program and the libraries it needs. Nothing for a static program. */
  addLibrariesForBinary(path: string, ldLibraryPath = ''): this {
    const method = 'addLibrariesForBinary';
    checkSource(method, path, 'file');
    try {
      const libraries = findLibraries(path, ldLibraryPath);
      for (const library of libraries) this.#mount(method, 'file', library.path, library.path, true);
      // Where the loader finds what lies in no default directory.
      if (libraries.length > 0) this.addFileIfExists('/etc/ld.so.cache');
    } catch (error) {
      if (error instanceof LibraryError) throw new PolicyError(method, error.message);
      throw error;
    }
    return this;
  }

  /** Lets the sandboxee write into its root directory, a small file system in memory. */
  setRootWritable(): this {
    this.#rootWritable = true;
    return this;
  }

  /** Default: "sandwire". */
  setHostname(hostname: string): this {
    if (!hostnameForm.test(hostname)) {
      throw new PolicyError(
        'setHostname',
        `${JSON.stringify(hostname)} is no host name of 1 to 64 letters, digits, "-" and "."`,
      );
    }
    this.#hostname = hostname;
    return this;
  }

  // --- building ----------------------------------------------------------------------------------------------

  /** The policy as it stands; the builder can go on and build others. Throws PolicyError. */
  build(): Policy {
    const otherwise: Block = this.#defaultAllow ? [ALLOW] : [KILL];
    const rules = this.#rules.copy();
    const add = (name: string, action: Instruction, text: string) => {
      const number = syscallNumber(name);
      if (number === undefined || this.#rules.has(number)) return;
      rules.add(number, name, { method: 'build', program: [action], unconditional: text });
    };
    for (const name of answeredWithEnosys) add(name, ERRNO('ENOSYS'), 'ENOSYS');
    for (const name of dangerous) add(name, KILL, 'violation');
    const blocks = new Map<number, Block>();
    const befores = new Map(
      Object.entries(preamble).flatMap(([name, piece]) => {
        const number = syscallNumber(name);
        return number === undefined ? [] : [[number, piece] as const];
      }),
    );
    for (const number of new Set([...rules.numbers, ...befores.keys()])) {
      blocks.set(number, rules.block(number, befores.get(number), otherwise));
    }
    blocks.set(magicSyscall.number, new Rules().block(magicSyscall.number, magicSyscall.block, [KILL]));
    const instructions = compile({
      auditArch: auditArch[nativeArch],
      foreignFrom: foreignFrom[nativeArch],
      blocks,
      otherwise: new Rules().block(0, undefined, otherwise),
    });
    return new Policy({
      instructions,
      mounts: this.#mounts.list(),
      hostname: this.#hostname,
      networking: this.#networking,
      allowSpeculation: this.#allowSpeculation,
      rootWritable: this.#rootWritable,
      arch: nativeArch,
    });
  }

  // --- inside ------------------------------------------------------------------------------------------------

  /** The number of a syscall; undefined for one that only other architectures have. */
  #numberOf(method: string, syscall: Syscall): number | undefined {
    if (typeof syscall === 'number') {
      if (!Number.isInteger(syscall) || syscall < 0 || syscall >= 0x40000000) {
        throw new PolicyError(method, `${syscall} is no syscall number`);
      }
      return syscall;
    }
    const number = syscallNumber(syscall);
    if (number === undefined && !isSyscallName(syscall)) {
      throw new PolicyError(method, `there is no syscall ${JSON.stringify(syscall)}`);
    }
    return number;
  }

  #add(method: string, syscalls: readonly Syscall[], rule: Rule): this {
    if (!Array.isArray(syscalls) || syscalls.length === 0)
      throw new PolicyError(method, 'the list of syscalls is empty');
    for (const syscall of syscalls) {
      const number = this.#numberOf(method, syscall);
      if (number === undefined) continue;
      const name = syscallName(number) ?? String(number);
      const isErrno = rule.unconditional?.startsWith('errno');
      if (neverAllowed.has(name) && !isErrno) {
        throw new PolicyError(
          method,
          `${name} cannot be allowed; blockSyscallWithErrno(${JSON.stringify(name)}, …) can refuse it`,
        );
      }
      this.#rules.add(number, name, rule);
    }
    return this;
  }

  #unconditional(method: string, syscalls: readonly Syscall[], action: Instruction, text: string): this {
    return this.#add(method, syscalls, { method, program: [action], unconditional: text });
  }

  #block(method: string, syscalls: readonly Syscall[], errno: number | string): this {
    let number: number;
    try {
      number = errnoNumber(errno);
    } catch (error) {
      throw new PolicyError(method, error instanceof Error ? error.message : String(error));
    }
    return this.#unconditional(method, syscalls, ERRNO(number), `errno ${errno}`);
  }

  #conditional(method: string, syscalls: readonly Syscall[], program: Bpf): this {
    try {
      return this.#add(method, syscalls, { method, program: assemble(program), unconditional: undefined });
    } catch (error) {
      if (error instanceof PolicyError || !(error instanceof Error)) throw error;
      throw new PolicyError(method, error.message);
    }
  }

  #preset(method: string, preset: presets.Preset): this {
    for (const name of preset.allow ?? []) {
      const number = this.#numberOf(method, name);
      if (number !== undefined)
        this.#rules.add(number, name, { method, program: [ALLOW], unconditional: 'allow' });
    }
    for (const [name, piece] of preset.conditions ?? []) {
      const number = this.#numberOf(method, name);
      if (number !== undefined) {
        this.#rules.add(number, name, { method, program: assemble(piece), unconditional: undefined });
      }
    }
    for (const [name, errno] of preset.otherwise ?? []) {
      const number = this.#numberOf(method, name);
      const rule: Rule = { method, program: [ERRNO(errno)], unconditional: `errno ${errno}` };
      if (number !== undefined) this.#rules.addOverridable(number, rule);
    }
    for (const other of preset.includes ?? []) this.#preset(method, other);
    return this;
  }

  #mount(
    method: string,
    kind: 'file' | 'directory',
    outside: string,
    inside: string,
    isReadOnly: boolean,
  ): this {
    checkSource(method, outside, kind);
    if (kind === 'directory' && (outside === '/proc' || outside === '/sys')) {
      if (!isReadOnly) throw new PolicyError(method, `${outside} is the sandbox’s own, and always read-only`);
      this.#mounts.add(method, { kind: outside === '/proc' ? 'proc' : 'sysfs', inside });
      return this;
    }
    const executable = isReadOnly || this.#writeExecutable;
    this.#mounts.add(method, { kind, inside, outside, writable: !isReadOnly, executable });
    return this;
  }
}
