// The presets: families of syscalls, and what whole parts of a program do. presets/ says which syscalls each one
// allows.
import { PolicyError } from './errors.js';
import { families, programs } from './presets/index.js';
import { node } from './presets/node.js';
import { shown } from './quoting.js';
import { RuleBuilder } from './rule-builder.js';

/** Required where memory may become executable, because a program can then run code that it has written. */
export type MapExecToken = 'allowMapExec';

function checkMapExec(method: string, token: MapExecToken): void {
  if (token !== 'allowMapExec') throw new PolicyError(method, 'the token "allowMapExec" is needed');
}

export class PresetBuilder extends RuleBuilder {
  // --- files -------------------------------------------------------------------------------------------------

  /** read, readv, pread64, preadv, preadv2 */
  allowRead = () => this.preset('allowRead', families.read);
  /** write, writev, pwrite64, pwritev, pwritev2 */
  allowWrite = () => this.preset('allowWrite', families.write);
  /** open, openat, openat2, creat: for files that the policy mounts */
  allowOpen = () => this.preset('allowOpen', families.open);
  /** stat, lstat, fstat, newfstatat, statx, statfs, fstatfs */
  allowStat = () => this.preset('allowStat', families.stat);
  /** access, faccessat, faccessat2 */
  allowAccess = () => this.preset('allowAccess', families.access);
  /** dup, dup2, dup3 */
  allowDup = () => this.preset('allowDup', families.dup);
  /** pipe, pipe2 */
  allowPipe = () => this.preset('allowPipe', families.pipe);
  /** chmod, fchmod, fchmodat, fchmodat2 */
  allowChmod = () => this.preset('allowChmod', families.chmod);
  /** chown, lchown, fchown, fchownat */
  allowChown = () => this.preset('allowChown', families.chown);
  /** getdents, getdents64 */
  allowReaddir = () => this.preset('allowReaddir', families.readdir);
  /** readlink, readlinkat */
  allowReadlink = () => this.preset('allowReadlink', families.readlink);
  /** link, linkat */
  allowLink = () => this.preset('allowLink', families.link);
  /** symlink, symlinkat */
  allowSymlink = () => this.preset('allowSymlink', families.symlink);
  /** mkdir, mkdirat */
  allowMkdir = () => this.preset('allowMkdir', families.mkdir);
  /** rmdir, unlink, unlinkat */
  allowUnlink = () => this.preset('allowUnlink', families.unlink);
  /** rename, renameat, renameat2 */
  allowRename = () => this.preset('allowRename', families.rename);
  /** utime, utimes, futimesat, utimensat */
  allowUtime = () => this.preset('allowUtime', families.utime);
  /** fcntl where it only reads state, duplicates, or sets flags and locks */
  allowSafeFcntl = () => this.preset('allowSafeFcntl', families.safeFcntl);
  /** isatty(): ioctl(TCGETS), and TIOCGWINSZ, which musl uses for it */
  allowTCGETS = () => this.preset('allowTCGETS', families.tcgets);

  // --- waiting for events ------------------------------------------------------------------------------------

  /** epoll_wait, epoll_pwait, epoll_pwait2 */
  allowEpollWait = () => this.preset('allowEpollWait', families.epollWait);
  /** allowEpollWait, and epoll_create, epoll_create1, epoll_ctl */
  allowEpoll = () => this.preset('allowEpoll', families.epoll);
  /** inotify_*, close */
  allowInotify = () => this.preset('allowInotify', families.inotify);
  /** select, pselect6 */
  allowSelect = () => this.preset('allowSelect', families.select);
  /** poll, ppoll */
  allowPoll = () => this.preset('allowPoll', families.poll);
  /** eventfd, eventfd2 */
  allowEventFd = () => this.preset('allowEventFd', families.eventFd);

  // --- time --------------------------------------------------------------------------------------------------

  /** time, gettimeofday, clock_gettime */
  allowTime = () => this.preset('allowTime', families.time);
  /** clock_nanosleep, nanosleep */
  allowSleep = () => this.preset('allowSleep', families.sleep);
  /** alarm, setitimer */
  allowAlarm = () => this.preset('allowAlarm', families.alarm);
  /** timer_create, timer_delete, timer_settime, timer_gettime, timer_getoverrun */
  allowPosixTimers = () => this.preset('allowPosixTimers', families.posixTimers);

  // --- processes ---------------------------------------------------------------------------------------------

