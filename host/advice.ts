// What to do if the machine refuses something: the same text in the result of a run and in the findings of probe().
import { readFileSync } from 'node:fs';
import { errorCode } from './errno.js';

/** Advice for shortages that every part can meet; '' for any other error. */
export function shortageAdvice(errno: string | undefined): string {
  switch (errno) {
    case 'EMFILE':
    case 'ETOOMANYREFS':
      return (
        'this process and its supervisor may have no more open files: raise the hard limit (ulimit -Hn, or LimitNOFILE= in a ' +
        'systemd unit), or have fewer runs at once'
      );
    case 'ENFILE':
      return 'this machine may have no more open files: raise fs.file-max, or have fewer runs at once';
    case 'EAGAIN':
      return (
        'this user, or the cgroup of this process, may have no more processes: raise the limit (ulimit -u, or TasksMax= in ' +
        'a systemd unit), or have fewer runs at once'
      );
    case 'ENOMEM':
      return 'this machine, or the cgroup of this process, has no memory left; have fewer runs at once';
    default:
      return '';
  }
}

/** The same in brackets, to append to a message. */
export function shortageHint(errno: string | undefined): string {
  const advice = shortageAdvice(errno);
  return advice === '' ? '' : ` (${advice})`;
}

/** The message of an error of this process, and what to do. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.message}${shortageHint(errorCode(error))}` : String(error);
}

/** A launch uses fd numbers up to 1023 and above. */
export const openFilesAdvice =
  'raise the hard limit of open files well above 1024: ulimit -Hn 4096, LimitNOFILE=4096 in a systemd unit, or ' +
  '--ulimit nofile=4096 for a container';

export const nullDeviceAdvice =
  '/dev/null must exist, and this user must be able to open it: bind the machine’s own, or mknod -m 666 /dev/null c 1 3';

function readNumber(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return undefined; // this kernel does not have this setting
  }
}

const kinds = ['user', 'mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'] as const;

/** Advice for namespaces that cannot be made; '' if no setting explains it. */
export function namespaceAdvice(errno: string): string {
  const forbidden = kinds
    .map((kind) => `max_${kind}_namespaces`)
    .filter((name) => readNumber(`/proc/sys/user/${name}`) === 0);
  if (forbidden.length > 0) {
    const what = forbidden.includes('max_user_namespaces')
      ? 'user namespaces are'
      : 'some kinds of namespaces are';
    return (
      `${what} forbidden on this machine: ${forbidden.map((name) => `/proc/sys/user/${name} is 0`).join(', ')}; ` +
      `allow them with: sysctl -w ${forbidden.map((name) => `user.${name}=15000`).join(' ')}`
    );
  }
  if (readNumber('/proc/sys/kernel/unprivileged_userns_clone') === 0) {
    return 'ordinary users may not make user namespaces here; allow it with: sysctl -w kernel.unprivileged_userns_clone=1';
  }
  if (readNumber('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === 1) {
    return (
      'AppArmor restricts user namespaces of ordinary users here; give node an AppArmor profile with "userns," or run: ' +
      'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0'
    );
  }
  if (errno === 'ENOSPC' || errno === 'EUSERS') {
    return 'the limit of some kind of namespace is reached; see /proc/sys/user/max_*_namespaces';
  }
  if (errno === 'EPERM' || errno === 'ENOSYS') {
    return (
      'something around this process forbids namespaces, as the default seccomp profile of container engines does; ' +
      'run the container with --security-opt seccomp=unconfined, or a profile that allows clone, unshare, setns, mount and pivot_root'
    );
  }
  return '';
}

/** Advice for id maps that cannot be written, which needs a file in /proc. */
export function idMapAdvice(errno: string, asRoot: boolean): string {
  if (errno === 'ENOENT' || errno === 'EROFS') {
    return '/proc must be mounted, and writable: mount -t proc proc /proc, or mount -o remount,rw /proc';
  }
  return asRoot
    ? 'the uid of sandboxees (65534, or the one named in the Executor’s options) must be mapped in the user namespace this ' +
        'process is in; a rootless container maps 65534 when /etc/subuid has a range of 65536 for its user'
    : 'only root can choose another uid or gid for a sandboxee';
}
