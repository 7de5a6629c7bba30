// Numbers of the kernel's interface that rules are made of (asm-generic/mman-common.h, linux/futex.h and others); the
// same on both architectures. Names for messages are constants.ts.

export const PROT_NONE = 0;
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;

export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_DENYWRITE = 0x800;
export const MAP_NORESERVE = 0x4000;
export const MAP_STACK = 0x20000;
export const MAP_FIXED_NOREPLACE = 0x100000;

export const MREMAP_MAYMOVE = 1;

export const SHM_EXEC = 0x8000;

export const ADDR_NO_RANDOMIZE = 0x40000;
export const READ_IMPLIES_EXEC = 0x400000;

export const MADV_SEQUENTIAL = 2;
export const MADV_DONTNEED = 4;
export const MADV_FREE = 8;
export const MADV_REMOVE = 9;
export const MADV_HUGEPAGE = 14;
export const MADV_NOHUGEPAGE = 15;
export const MADV_DONTDUMP = 16;
export const MADV_DODUMP = 17;
export const MADV_WIPEONFORK = 18;
export const MADV_PAGEOUT = 21;
export const MADV_POPULATE_READ = 22;
export const MADV_DONTNEED_LOCKED = 24;
export const MADV_COLLAPSE = 25;

export const FUTEX_WAIT = 0;
export const FUTEX_WAKE = 1;
export const FUTEX_WAIT_BITSET = 9;
/** FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME do not count. */
export const FUTEX_COMMAND_MASK = 0x7f;

export const GRND_NONBLOCK = 1;

export const TCGETS = 0x5401;
export const TCSETS = 0x5402;
export const TCSETSW = 0x5403;
export const TCSETSF = 0x5404;
export const TCSETA = 0x5406;
export const TCSETAW = 0x5407;
export const TCSETAF = 0x5408;
export const TCXONC = 0x540a;
export const TCFLSH = 0x540b;
export const TIOCEXCL = 0x540c;
export const TIOCNXCL = 0x540d;
export const TIOCSCTTY = 0x540e;
export const TIOCSTI = 0x5412;
export const TIOCGWINSZ = 0x5413;
export const TIOCSWINSZ = 0x5414;
export const TIOCMBIS = 0x5416;
export const TIOCMBIC = 0x5417;
export const TIOCMSET = 0x5418;
export const TIOCSSOFTCAR = 0x541a;
export const FIONREAD = 0x541b;
export const TIOCLINUX = 0x541c;
export const TIOCCONS = 0x541d;
export const TIOCSSERIAL = 0x541f;
export const FIONBIO = 0x5421;
export const TIOCSETD = 0x5423;
export const TIOCSBRK = 0x5427;
export const TIOCCBRK = 0x5428;
export const TIOCSRS485 = 0x542f;
export const TIOCVHANGUP = 0x5437;
export const FIONCLEX = 0x5450;
export const FIOCLEX = 0x5451;
export const TIOCSLCKTRMIOS = 0x5457;
export const TCSETS2 = 0x402c542b;
export const TCSETSW2 = 0x402c542c;
export const TCSETSF2 = 0x402c542d;
export const TIOCSISO7816 = 0xc0285443;
export const FS_IOC_SETFLAGS = 0x40086602;
export const FS_IOC_SETVERSION = 0x40087602;
export const FS_IOC_FSSETXATTR = 0x401c5820;
export const FS_IOC_ENABLE_VERITY = 0x40806685;
export const FS_IOC_SET_ENCRYPTION_POLICY = 0x800c6613;
export const EXT4_IOC_SETVERSION = 0x40086604;
export const EXT4_IOC_MIGRATE = 0x6609;
export const FAT_IOCTL_SET_ATTRIBUTES = 0x40047211;
/** The second byte of all of btrfs's (linux/btrfs.h), and those among them that are every file system's. */
export const BTRFS_IOCTL_MAGIC = 0x94;
export const FICLONE = 0x40049409;
export const FICLONERANGE = 0x4020940d;
export const FIDEDUPERANGE = 0xc0189436;