  /** exit, exit_group */
  allowExit = () => this.preset('allowExit', families.exit);
  /**
   * fork, vfork, clone without new namespaces: processes. pthread_create() needs more, depending on the C library: a
   * mapping for the stack (PROT_NONE with MAP_STACK), membarrier, futex to wait.
   */
  allowFork = () => this.preset('allowFork', families.fork);
  /** wait4, waitid */
  allowWait = () => this.preset('allowWait', families.wait);
  /** rt_sigaction, rt_sigreturn, rt_sigprocmask, sigaltstack, restart_syscall */
  allowHandleSignals = () => this.preset('allowHandleSignals', families.handleSignals);
  /** kill, tgkill, tkill: only processes in the sandbox can be reached */
  allowKill = () => this.preset('allowKill', families.kill);
  /** get{,e,res}{u,g}id, getgroups */
  allowGetIDs = () => this.preset('allowGetIDs', families.getIds);
  /** getpid, getppid, gettid */
  allowGetPIDs = () => this.preset('allowGetPIDs', families.getPids);
  /** getpgid, getpgrp */
  allowGetPGIDs = () => this.preset('allowGetPGIDs', families.getPgids);
  /** getrlimit, and prlimit64 where it changes nothing */
  allowGetRlimit = () => this.preset('allowGetRlimit', families.getRlimit);
  /** setrlimit, and prlimit64 of the calling process: limits can only become narrower, and that of core files stays */
  allowSetRlimit = () => this.preset('allowSetRlimit', families.setRlimit);
  /** prctl(PR_SET_NAME) */
  allowPrctlSetName = () => this.preset('allowPrctlSetName', families.prctlSetName);
  /** prctl(PR_SET_VMA): names for anonymous mappings */
  allowPrctlSetVma = () => this.preset('allowPrctlSetVma', families.prctlSetVma);
  /** futex with this operation (FUTEX_WAIT is 0, FUTEX_WAKE 1 …), private or not */
  allowFutexOp = (operation: number) => {
    if (!Number.isInteger(operation) || operation < 0 || operation > 0x1ff)
      throw new PolicyError('allowFutexOp', `${shown(operation)} is not a futex operation`);
    return this.preset('allowFutexOp', families.futexOp(operation));
  };

  // --- memory ------------------------------------------------------------------------------------------------

  /** getrandom with flags 0 or GRND_NONBLOCK */
  allowGetRandom = () => this.preset('allowGetRandom', families.getRandom);
  /** madvise(MADV_WIPEONFORK) */
  allowWipeOnFork = () => this.preset('allowWipeOnFork', families.wipeOnFork);
  /** mlock, munlock, mlock2 */
  allowMlock = () => this.preset('allowMlock', families.mlock);
  /** All of mmap, executable memory too. */
  allowMmap = (token: MapExecToken) => {
    checkMapExec('allowMmap', token);
    return this.preset('allowMmap', families.mmap);
  };
  /** mmap without PROT_EXEC */
  allowMmapWithoutExec = () => this.preset('allowMmapWithoutExec', families.mmapWithoutExec);
  /** All of mprotect, executable memory too. */
  allowMprotect = (token: MapExecToken) => {
    checkMapExec('allowMprotect', token);
    return this.preset('allowMprotect', families.mprotect);
  };
  /** mprotect without PROT_EXEC */
  allowMprotectWithoutExec = () => this.preset('allowMprotectWithoutExec', families.mprotectWithoutExec);
  /** All of pkey_mprotect, executable memory too. */
  allowPkeyMprotect = (token: MapExecToken) => {
    checkMapExec('allowPkeyMprotect', token);
    return this.preset('allowPkeyMprotect', families.pkeyMprotect);
  };
  /** pkey_mprotect without PROT_EXEC */
  allowPkeyMprotectWithoutExec = () =>
    this.preset('allowPkeyMprotectWithoutExec', families.pkeyMprotectWithoutExec);
  /** bpf() where it only reads maps and looks objects up; needs no token */
  allowSafeBpf = () => this.preset('allowSafeBpf', families.safeBpf);

  // --- parts of programs -------------------------------------------------------------------------------------

  /** What malloc() of the C library does. */
  allowSystemMalloc = () => this.preset('allowSystemMalloc', programs.systemMalloc);
  /** What the Scudo allocator does. */
  allowScudoMalloc = () => this.preset('allowScudoMalloc', programs.scudoMalloc);
  /** What a static program does before main(). */
  allowStaticStartup = () => this.preset('allowStaticStartup', programs.staticStartup);
  /**
   * What the dynamic loader and the C library do before main(). Libraries are mapped executable from their files; the
   * token shows that the author knows this, and has no other effect.
   */
  allowDynamicStartup = (token: MapExecToken = 'allowMapExec') => {
    checkMapExec('allowDynamicStartup', token);
    return this.preset('allowDynamicStartup', programs.dynamicStartup);
  };
  /** mmap of shared memory without PROT_EXEC, munmap, close, allowStat, and fcntl to read the seals of a Buffer */
  allowSharedMemory = () => this.preset('allowSharedMemory', programs.sharedMemory);
  /** allowSharedMemory, and futex to wait and wake */
  allowSharedMemoryComms = () => this.preset('allowSharedMemoryComms', programs.sharedMemoryComms);
  /** What libsandwire's comms do, on their own fd (1023) only. */
  allowComms = () => this.preset('allowComms', programs.comms);
  /** What a program needs to write its log to a descriptor and abort. */
  allowLogForwarding = () => this.preset('allowLogForwarding', programs.logForwarding);
  /**
   * What the runtimes of the compilers' sanitizers do. Needs addDirectory('/proc'). LeakSanitizer traces its own
   * process, which no sandboxee may: turn it off by ASAN_OPTIONS=detect_leaks=0. Reads files: see the mounts.
   */
  allowLlvmSanitizers = () => this.preset('allowLlvmSanitizers', programs.sanitizers);
  /**
   * What Node.js does, with whatever script: files as far as the mounts go, threads, timers, machine code made at run
   * time. No sockets of its own and no other processes. See addNodeRuntime() for the files.
   */
  allowNode = () => this.preset('allowNode', node);
}
