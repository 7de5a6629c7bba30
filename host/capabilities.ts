// What sandwire needs from a machine, and what to do if it is missing. Only texts.

import { idMapAdvice, namespaceAdvice, nullDeviceAdvice, openFilesAdvice, shortageAdvice } from './advice.js';

export interface CapabilityText {
  /** What is tried. */
  readonly title: string;
  /** True if no sandbox can be made without it; otherwise `without` says what is missing. */
  readonly isRequired: boolean;
  readonly without: string;
  readonly advice: string;
}

const namespaces =
  'allow user namespaces: sysctl -w user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1 ' +
  'kernel.apparmor_restrict_unprivileged_userns=0 (those that exist); in a container, run it with ' +
  '--security-opt seccomp=unconfined or a profile that allows clone, unshare, setns, mount and pivot_root';
const seccomp =
  'a kernel built with CONFIG_SECCOMP_FILTER and a container profile that allows seccomp() are needed';
const cgroups =
  'the controllers must be with cgroup v2 and not with v1 (boot with systemd.unified_cgroup_hierarchy=1); ' +
  'an ordinary user’s host has to run in a delegated cgroup (systemd-run --user -p Delegate=yes …); ' +
  'in a container /sys/fs/cgroup must be writable';
const newer = (version: string) =>
  `Linux ${version} or newer is needed, and a container profile that allows the call`;

function required(title: string, advice: string): CapabilityText {
  return { title, isRequired: true, without: 'no sandbox can be made', advice };
}

function optional(title: string, without: string, advice: string): CapabilityText {
  return { title, isRequired: false, without, advice };
}

/** Everything that is tried, in the order in which it is reported. */
export const capabilities = {
  userNamespace: required('user namespaces', namespaces),
  mountNamespace: required('mount namespaces', namespaces),
  pidNamespace: required('pid namespaces', namespaces),
  networkNamespace: required('network namespaces', namespaces),
  ipcNamespace: required('ipc namespaces', namespaces),
  utsNamespace: required('uts namespaces', namespaces),
  cgroupNamespace: required('cgroup namespaces', namespaces),
  idMaps: required('writing id maps', idMapAdvice('EPERM', true)),
  enterNamespaces: required('entering namespaces by pidfd', newer('5.8')),
  mounts: required(
    'mounting in a sandbox',
    `${newer('5.12')}; in a container: --security-opt seccomp=unconfined`,
  ),
  procMount: optional(
    'mounting a /proc of its own',
    'policies that add /proc fail',
    'the container’s own /proc is masked, so the kernel refuses a user namespace a complete one (EPERM): run the ' +
      'container with --security-opt systempaths=unconfined, or leave /proc out of the policy',
  ),
  sysfsMount: optional(
    'mounting a /sys of its own',
    'policies that add /sys fail',
    'the container’s own /sys is masked or missing: run the container with --security-opt systempaths=unconfined, or ' +
      'leave /sys out of the policy',
  ),
  seccompFilter: required('seccomp filters', seccomp),
  seccompNotify: required('seccomp user notification', `${seccomp}, and Linux 5.7 or newer`),
  seccompWaitKillable: optional(
    'notifications that signals do not take away',
    'a sandboxee’s signal handlers can make a judged call come twice',
    newer('5.19'),
  ),
  noNewPrivileges: required('no_new_privs', newer('3.5')),
  pidfd: required('pidfds', newer('5.3')),
  pidfdGetfd: required(
    'taking a descriptor from a sandboxee (pidfd_getfd)',
    'Linux 5.6 or newer is needed; where it is refused (EPERM), set kernel.yama.ptrace_scope to 0 or 1, and in a ' +
      'container allow pidfd_getfd (--cap-add SYS_PTRACE, or --security-opt seccomp=unconfined)',
  ),
  ptrace: optional(
    'ptrace',
    'there are no stack traces',
    'set kernel.yama.ptrace_scope to 0 or 1 (sysctl -w kernel.yama.ptrace_scope=1); in a container: --cap-add SYS_PTRACE',
  ),
  sealedMemory: required('sealed memory files', newer('3.17')),
  closeRange: required('close_range', newer('5.9')),
  nullDevice: required('/dev/null, which standard input, output and error are by default', nullDeviceAdvice),
  openFiles: required('open files', openFilesAdvice),
  speculation: optional(
    'switching speculation off per process',
    'sandboxees run with the machine’s own mitigations only',
    'nothing to do where the CPU or the hypervisor offers no such switch; otherwise boot without spec_store_bypass_disable=off',
  ),
  landlock: optional(
    'Landlock',
    'files are hidden by the mounts alone, without Landlock rules behind them, and enableLandlock() fails',
    'a kernel with CONFIG_SECURITY_LANDLOCK, "landlock" in its lsm= list, and a container profile that allows ' +
      'landlock_*() are needed; ABI 2 (Linux 5.19) for the rules behind the mounts, ABI 6 (Linux 6.12) for enableLandlock()',
  ),
  coreDumps: optional(
    'core dumps that stay in the sandbox',
    'a program or service of this machine is given the memory of each sandboxee that crashes',
    'where kernel.core_pattern begins with "|" (EPERM), raise the hard limit of core files of this process above 0 (ulimit ' +
      '-Hc, LimitCORE= in a systemd unit); where it begins with "@" (EOPNOTSUPP), no limit counts: set another ' +
      'pattern, or have the service refuse what comes from a user namespace',
  ),
  cgroupMemory: optional('cgroup v2: memory', 'runs with setCgroupMemory() fail', cgroups),
  cgroupPids: optional('cgroup v2: processes', 'runs with setCgroupPids() fail', cgroups),
  cgroupCpu: optional('cgroup v2: CPU', 'runs with setCgroupCpu() fail', cgroups),
  sandbox: required('running a program in a sandbox', 'what is refused above is most likely the reason'),
} as const satisfies Record<string, CapabilityText>;

export type CapabilityName = keyof typeof capabilities;

const ofNamespaces: ReadonlySet<string> = new Set(
  Object.entries(capabilities)
    .filter(([, text]) => text.advice === namespaces)
    .map(([name]) => name),
);

/** What to do if it was refused for this reason; the same advice as in the result of a run that fails because of it. */
export function adviceFor(name: CapabilityName, reason: string): string {
  const exact = ofNamespaces.has(name)
    ? namespaceAdvice(reason)
    : name === 'idMaps'
      ? idMapAdvice(reason, process.geteuid?.() === 0)
      : name === 'openFiles'
        ? openFilesAdvice
        : '';
  return exact || shortageAdvice(reason) || capabilities[name].advice;
}
