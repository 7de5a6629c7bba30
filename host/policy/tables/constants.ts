// Names of the constants that arguments of the commoner syscalls take, for messages. Numbers are the kernel's
// (include/uapi), which differ between architectures in a few flags of open() alone.
import type { Arch } from '../syscalls.js';

/** Bits by name, or values by name; a set can have both: O_RDONLY, O_WRONLY and O_RDWR share two bits. */
export interface Constants {
  /** Which bits the values are values of. */
  readonly valueMask: bigint;
  readonly values: ReadonlyMap<bigint, string>;
  readonly bits: readonly (readonly [name: string, bit: bigint])[];
  /** What no bit at all is called. */
  readonly zero?: string | undefined;
}

const allBits = (1n << 64n) - 1n;

function entries(text: string): [string, bigint][] {
  return text
    .trim()
    .split(/\s+/)
    .map((entry) => {
      const [name = '', number = ''] = entry.split('=');
      return [name, BigInt(number)];
    });
}

function valuesOf(text: string, valueMask = allBits): Constants {
  const values = new Map(entries(text).map(([name, value]) => [value, name]));
  return { valueMask, values, bits: [] };
}

/** Names of more than one bit first, so that O_SYNC is not told as O_DSYNC and something. */
function bitsOf(text: string, more: { readonly values?: Constants; readonly zero?: string } = {}): Constants {
  const width = (bit: bigint) => bit.toString(2).replaceAll('0', '').length;
  const bits = entries(text).sort((one, other) => width(other[1]) - width(one[1]));
  const { valueMask = 0n, values = new Map<bigint, string>() } = more.values ?? {};
  return { valueMask, values, bits, zero: more.zero };
}

const accessModes = valuesOf('O_RDONLY=0 O_WRONLY=1 O_RDWR=2', 3n);
const openEverywhere =
  'O_CREAT=0x40 O_EXCL=0x80 O_NOCTTY=0x100 O_TRUNC=0x200 O_APPEND=0x400 O_NONBLOCK=0x800 O_DSYNC=0x1000 ' +
  'O_ASYNC=0x2000 O_NOATIME=0x40000 O_CLOEXEC=0x80000 O_SYNC=0x101000 O_PATH=0x200000 ';
const open: Record<Arch, Constants> = {
  'x86-64': bitsOf(
    `${openEverywhere} O_DIRECT=0x4000 O_LARGEFILE=0x8000 O_DIRECTORY=0x10000 O_NOFOLLOW=0x20000 O_TMPFILE=0x410000`,
    { values: accessModes },
  ),
  aarch64: bitsOf(
    `${openEverywhere} O_DIRECTORY=0x4000 O_NOFOLLOW=0x8000 O_DIRECT=0x10000 O_LARGEFILE=0x20000 O_TMPFILE=0x404000`,
    { values: accessModes },
  ),
};

