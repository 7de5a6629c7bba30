// Numbers of the kernel's interface that presets speak of (asm-generic/mman-common.h, linux/futex.h and others); the
// same on both architectures.

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
export const MADV_DONTNEED = 4;
export const MADV_FREE = 8;
export const MADV_WIPEONFORK = 18;

export const FUTEX_WAIT = 0;
export const FUTEX_WAKE = 1;
export const FUTEX_WAIT_BITSET = 9;
/** FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME do not count. */
export const FUTEX_COMMAND_MASK = 0x7f;

export const GRND_NONBLOCK = 1;
export const TCGETS = 0x5401;
export const FIONBIO = 0x5421;
export const FIOCLEX = 0x5451;
export const SHM_EXEC = 0o100000;

export const PR_SET_NAME = 15;
export const PR_SET_VMA = 0x53564d41;
export const ARCH_SET_FS = 0x1002;

export const SIG_BLOCK = 0;
export const SIG_UNBLOCK = 1;
export const SIG_SETMASK = 2;
export const SIGABRT = 6;
export const SIGSYS = 31;

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOL_SOCKET = 1;
export const SO_TYPE = 3;
export const SO_DOMAIN = 39;
