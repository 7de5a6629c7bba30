// What the arguments of the commoner syscalls are, for messages. A syscall that is not here shows six plain numbers.

/** How an argument is shown. */
export type ArgumentKind =
  /** A decimal number, signed 32-bit. */
  | 'int'
  /** A file descriptor, AT_FDCWD by name. */
  | 'fd'
  | 'size'
  | 'pointer'
  /** Address of a NUL-terminated path or other text. */
  | 'path'
  /** Address of a struct sockaddr. */
  | 'address'
  /** Octal, as permission bits are. */
  | 'mode'
  | 'flags'
  | 'signal'
  /** Address family of socket(). */
  | 'family'
  /** Signed, of the machine's word. */
  | 'long'
  /** PROT_READ and so on. */
  | 'protection';

const text = `
read fd pointer size; write fd pointer size; readv fd pointer int; writev fd pointer int; close fd
pread64 fd pointer size long; pwrite64 fd pointer size long; lseek fd long int; sendfile fd fd pointer size
open path flags mode; openat fd path flags mode; openat2 fd path pointer size; creat path mode
stat path pointer; lstat path pointer; fstat fd pointer; newfstatat fd path pointer flags; statx fd path flags flags pointer
statfs path pointer; fstatfs fd pointer; access path mode; faccessat fd path mode; faccessat2 fd path mode flags
poll pointer size int; ppoll pointer size pointer pointer size; select int pointer pointer pointer pointer
mmap pointer size protection flags fd long; mprotect pointer size protection; munmap pointer size; brk pointer
mremap pointer size size flags pointer; madvise pointer size int; mlock pointer size
rt_sigaction signal pointer pointer size; rt_sigprocmask int pointer pointer size; sigaltstack pointer pointer
ioctl fd flags pointer; fcntl fd int long; dup fd; dup2 fd fd; dup3 fd fd flags; pipe pointer; pipe2 pointer flags
socket family flags int; socketpair family flags int pointer; connect fd address size; bind fd address size
listen fd int; accept fd pointer pointer; accept4 fd pointer pointer flags; sendto fd pointer size flags address size
recvfrom fd pointer size flags pointer pointer; sendmsg fd pointer flags; recvmsg fd pointer flags; shutdown fd int
getsockopt fd int int pointer pointer; setsockopt fd int int pointer size; getsockname fd pointer pointer
clone flags pointer pointer pointer pointer; clone3 pointer size; fork; vfork; execve path pointer pointer
execveat fd path pointer pointer flags; exit int; exit_group int; wait4 int pointer flags pointer; waitid int int pointer flags
kill int signal; tkill int signal; tgkill int int signal; uname pointer; getpid; getppid; gettid; getuid; geteuid; getgid
getegid; setuid int; setgid int; setsid; getpgid int; setpgid int int; prctl int long long long long
ptrace long long pointer pointer; mount path path path flags pointer; umount2 path flags; pivot_root path path
chroot path; chdir path; fchdir fd; getcwd pointer size; mkdir path mode; mkdirat fd path mode; rmdir path
unlink path; unlinkat fd path flags; rename path path; renameat fd path fd path; renameat2 fd path fd path flags
link path path; linkat fd path fd path flags; symlink path path; symlinkat path fd path; readlink path pointer size
readlinkat fd path pointer size; chmod path mode; fchmod fd mode; fchmodat fd path mode; chown path int int
fchownat fd path int int flags; truncate path size; ftruncate fd size; fallocate fd mode long long; umask mode
getdents64 fd pointer size; utimensat fd path pointer flags; futex pointer int int pointer pointer int
set_robust_list pointer size; set_tid_address pointer; rseq pointer size flags signal; getrandom pointer size flags; bpf int pointer size
prlimit64 int int pointer pointer; getrlimit int pointer; setrlimit int pointer; arch_prctl int pointer
seccomp int flags pointer; unshare flags; setns fd flags; memfd_create path flags
epoll_create1 flags; epoll_ctl fd int fd pointer; epoll_wait fd pointer int int; epoll_pwait fd pointer int int pointer size
eventfd2 int flags; timerfd_create int flags; inotify_init1 flags; inotify_add_watch fd path flags
clock_gettime int pointer; clock_nanosleep int flags pointer pointer; nanosleep pointer pointer; gettimeofday pointer pointer
sched_yield; sched_getaffinity int size pointer; sysinfo pointer; getcpu pointer pointer pointer; personality flags
io_uring_setup int pointer; userfaultfd flags; keyctl int long long long long; process_vm_readv int pointer size pointer size flags
sethostname path size; swapon path flags; getxattr path path pointer size; setxattr path path pointer size flags
`;

/** Kinds of the arguments, in order, by syscall name. */
export const argumentKinds: ReadonlyMap<string, readonly ArgumentKind[]> = new Map(
  text
    .split(/[;\n]/)
    .map((entry) => entry.trim().split(' '))
    .filter(([name]) => name !== '')
    .map(([name = '', ...kinds]) => [name, kinds as ArgumentKind[]]),
);