const sets = {
  prot: bitsOf(
    'PROT_READ=1 PROT_WRITE=2 PROT_EXEC=4 PROT_SEM=8 PROT_GROWSDOWN=0x1000000 PROT_GROWSUP=0x2000000',
    { zero: 'PROT_NONE' },
  ),
  map: bitsOf(
    `MAP_FIXED=0x10 MAP_ANONYMOUS=0x20 MAP_32BIT=0x40 MAP_GROWSDOWN=0x100 MAP_DENYWRITE=0x800 MAP_EXECUTABLE=0x1000
     MAP_LOCKED=0x2000 MAP_NORESERVE=0x4000 MAP_POPULATE=0x8000 MAP_NONBLOCK=0x10000 MAP_STACK=0x20000
     MAP_HUGETLB=0x40000 MAP_SYNC=0x80000 MAP_FIXED_NOREPLACE=0x100000`,
    { values: valuesOf('MAP_FILE=0 MAP_SHARED=1 MAP_PRIVATE=2 MAP_SHARED_VALIDATE=3', 15n) },
  ),
  clone: bitsOf(
    `CLONE_NEWTIME=0x80 CLONE_VM=0x100 CLONE_FS=0x200 CLONE_FILES=0x400 CLONE_SIGHAND=0x800 CLONE_PIDFD=0x1000
     CLONE_PTRACE=0x2000 CLONE_VFORK=0x4000 CLONE_PARENT=0x8000 CLONE_THREAD=0x10000 CLONE_NEWNS=0x20000
     CLONE_SYSVSEM=0x40000 CLONE_SETTLS=0x80000 CLONE_PARENT_SETTID=0x100000 CLONE_CHILD_CLEARTID=0x200000
     CLONE_UNTRACED=0x800000 CLONE_CHILD_SETTID=0x1000000 CLONE_NEWCGROUP=0x2000000 CLONE_NEWUTS=0x4000000
     CLONE_NEWIPC=0x8000000 CLONE_NEWUSER=0x10000000 CLONE_NEWPID=0x20000000 CLONE_NEWNET=0x40000000 CLONE_IO=0x80000000`,
    { values: valuesOf('SIGCHLD=17', 0x7fn) },
  ),
  family: valuesOf(
    `AF_UNSPEC=0 AF_UNIX=1 AF_INET=2 AF_AX25=3 AF_IPX=4 AF_APPLETALK=5 AF_X25=9 AF_INET6=10 AF_KEY=15 AF_NETLINK=16
     AF_PACKET=17 AF_RDS=21 AF_CAN=29 AF_TIPC=30 AF_BLUETOOTH=31 AF_ALG=38 AF_VSOCK=40 AF_QIPCRTR=42 AF_SMC=43 AF_XDP=44`,
  ),
  type: bitsOf('SOCK_NONBLOCK=0x800 SOCK_CLOEXEC=0x80000', {
    values: valuesOf(
      'SOCK_STREAM=1 SOCK_DGRAM=2 SOCK_RAW=3 SOCK_RDM=4 SOCK_SEQPACKET=5 SOCK_DCCP=6 SOCK_PACKET=10',
      15n,
    ),
  }),
  accept: bitsOf('SOCK_NONBLOCK=0x800 SOCK_CLOEXEC=0x80000'),
  message: bitsOf(
    `MSG_OOB=1 MSG_PEEK=2 MSG_DONTROUTE=4 MSG_CTRUNC=8 MSG_TRUNC=0x20 MSG_DONTWAIT=0x40 MSG_EOR=0x80 MSG_WAITALL=0x100
     MSG_CONFIRM=0x800 MSG_ERRQUEUE=0x2000 MSG_NOSIGNAL=0x4000 MSG_MORE=0x8000 MSG_WAITFORONE=0x10000
     MSG_ZEROCOPY=0x4000000 MSG_FASTOPEN=0x20000000 MSG_CMSG_CLOEXEC=0x40000000`,
  ),
  level: valuesOf(
    'SOL_IP=0 SOL_SOCKET=1 SOL_TCP=6 SOL_UDP=17 SOL_IPV6=41 SOL_RAW=255 SOL_PACKET=263 SOL_NETLINK=270',
  ),
  how: valuesOf('SHUT_RD=0 SHUT_WR=1 SHUT_RDWR=2'),
  at: bitsOf(
    `AT_SYMLINK_NOFOLLOW=0x100 AT_EACCESS=0x200 AT_SYMLINK_FOLLOW=0x400 AT_NO_AUTOMOUNT=0x800 AT_EMPTY_PATH=0x1000
     AT_STATX_FORCE_SYNC=0x2000 AT_STATX_DONT_SYNC=0x4000 AT_RECURSIVE=0x8000`,
  ),
  unlink: bitsOf('AT_REMOVEDIR=0x200'),
  rename: bitsOf('RENAME_NOREPLACE=1 RENAME_EXCHANGE=2 RENAME_WHITEOUT=4'),
  access: bitsOf('X_OK=1 W_OK=2 R_OK=4', { zero: 'F_OK' }),
  whence: valuesOf('SEEK_SET=0 SEEK_CUR=1 SEEK_END=2 SEEK_DATA=3 SEEK_HOLE=4'),
  fcntl: valuesOf(
    `F_DUPFD=0 F_GETFD=1 F_SETFD=2 F_GETFL=3 F_SETFL=4 F_GETLK=5 F_SETLK=6 F_SETLKW=7 F_SETOWN=8 F_GETOWN=9 F_SETSIG=10
     F_GETSIG=11 F_SETOWN_EX=15 F_GETOWN_EX=16 F_OFD_GETLK=36 F_OFD_SETLK=37 F_OFD_SETLKW=38 F_SETLEASE=1024
     F_GETLEASE=1025 F_NOTIFY=1026 F_DUPFD_CLOEXEC=1030 F_SETPIPE_SZ=1031 F_GETPIPE_SZ=1032 F_ADD_SEALS=1033
     F_GET_SEALS=1034 F_GETDELEG=1039 F_SETDELEG=1040`,
  ),
  ioctl: valuesOf(
    `TCGETS=0x5401 TCSETS=0x5402 TCSETSW=0x5403 TCSETSF=0x5404 TCGETA=0x5405 TCSETA=0x5406 TCSETAW=0x5407 TCSETAF=0x5408
     TCSBRK=0x5409 TCXONC=0x540a TCFLSH=0x540b TIOCEXCL=0x540c TIOCNXCL=0x540d TIOCSCTTY=0x540e TIOCGPGRP=0x540f
     TIOCSPGRP=0x5410 TIOCOUTQ=0x5411 TIOCSTI=0x5412 TIOCGWINSZ=0x5413 TIOCSWINSZ=0x5414 TIOCMGET=0x5415 TIOCMBIS=0x5416
     TIOCMBIC=0x5417 TIOCMSET=0x5418 TIOCGSOFTCAR=0x5419 TIOCSSOFTCAR=0x541a FIONREAD=0x541b TIOCLINUX=0x541c
     TIOCCONS=0x541d TIOCGSERIAL=0x541e TIOCSSERIAL=0x541f TIOCPKT=0x5420 FIONBIO=0x5421 TIOCNOTTY=0x5422
     TIOCGETD=0x5424 TCSBRKP=0x5425 TIOCSBRK=0x5427 TIOCCBRK=0x5428 TIOCGSID=0x5429 TCGETS2=0x802c542a TCSETS2=0x402c542b
     TCSETSW2=0x402c542c TCSETSF2=0x402c542d TIOCGRS485=0x542e TIOCSRS485=0x542f TIOCGPTN=0x80045430 TIOCSPTLCK=0x40045431
     TIOCSIG=0x40045436 TIOCVHANGUP=0x5437 TIOCGPTPEER=0x5441
     TIOCSISO7816=0xc0285443 TIOCGLCKTRMIOS=0x5456 TIOCSLCKTRMIOS=0x5457
     FIONCLEX=0x5450 FIOCLEX=0x5451 FIOASYNC=0x5452 FICLONE=0x40049409 SIOCGIFCONF=0x8912 SIOCGIFFLAGS=0x8913 SIOCGSKNS=0x894c
     SIOCGIFINDEX=0x8933 FS_IOC_FIEMAP=0xc020660b FS_IOC_SETFLAGS=0x40086602 FS_IOC_SETVERSION=0x40087602
     FS_IOC_FSSETXATTR=0x401c5820 FS_IOC_ENABLE_VERITY=0x40806685 FS_IOC_SET_ENCRYPTION_POLICY=0x800c6613 TIOCSETD=0x5423
     EXT4_IOC_SETVERSION=0x40086604 EXT4_IOC_MIGRATE=0x6609 FAT_IOCTL_SET_ATTRIBUTES=0x40047211 FICLONERANGE=0x4020940d
     FIDEDUPERANGE=0xc0189436`,
  ),
  futex: bitsOf('FUTEX_PRIVATE_FLAG=128 FUTEX_CLOCK_REALTIME=256', {
    values: valuesOf(
      `FUTEX_WAIT=0 FUTEX_WAKE=1 FUTEX_REQUEUE=3 FUTEX_CMP_REQUEUE=4 FUTEX_WAKE_OP=5 FUTEX_LOCK_PI=6 FUTEX_UNLOCK_PI=7
         FUTEX_TRYLOCK_PI=8 FUTEX_WAIT_BITSET=9 FUTEX_WAKE_BITSET=10 FUTEX_WAIT_REQUEUE_PI=11 FUTEX_CMP_REQUEUE_PI=12
         FUTEX_LOCK_PI2=13`,
      0x7fn,
    ),
  }),
  prctl: valuesOf(
    `PR_SET_PDEATHSIG=1 PR_GET_PDEATHSIG=2 PR_GET_DUMPABLE=3 PR_SET_DUMPABLE=4 PR_GET_KEEPCAPS=7 PR_SET_KEEPCAPS=8
     PR_SET_NAME=15 PR_GET_NAME=16 PR_GET_SECCOMP=21 PR_SET_SECCOMP=22 PR_CAPBSET_READ=23 PR_CAPBSET_DROP=24
     PR_SET_TIMERSLACK=29 PR_GET_TIMERSLACK=30 PR_SET_MM=35 PR_SET_CHILD_SUBREAPER=36 PR_SET_NO_NEW_PRIVS=38
     PR_GET_NO_NEW_PRIVS=39 PR_SET_THP_DISABLE=41 PR_CAP_AMBIENT=47 PR_GET_SPECULATION_CTRL=52
     PR_SET_SPECULATION_CTRL=53 PR_SET_VMA=0x53564d41 PR_SET_PTRACER=0x59616d61`,
  ),
  archPrctl: valuesOf(
    `ARCH_SET_GS=0x1001 ARCH_SET_FS=0x1002 ARCH_GET_FS=0x1003 ARCH_GET_GS=0x1004 ARCH_GET_CPUID=0x1011
     ARCH_SET_CPUID=0x1012 ARCH_CET_STATUS=0x3001 ARCH_SHSTK_STATUS=0x5005`,
  ),
  madvise: valuesOf(
    `MADV_NORMAL=0 MADV_RANDOM=1 MADV_SEQUENTIAL=2 MADV_WILLNEED=3 MADV_DONTNEED=4 MADV_FREE=8 MADV_REMOVE=9
     MADV_DONTFORK=10 MADV_DOFORK=11 MADV_MERGEABLE=12 MADV_HUGEPAGE=14 MADV_NOHUGEPAGE=15 MADV_DONTDUMP=16
     MADV_DODUMP=17 MADV_WIPEONFORK=18 MADV_COLD=20 MADV_PAGEOUT=21 MADV_POPULATE_READ=22 MADV_POPULATE_WRITE=23
     MADV_DONTNEED_LOCKED=24 MADV_COLLAPSE=25`,
  ),
  mremap: bitsOf('MREMAP_MAYMOVE=1 MREMAP_FIXED=2 MREMAP_DONTUNMAP=4'),
  sigmask: valuesOf('SIG_BLOCK=0 SIG_UNBLOCK=1 SIG_SETMASK=2'),
  memfd: bitsOf('MFD_CLOEXEC=1 MFD_ALLOW_SEALING=2 MFD_HUGETLB=4 MFD_NOEXEC_SEAL=8 MFD_EXEC=16'),
  epoll: valuesOf('EPOLL_CTL_ADD=1 EPOLL_CTL_DEL=2 EPOLL_CTL_MOD=3'),
  clock: valuesOf(
    `CLOCK_REALTIME=0 CLOCK_MONOTONIC=1 CLOCK_PROCESS_CPUTIME_ID=2 CLOCK_THREAD_CPUTIME_ID=3 CLOCK_MONOTONIC_RAW=4
     CLOCK_REALTIME_COARSE=5 CLOCK_MONOTONIC_COARSE=6 CLOCK_BOOTTIME=7`,
  ),
  rlimit: valuesOf(
    `RLIMIT_CPU=0 RLIMIT_FSIZE=1 RLIMIT_DATA=2 RLIMIT_STACK=3 RLIMIT_CORE=4 RLIMIT_RSS=5 RLIMIT_NPROC=6 RLIMIT_NOFILE=7
     RLIMIT_MEMLOCK=8 RLIMIT_AS=9 RLIMIT_LOCKS=10 RLIMIT_SIGPENDING=11 RLIMIT_MSGQUEUE=12 RLIMIT_NICE=13 RLIMIT_RTPRIO=14
     RLIMIT_RTTIME=15`,
  ),
  wait: bitsOf(
    `WNOHANG=1 WUNTRACED=2 WEXITED=4 WCONTINUED=8 WNOWAIT=0x1000000 __WNOTHREAD=0x20000000 __WALL=0x40000000
     __WCLONE=0x80000000`,
  ),
  mount: bitsOf(
    `MS_RDONLY=1 MS_NOSUID=2 MS_NODEV=4 MS_NOEXEC=8 MS_SYNCHRONOUS=16 MS_REMOUNT=32 MS_NOATIME=1024 MS_BIND=4096
     MS_MOVE=8192 MS_REC=16384 MS_SILENT=32768 MS_UNBINDABLE=0x20000 MS_PRIVATE=0x40000 MS_SLAVE=0x80000
     MS_SHARED=0x100000 MS_RELATIME=0x200000 MS_STRICTATIME=0x1000000`,
  ),
  umount: bitsOf('MNT_FORCE=1 MNT_DETACH=2 MNT_EXPIRE=4 UMOUNT_NOFOLLOW=8'),
  ptrace: valuesOf(
    `PTRACE_TRACEME=0 PTRACE_PEEKTEXT=1 PTRACE_PEEKDATA=2 PTRACE_PEEKUSER=3 PTRACE_POKETEXT=4 PTRACE_POKEDATA=5
     PTRACE_POKEUSER=6 PTRACE_CONT=7 PTRACE_KILL=8 PTRACE_SINGLESTEP=9 PTRACE_GETREGS=12 PTRACE_SETREGS=13
     PTRACE_ATTACH=16 PTRACE_DETACH=17 PTRACE_SYSCALL=24 PTRACE_SETOPTIONS=0x4200 PTRACE_SEIZE=0x4206
     PTRACE_INTERRUPT=0x4207 PTRACE_LISTEN=0x4208`,
  ),
  bpf: valuesOf(
    `BPF_MAP_CREATE=0 BPF_MAP_LOOKUP_ELEM=1 BPF_MAP_UPDATE_ELEM=2 BPF_MAP_DELETE_ELEM=3 BPF_MAP_GET_NEXT_KEY=4
     BPF_PROG_LOAD=5 BPF_OBJ_PIN=6 BPF_OBJ_GET=7 BPF_PROG_ATTACH=8 BPF_MAP_GET_NEXT_ID=12 BPF_MAP_GET_FD_BY_ID=14
     BPF_OBJ_GET_INFO_BY_FD=15`,
  ),
  seccomp: valuesOf(
    `SECCOMP_SET_MODE_STRICT=0 SECCOMP_SET_MODE_FILTER=1 SECCOMP_GET_ACTION_AVAIL=2 SECCOMP_GET_NOTIF_SIZES=3`,
  ),
  filter: bitsOf(
    `SECCOMP_FILTER_FLAG_TSYNC=1 SECCOMP_FILTER_FLAG_LOG=2 SECCOMP_FILTER_FLAG_SPEC_ALLOW=4
     SECCOMP_FILTER_FLAG_NEW_LISTENER=8 SECCOMP_FILTER_FLAG_TSYNC_ESRCH=16 SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV=32`,
  ),
  attach: bitsOf('SHM_RDONLY=0x1000 SHM_RND=0x2000 SHM_REMAP=0x4000 SHM_EXEC=0x8000'),
  random: bitsOf('GRND_NONBLOCK=1 GRND_RANDOM=2 GRND_INSECURE=4'),
  closeRange: bitsOf('CLOSE_RANGE_UNSHARE=2 CLOSE_RANGE_CLOEXEC=4'),
  eventfd: bitsOf('EFD_SEMAPHORE=1 EFD_NONBLOCK=0x800 EFD_CLOEXEC=0x80000'),
  cloexec: bitsOf('O_NONBLOCK=0x800 O_DIRECT=0x4000 O_CLOEXEC=0x80000'),
  personality: bitsOf('ADDR_NO_RANDOMIZE=0x40000 READ_IMPLIES_EXEC=0x400000', {
    values: valuesOf('PER_LINUX=0 PER_LINUX32=8', 0xffn),
  }),
  advice: valuesOf(
    `POSIX_FADV_NORMAL=0 POSIX_FADV_RANDOM=1 POSIX_FADV_SEQUENTIAL=2 POSIX_FADV_WILLNEED=3 POSIX_FADV_DONTNEED=4
     POSIX_FADV_NOREUSE=5`,
  ),
} satisfies Record<string, Constants>;