export const AF_UNIX = 1;
export const AF_VSOCK = 40;
export const AF_QIPCRTR = 42;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_TYPE = 3;
export const SO_ERROR = 4;
export const SO_BROADCAST = 6;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
export const SO_OOBINLINE = 10;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const SO_PASSCRED = 16;
export const SO_PEERCRED = 17;
export const SO_RCVLOWAT = 18;
export const SO_SNDLOWAT = 19;
export const SO_RCVTIMEO_OLD = 20;
export const SO_SNDTIMEO_OLD = 21;
export const SO_ACCEPTCONN = 30;
export const SO_PEERSEC = 31;
export const SO_PASSSEC = 34;
export const SO_PROTOCOL = 38;
export const SO_DOMAIN = 39;
export const SO_PEEK_OFF = 42;
export const SO_COOKIE = 57;
export const SO_RCVTIMEO_NEW = 66;
export const SO_SNDTIMEO_NEW = 67;
export const SO_NETNS_COOKIE = 71;
export const SO_PASSPIDFD = 76;
export const SO_PEERPIDFD = 77;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_CORK = 3;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_QUICKACK = 12;
export const TCP_NOTSENT_LOWAT = 25;

/** The second byte of what ioctl() asks of sockets (linux/sockios.h), and of those of wireless.h. */
export const SIOC_TYPE = 0x8900;
export const SIOC_WIRELESS_TYPE = 0x8b00;
export const FIOSETOWN = 0x8901;
export const SIOCSPGRP = 0x8902;
export const FIOGETOWN = 0x8903;
export const SIOCGPGRP = 0x8904;
export const SIOCATMARK = 0x8905;
export const SIOCGSTAMP_OLD = 0x8906;
export const SIOCGSTAMPNS_OLD = 0x8907;
export const SIOCGIFCONF = 0x8912;
export const SIOCOUTQNSD = 0x894b;
export const SIOCGSKNS = 0x894c;

export const F_DUPFD = 0;
export const F_GETFD = 1;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_GETLK = 5;
export const F_SETLK = 6;
export const F_SETLKW = 7;
export const F_OFD_SETLK = 37;
export const F_OFD_SETLKW = 38;
export const F_SETLEASE = 1024;
export const F_NOTIFY = 1026;
export const F_GET_SEALS = 1034;
export const F_DUPFD_CLOEXEC = 1030;
/** Linux 6.19. */
export const F_SETDELEG = 1040;

/** The two bits that say how a file is opened. */
export const O_ACCMODE = 3;
export const O_CREAT = 0o100;
export const O_TRUNC = 0o1000;

export const RLIMIT_CORE = 4;

export const PR_GET_DUMPABLE = 3;
export const PR_SET_DUMPABLE = 4;
export const PR_SET_NAME = 15;
export const PR_SET_SECCOMP = 22;
export const PR_SET_VMA = 0x53564d41;
export const ARCH_SET_FS = 0x1002;

export const SIG_BLOCK = 0;
export const SIG_SETMASK = 2;
export const SIGABRT = 6;

export const CLONE_NEWTIME = 0x80;
export const CLONE_VM = 0x100;
export const CLONE_FS = 0x200;
export const CLONE_FILES = 0x400;
export const CLONE_SIGHAND = 0x800;
export const CLONE_PARENT = 0x8000;
export const CLONE_THREAD = 0x10000;
export const CLONE_NEWNS = 0x20000;
export const CLONE_NEWCGROUP = 0x2000000;
export const CLONE_NEWUTS = 0x4000000;
export const CLONE_NEWIPC = 0x8000000;
export const CLONE_NEWUSER = 0x10000000;
export const CLONE_NEWPID = 0x20000000;
export const CLONE_NEWNET = 0x40000000;

export const SECCOMP_SET_MODE_FILTER = 1;
export const SECCOMP_MODE_FILTER = 2;
export const SECCOMP_FILTER_FLAG_TSYNC = 1;
export const SECCOMP_FILTER_FLAG_NEW_LISTENER = 8;

export const AT_EMPTY_PATH = 0x1000;

export const BPF_MAP_LOOKUP_ELEM = 1;
export const BPF_MAP_GET_NEXT_KEY = 4;
export const BPF_OBJ_GET = 7;
export const BPF_MAP_GET_NEXT_ID = 12;
export const BPF_MAP_GET_FD_BY_ID = 14;
export const BPF_OBJ_GET_INFO_BY_FD = 15;
