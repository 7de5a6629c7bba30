// Messages for everything that can fail before a program runs: which step, on what, why, and what to do.
import { SetupStep } from '../protocol/messages.generated.js';
import { idMapAdvice, namespaceAdvice, nullDeviceAdvice, openFilesAdvice, shortageAdvice } from './advice.js';
import { errnoName } from './errno.js';
import { ReasonCode } from './result.js';

export interface SetupFailure {
  readonly reasonCode: number;
  readonly message: string;
}

const steps: Record<SetupStep, { readonly reason: ReasonCode; readonly tried: string }> = {
  [SetupStep.SETUP_STEP_UNSPECIFIED]: { reason: 'FAILED_SUBPROCESS', tried: 'setting the sandbox up' },
  [SetupStep.STEP_MEMORY]: {
    reason: 'FAILED_SUBPROCESS',
    tried: 'getting memory or file descriptors for a run',
  },
  [SetupStep.STEP_FORK]: { reason: 'FAILED_SUBPROCESS', tried: 'forking' },
  [SetupStep.STEP_OPEN_MOUNT_SOURCE]: {
    reason: 'FAILED_NAMESPACES',
    tried: 'opening the source of a mount,',
  },
  [SetupStep.STEP_NAMESPACES]: { reason: 'FAILED_NAMESPACES', tried: 'making new namespaces:' },
  [SetupStep.STEP_ID_MAP]: { reason: 'FAILED_NAMESPACES', tried: 'mapping user ids,' },
  [SetupStep.STEP_IDENTITY]: { reason: 'FAILED_NAMESPACES', tried: 'changing user and group of' },
  [SetupStep.STEP_ROOT]: { reason: 'FAILED_NAMESPACES', tried: 'making the root file system,' },
  [SetupStep.STEP_MOUNT]: { reason: 'FAILED_NAMESPACES', tried: 'mount' },
  [SetupStep.STEP_PIVOT]: { reason: 'FAILED_NAMESPACES', tried: 'pivot_root to' },
  [SetupStep.STEP_HOSTNAME]: { reason: 'FAILED_NAMESPACES', tried: 'sethostname' },
  [SetupStep.STEP_LOOPBACK]: { reason: 'FAILED_NAMESPACES', tried: 'bringing the loopback interface up,' },
  [SetupStep.STEP_INIT]: { reason: 'FAILED_NAMESPACES', tried: 'running the init process:' },
  [SetupStep.STEP_ENTER]: { reason: 'FAILED_NAMESPACES', tried: 'attaching to the sandbox:' },
  [SetupStep.STEP_SESSION]: { reason: 'FAILED_SUBPROCESS', tried: 'getting a new' },
  [SetupStep.STEP_FDS]: { reason: 'FAILED_IPC', tried: 'placing file descriptors:' },
  [SetupStep.STEP_LIMITS]: { reason: 'FAILED_LIMITS', tried: 'setting the limit of' },
  [SetupStep.STEP_CWD]: { reason: 'FAILED_CWD', tried: 'chdir, inside the sandbox, to' },
  [SetupStep.STEP_PRIVILEGES]: { reason: 'FAILED_SUBPROCESS', tried: 'dropping' },
  [SetupStep.STEP_FILTER]: { reason: 'FAILED_POLICY', tried: 'installing the policy:' },
  [SetupStep.STEP_LISTENER]: { reason: 'FAILED_MONITOR', tried: 'taking the seccomp listener:' },
  [SetupStep.STEP_EXEC]: { reason: 'FAILED_SUBPROCESS', tried: 'exec' },
  [SetupStep.STEP_HANDSHAKE]: { reason: 'FAILED_CONNECTION', tried: 'the sandboxMeHere handshake:' },
  [SetupStep.STEP_FORK_SERVER]: { reason: 'FAILED_SUBPROCESS', tried: 'forking in the fork server:' },
  [SetupStep.STEP_LANDLOCK]: { reason: 'FAILED_NAMESPACES', tried: 'putting Landlock rules in force:' },
  [SetupStep.STEP_CGROUP]: {
    reason: 'FAILED_LIMITS',
    tried: 'making a cgroup for the limits of all processes:',
  },
  [SetupStep.STEP_PHASE]: { reason: 'FAILED_SUBPROCESS', tried: 'moving the run on' },
};

/** What the hints need to know about the run. */
export interface SetupContext {
  /** The path in PT_INTERP of the program, if it has one. */
  readonly interpreter: string | undefined;
  readonly program: string;
  readonly asRoot: boolean;
}

function execHint(errno: string, context: SetupContext): string {
  if (errno === 'ENOENT' && context.interpreter !== undefined) {
    const isNode = context.program === process.execPath;
    const method = isNode ? 'addNodeRuntime()' : `addLibrariesForBinary(${JSON.stringify(context.program)})`;
    return (
      `its dynamic loader ${context.interpreter} is not in the sandbox; ` +
      `the PolicyBuilder’s ${method} shows it and the libraries`
    );
  }
  if (errno === 'EACCES') {
    return context.asRoot
      ? 'the sandboxee of a root host runs as uid 65534, which may not execute this file: chmod o+x it, or choose another uid in the Executor’s options'
      : 'this user may not execute the file, or it lies on a noexec mount';
  }
  if (errno === 'ENOEXEC') return 'it is not a program that this machine can run';
  if (errno === 'E2BIG') {
    return (
      'one argument, or environment variable, may have 128 KiB, and all together a quarter of the stack limit ' +
      '(setRlimitStack), at most 6 MiB; send large data by comms, a Buffer or a file'
    );
  }
  if (errno === 'ETXTBSY') return 'the file is open for writing; close it first';
  return '';
}