// Which argument of which syscall takes which of them.
const uses = `
open 1 open; openat 2 open; mmap 2 prot; mmap 3 map; mmap2 2 prot; mmap2 3 map; mprotect 2 prot; pkey_mprotect 2 prot
mremap 3 mremap; madvise 2 madvise; process_madvise 3 madvise; clone 0 clone; unshare 0 clone; setns 1 clone
socket 0 family; socket 1 type; socketpair 0 family; socketpair 1 type; accept4 3 accept; sendto 3 message
recvfrom 3 message; sendmsg 2 message; recvmsg 2 message; sendmmsg 3 message; recvmmsg 3 message; setsockopt 1 level
getsockopt 1 level; shutdown 1 how; newfstatat 3 at; statx 2 at; faccessat2 3 at; fchmodat2 3 at; fchownat 4 at
linkat 4 at; execveat 4 at; utimensat 3 at; name_to_handle_at 4 at; unlinkat 2 unlink; renameat2 4 rename
access 1 access; faccessat 2 access; faccessat2 2 access; lseek 2 whence; fcntl 1 fcntl; fcntl64 1 fcntl; ioctl 1 ioctl
futex 1 futex; prctl 0 prctl; arch_prctl 0 archPrctl; rt_sigprocmask 0 sigmask; memfd_create 1 memfd; epoll_ctl 1 epoll
epoll_create1 0 cloexec; pipe2 1 cloexec; dup3 2 cloexec; clock_gettime 0 clock; clock_nanosleep 0 clock
clock_getres 0 clock; clock_settime 0 clock; timer_create 0 clock; timerfd_create 0 clock; getrlimit 0 rlimit
setrlimit 0 rlimit; prlimit64 1 rlimit; wait4 2 wait; waitid 3 wait; mount 3 mount; umount2 1 umount; ptrace 0 ptrace
bpf 0 bpf; seccomp 0 seccomp; seccomp 1 filter; shmat 2 attach; getrandom 2 random; close_range 2 closeRange; eventfd2 1 eventfd
personality 0 personality; fadvise64 3 advice
`;

