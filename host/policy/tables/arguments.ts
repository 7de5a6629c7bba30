// What the arguments of syscalls are: how messages show them, and whether a rule compares 32 or 64 bits. What the kernel
// takes as 64 bits and uses 32 of (flags of mmap(), the fd of readv()) counts as 32 here. A syscall that is not here
// shows six plain numbers.

/** How an argument is shown. */
export type ArgumentKind =
  /** A decimal number, signed 32-bit. */
  | 'int'
  /** A file descriptor, AT_FDCWD by name. */
  | 'fd'
  | 'size'
  /** An unsigned number of 32 bits: a length that the kernel takes as an int. */
  | 'count'
  | 'pointer'
  /** Address of a NUL-terminated path or other text. */
  | 'path'
  /** Address of a struct sockaddr. */
  | 'address'
  /** Octal, as permission bits are. */
  | 'mode'
  /** The same where the kernel takes 16 bits of it (umode_t). */
  | 'permissions'
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
open path flags permissions; openat fd path flags permissions; openat2 fd path pointer size; creat path permissions
stat path pointer; lstat path pointer; fstat fd pointer; newfstatat fd path pointer flags; statx fd path flags flags pointer
statfs path pointer; fstatfs fd pointer; access path mode; faccessat fd path mode; faccessat2 fd path mode flags
poll pointer count int; ppoll pointer count pointer pointer size; select int pointer pointer pointer pointer
mmap pointer size protection flags fd long; mprotect pointer size protection; munmap pointer size; brk pointer
mremap pointer size size flags pointer; madvise pointer size int; mlock pointer size
rt_sigaction signal pointer pointer size; rt_sigprocmask int pointer pointer size; sigaltstack pointer pointer
ioctl fd flags pointer; fcntl fd int long; dup fd; dup2 fd fd; dup3 fd fd flags; pipe pointer; pipe2 pointer flags
socket family flags int; socketpair family flags int pointer; connect fd address count; bind fd address count
listen fd int; accept fd pointer pointer; accept4 fd pointer pointer flags; sendto fd pointer size flags address count
recvfrom fd pointer size flags pointer pointer; sendmsg fd pointer flags; recvmsg fd pointer flags; shutdown fd int
getsockopt fd int int pointer pointer; setsockopt fd int int pointer count; getsockname fd pointer pointer
clone flags pointer pointer pointer pointer; clone3 pointer size; fork; vfork; execve path pointer pointer
execveat fd path pointer pointer flags; exit int; exit_group int; wait4 int pointer flags pointer; waitid int int pointer flags pointer
kill int signal; tkill int signal; tgkill int int signal; uname pointer; getpid; getppid; gettid; getuid; geteuid; getgid
getegid; setuid int; setgid int; setsid; getpgid int; setpgid int int; prctl int long long long long
ptrace long long pointer pointer; mount path path path flags pointer; umount2 path flags; pivot_root path path
chroot path; chdir path; fchdir fd; getcwd pointer size; mkdir path permissions; mkdirat fd path permissions; rmdir path
unlink path; unlinkat fd path flags; rename path path; renameat fd path fd path; renameat2 fd path fd path flags
link path path; linkat fd path fd path flags; symlink path path; symlinkat path fd path; readlink path pointer count
readlinkat fd path pointer count; chmod path permissions; fchmod fd permissions; fchmodat fd path permissions; chown path int int
fchownat fd path int int flags; truncate path size; ftruncate fd size; fallocate fd mode long long; umask mode
getdents64 fd pointer count; utimensat fd path pointer flags; futex pointer int int pointer pointer int
set_robust_list pointer size; set_tid_address pointer; rseq pointer count flags signal; getrandom pointer size flags; bpf int pointer count
prlimit64 int int pointer pointer; getrlimit int pointer; setrlimit int pointer; arch_prctl int pointer
seccomp int flags pointer; unshare flags; setns fd flags; memfd_create path flags
epoll_create1 flags; epoll_ctl fd int fd pointer; epoll_wait fd pointer int int; epoll_pwait fd pointer int int pointer size
eventfd2 int flags; timerfd_create int flags; inotify_init1 flags; inotify_add_watch fd path flags
clock_gettime int pointer; clock_nanosleep int flags pointer pointer; nanosleep pointer pointer; gettimeofday pointer pointer
sched_yield; sched_getaffinity int count pointer; sysinfo pointer; getcpu pointer pointer pointer; personality flags
io_uring_setup int pointer; userfaultfd flags; keyctl int long long long long; process_vm_readv int pointer size pointer size flags
rt_sigreturn; msync pointer size flags; mincore pointer size pointer; shmget int size flags; shmat int pointer flags
shmctl int int pointer; shmdt pointer; semget int int flags; semop int pointer count; semctl int int int long
semtimedop int pointer count pointer; msgget int flags; msgsnd int pointer size flags; msgrcv int pointer size long flags
msgctl int int pointer; pause; alarm int; getitimer int pointer; setitimer int pointer pointer
getpeername fd pointer pointer; flock fd int; fsync fd; fdatasync fd; sync; syncfs fd; getdents fd pointer count
fchown fd int int; lchown path int int; getrusage int pointer; times pointer; syslog int pointer int; getpgrp; getsid int
setreuid int int; setregid int int; setresuid int int int; getresuid pointer pointer pointer; setresgid int int int
getresgid pointer pointer pointer; setfsuid int; setfsgid int; getgroups int pointer; setgroups int pointer
capget pointer pointer; capset pointer pointer; rt_sigpending pointer size; rt_sigtimedwait pointer pointer pointer size
rt_sigqueueinfo int signal pointer; rt_tgsigqueueinfo int int signal pointer; rt_sigsuspend pointer size
utime path pointer; utimes path pointer; futimesat fd path pointer; mknod path permissions int; mknodat fd path permissions int
ustat int pointer; getpriority int int; setpriority int int int; sched_setparam int pointer; sched_getparam int pointer
sched_setscheduler int int pointer; sched_getscheduler int; sched_get_priority_max int; sched_get_priority_min int
sched_rr_get_interval int pointer; sched_setaffinity int count pointer; sched_setattr int pointer flags
sched_getattr int pointer count flags; munlock pointer size; mlock2 pointer size flags; mlockall flags; munlockall; vhangup
modify_ldt int pointer size; adjtimex pointer; acct path; settimeofday pointer pointer; swapoff path
reboot int int int pointer; setdomainname path count; iopl int; ioperm long long int; init_module pointer size path
finit_module fd path flags; delete_module path flags; quotactl int path int pointer; quotactl_fd fd int int pointer
readahead fd long size; lsetxattr path path pointer size flags; fsetxattr fd path pointer size flags
lgetxattr path path pointer size; fgetxattr fd path pointer size; listxattr path pointer size
llistxattr path pointer size; flistxattr fd pointer size; removexattr path path; lremovexattr path path
fremovexattr fd path; time pointer; set_thread_area pointer; get_thread_area pointer; io_setup int pointer
io_destroy long; io_getevents long long long pointer pointer; io_submit long long pointer; io_cancel long pointer pointer
io_pgetevents long long long pointer pointer pointer; lookup_dcookie long pointer size; epoll_create int
epoll_pwait2 fd pointer int pointer pointer size; remap_file_pages pointer size protection size flags; restart_syscall
fadvise64 fd long size int; timer_create int pointer pointer; timer_settime int flags pointer pointer
timer_gettime int pointer; timer_getoverrun int; timer_delete int; clock_settime int pointer; clock_getres int pointer
clock_adjtime int pointer; mbind pointer size long pointer long flags; set_mempolicy int pointer long
get_mempolicy pointer pointer long pointer long; set_mempolicy_home_node pointer size long long
migrate_pages int long pointer pointer; move_pages int long pointer pointer pointer flags
mq_open path flags permissions pointer; mq_unlink path; mq_timedsend fd pointer size int pointer
mq_timedreceive fd pointer size pointer pointer; mq_notify fd pointer; mq_getsetattr fd pointer pointer
kexec_load pointer long pointer long; kexec_file_load fd fd size path long; add_key path path pointer size int
request_key path path path int; ioprio_set int int int; ioprio_get int int; inotify_init; inotify_rm_watch fd int
pselect6 int pointer pointer pointer pointer pointer; get_robust_list int pointer pointer
splice fd pointer fd pointer size flags; tee fd fd size flags; vmsplice fd pointer size flags
sync_file_range fd long long flags; copy_file_range fd pointer fd pointer size flags; signalfd fd pointer size
signalfd4 fd pointer size flags; eventfd int; timerfd_settime fd flags pointer pointer; timerfd_gettime fd pointer
preadv fd pointer size long long; pwritev fd pointer size long long; preadv2 fd pointer size long long flags
pwritev2 fd pointer size long long flags; perf_event_open pointer int int fd long; recvmmsg fd pointer int flags pointer
sendmmsg fd pointer int flags; fanotify_init flags flags; fanotify_mark fd flags long fd path
name_to_handle_at fd path pointer pointer flags; open_by_handle_at fd pointer flags
process_vm_writev int pointer size pointer size flags; kcmp int int int long long; membarrier int flags int
pkey_mprotect pointer size protection int; pkey_alloc long long; pkey_free int; pidfd_open int flags
pidfd_send_signal fd signal pointer flags; pidfd_getfd fd int flags; io_uring_enter fd int int flags pointer size
io_uring_register fd int pointer int; open_tree fd path flags; move_mount fd path fd path flags; fsopen path flags
fsconfig fd int path pointer int; fsmount fd flags flags; fspick fd path flags; mount_setattr fd path flags pointer size
open_tree_attr fd path flags pointer size; close_range int int flags; process_madvise fd pointer size int flags
process_mrelease fd flags; landlock_create_ruleset pointer size flags; landlock_add_rule fd int pointer flags
landlock_restrict_self fd flags; memfd_secret flags; futex_waitv pointer int flags pointer int
cachestat fd pointer pointer flags; fchmodat2 fd path permissions flags; map_shadow_stack pointer size flags
futex_wake pointer long int flags; futex_wait pointer long long flags pointer int; futex_requeue pointer flags int int
mseal pointer size long; statmount pointer pointer size flags; listmount pointer pointer size flags; listns pointer pointer size flags
setxattrat fd path flags path pointer size; getxattrat fd path flags path pointer size
listxattrat fd path flags pointer size; removexattrat fd path flags path
sethostname path count; swapon path flags; getxattr path path pointer size; setxattr path path pointer size flags
file_getattr fd path pointer size flags; file_setattr fd path pointer size flags; sysfs int long long
lsm_get_self_attr int pointer pointer flags; lsm_set_self_attr int pointer count flags; lsm_list_modules pointer pointer flags
`;

/** Kinds of the arguments, in order, by syscall name. */
export const argumentKinds: ReadonlyMap<string, readonly ArgumentKind[]> = new Map(
  text
    .split(/[;\n]/)
    .map((entry) => entry.trim().split(' '))
    .filter(([name]) => name !== '')
    .map(([name = '', ...kinds]) => [name, kinds as ArgumentKind[]]),
);
