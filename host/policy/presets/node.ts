// What Node.js itself does, with whatever script: V8 with its compilers and worker threads, libuv with its loop and its
// pool. Checked on Node 20, 22, 24 and 26 (x86-64).

import * as n from '../tables/numbers.js';
import * as families from './families.js';
import type { Preset } from './preset.js';
import { dynamicStartup } from './programs.js';

/** A thread of its own, and no process. */
const threadFlags = n.CLONE_VM | n.CLONE_FS | n.CLONE_FILES | n.CLONE_SIGHAND | n.CLONE_THREAD;
const terminalRequests = [n.TCGETS, n.TCSETS, n.TCSETSW, n.TIOCGWINSZ];
const descriptorRequests = [n.FIONREAD, n.FIONBIO, n.FIONCLEX, n.FIOCLEX];

/**
 * Not in it: sockets, other processes, changing owners. What files can be reached is decided by the mounts. V8
 * makes machine code at run time, so memory may become executable.
 */
export const node: Preset = {
  allow: [
    ...['mmap', 'mprotect', 'pkey_mprotect', 'pkey_alloc', 'pkey_free', 'munmap', 'mremap', 'madvise', 'brk'],
    ...[
      'mincore',
      'membarrier',
      'mseal',
      'futex',
      'sched_yield',
      'memfd_create',
      'sched_getaffinity',
      'sched_getparam',
      'sched_getscheduler',
      'sched_get_priority_min',
      'sched_get_priority_max',
      'getcpu',
      'getpriority',
    ],
    ...['getrusage', 'sysinfo', 'times', 'clock_getres', 'capget', 'umask', 'getcwd', 'chdir', 'fchdir'],
    ...[
      'getpgid',
      'getpgrp',
      'getsid',
      'close',
      'close_range',
      'lseek',
      'fsync',
      'fdatasync',
      'ftruncate',
      'truncate',
    ],
    ...['fallocate', 'fadvise64', 'flock', 'copy_file_range', 'sendfile'],
    // On descriptors that were given; a new socket cannot be made.
    ...['recvmsg', 'sendmsg', 'recvfrom', 'sendto', 'shutdown', 'getsockname', 'getpeername', 'getsockopt'],
  ],
  when: [
    ['clone', (arg) => arg(0).hasAll(threadFlags)],
    // F_ADD_SEALS, F_GET_SEALS, for sandwire’s Buffer
    ['fcntl', (arg) => arg(1).in(1033, 1034)],
    ['prctl', (arg) => arg(0).in(n.PR_SET_NAME, n.PR_SET_VMA)],
    ['ioctl', (arg) => arg(1).in(...terminalRequests, ...descriptorRequests)],
  ],
  otherwise: [
    // libuv tries it and takes its thread pool instead.
    ['io_uring_setup', 'ENOSYS'],
    ['ioctl', 'ENOTTY'],
    ['prctl', 'EINVAL'],
    // fs.watch() would tell what the host does with the files it shows; allowInotify() allows it.
    ['inotify_init1', 'ENOSYS'],
    // copyFile() of newer versions gives the copy its source’s owner, and takes no for an answer.
    ['fchown', 'EPERM'],
    ['sched_setaffinity', 'EPERM'],
    ['sched_setparam', 'EPERM'],
    ['sched_setscheduler', 'EPERM'],
    ['setpriority', 'EPERM'],
    ['perf_event_open', 'EACCES'],
  ],
  includes: [
    dynamicStartup,
    families.read,
    families.write,
    families.open,
    families.stat,
    families.access,
    families.readdir,
    families.readlink,
    families.mkdir,
    families.unlink,
    families.rename,
    families.link,
    families.symlink,
    families.utime,
    families.chmod,
    families.dup,
    families.pipe,
    families.safeFcntl,
    families.epoll,
    families.eventFd,
    families.poll,
    families.exit,
    families.handleSignals,
    families.kill,
    families.getPids,
    families.getIds,
    families.setRlimit,
    families.getRlimit,
    families.time,
    families.sleep,
    families.getRandom,
    families.wipeOnFork,
  ],
};