function sourceHint(errno: string): string {
  switch (errno) {
    case 'ENOENT':
      return 'it does not exist on the host';
    case 'ELOOP':
      return 'a symlink was put into the path after the policy was made, and is not followed; make the policy anew';
    case 'EPERM':
      return (
        'the parts of the host’s /proc and /sys that reveal processes, or could change something, cannot be shown; ' +
        'addDirectory("/proc") shows the sandbox’s own'
      );
    default:
      return '';
  }
}

function mountHint(errno: string, detail: string): string {
  if (errno === 'EROFS') {
    return 'its mount point is in a directory of the host and does not exist; nothing is made there, so mount it elsewhere, or make it first';
  }
  if (errno === 'EINVAL' || errno === 'ENOTDIR') {
    return 'a file can only be mounted on a file, and a directory on a directory: check what is at that path';
  }
  if (errno === 'EPERM' && (detail === '/proc' || detail === '/sys')) {
    return (
      `this container’s own ${detail} is masked, so the kernel refuses a user namespace a complete one; ` +
      'run the container with --security-opt systempaths=unconfined, or leave it out of the policy'
    );
  }
  return '';
}

function landlockHint(errno: string): string {
  if (errno === 'EOPNOTSUPP' || errno === 'ENOSYS') {
    return 'enableLandlock() needs Landlock’s ABI 6 (Linux 6.12), switched on at boot; `sandwire doctor` shows what this machine has';
  }
  if (errno === 'EXDEV') {
    return 'with enableLandlock() there are no mounts: only files and directories of the host at their own paths can be shown';
  }
  return '';
}

function cgroupHint(errno: string): string {
  switch (errno) {
    case 'ENODEV':
    case 'EOPNOTSUPP':
      return (
        'the controllers are not with cgroup v2 here: on a machine that also mounts cgroup v1 they belong to that; ' +
        'boot with systemd.unified_cgroup_hierarchy=1 (or cgroup_no_v1=all), or do without cgroup limits'
      );
    case 'EBUSY':
      return (
        'a cgroup with processes in it can have no limits below it: start the host in a child cgroup of a delegated one, ' +
        'as systemd does with Delegate=yes and DelegateSubgroup=host, and name the delegated one in setCgroupParent()'
      );
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return (
        'this user may not divide it: run the host in a delegated cgroup, for example with ' +
        'systemd-run --user -p Delegate=yes, or as root; in a container /sys/fs/cgroup must be writable'
      );
    case 'EINVAL':
      return 'a directory below /sys/fs/cgroup, on a cgroup v2 file system, is needed';
    default:
      return '';
  }
}

function hint(step: SetupStep, errno: string, detail: string, context: SetupContext): string {
  switch (step) {
    case SetupStep.STEP_NAMESPACES:
      return namespaceAdvice(errno);
    case SetupStep.STEP_FILTER:
      return errno === 'EMFILE'
        ? 'setRlimitNofile() leaves no number free beside the descriptors that are mapped; one more is needed for the start'
        : '';
    case SetupStep.STEP_LIMITS:
      return errno === 'EPERM' && detail.startsWith('core files')
        ? 'do not call setrlimit() for RLIMIT_CORE before it: a sandboxee leaves no core files anyway'
        : '';
    case SetupStep.STEP_EXEC:
      return execHint(errno, context);
    case SetupStep.STEP_ID_MAP:
      return idMapAdvice(errno, context.asRoot);
    case SetupStep.STEP_OPEN_MOUNT_SOURCE:
      return sourceHint(errno);
    case SetupStep.STEP_MOUNT:
      return mountHint(errno, detail);
    case SetupStep.STEP_LANDLOCK:
      return landlockHint(errno);
    case SetupStep.STEP_CGROUP:
      return cgroupHint(errno);
    case SetupStep.STEP_SESSION:
      return errno === 'EDQUOT'
        ? 'this user has no keys left, and each sandbox needs one: see /proc/key-users, and raise ' +
            'kernel.keys.maxkeys and kernel.keys.maxbytes'
        : '';
    case SetupStep.STEP_PHASE:
      return 'which is not possible: this is a defect of sandwire, please report it';
    case SetupStep.STEP_CWD:
      return errno === 'ENOENT' ? 'the policy does not mount this directory' : '';
    case SetupStep.STEP_FDS:
      if (errno === 'EBUSY') return 'close it before the fork server waits for requests';
      if (detail === '/dev/null') return shortageAdvice(errno) === '' ? nullDeviceAdvice : '';
      return openFilesAdvice;
    default:
      return '';
  }
}

/** Converts a failure that the supervisor reported to a message. */
export function describeSetupFailure(
  step: SetupStep,
  errno: number,
  detail: string,
  context: SetupContext,
): SetupFailure {
  const { reason, tried } = steps[step];
  const name = errno === 0 ? '' : errnoName(errno);
  const advice = hint(step, name, detail, context) || shortageAdvice(name);
  const message = `${tried} ${detail}${name === '' ? '' : `: ${name}`}${advice === '' ? '' : ` (${advice})`}`;
  return { reasonCode: ReasonCode[reason], message };
}