type SetName = keyof typeof sets | 'open';
const bySyscall = new Map<string, Map<number, SetName>>();
for (const use of uses.trim().split(/[;\n]\s*/)) {
  const [syscall = '', index = '', name = ''] = use.split(' ');
  const ofSyscall = bySyscall.get(syscall) ?? new Map<number, SetName>();
  bySyscall.set(syscall, ofSyscall.set(Number(index), name as SetName));
}

/** The constants of one argument, if they have names. */
export function constantsOf(syscall: string, index: number, arch: Arch): Constants | undefined {
  const name = bySyscall.get(syscall)?.get(index);
  return name === undefined ? undefined : name === 'open' ? open[arch] : sets[name];
}

/** Name of an address family; undefined where it has none here. */
export function familyName(family: number): string | undefined {
  return sets.family.values.get(BigInt(family));
}

/** In words: "O_WRONLY|O_CREAT|0x40000000"; undefined where not even a part of it has a name. */
export function constantText(
  { valueMask, values, bits, zero }: Constants,
  value: bigint,
): string | undefined {
  if (value === 0n && zero !== undefined) return zero;
  // -1 is no set of flags but an error or a question.
  if (bits.length > 0 && (value === 0xffffffffn || value === allBits)) return undefined;
  const told = values.get(value & valueMask);
  const words = told === undefined ? [] : [told];
  let rest = told === undefined ? value : value & ~valueMask;
  for (const [name, bit] of bits) {
    if ((rest & bit) !== bit) continue;
    words.push(name);
    rest &= ~bit;
  }
  if (words.length === 0) return value === 0n ? '0' : undefined;
  if (rest !== 0n) words.push(`0x${rest.toString(16)}`);
  return words.join('|');
}

/**
 * The same for a value of this argument. asBits: it is a mask, of which a field of 0 says nothing. undefined where no
 * part of it has a name.
 */
export function constantName(
  syscall: string,
  index: number,
  value: bigint,
  arch: Arch,
  asBits = false,
): string | undefined {
  const known = constantsOf(syscall, index, arch);
  if (known === undefined) return undefined;
  const withoutField = asBits && (value & known.valueMask) === 0n;
  const text = constantText(withoutField ? { ...known, valueMask: 0n, values: new Map() } : known, value);
  return text === '0' ? undefined : text;
}
