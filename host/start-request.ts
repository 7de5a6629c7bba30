// Encodes what the supervisor is asked to start: an executor and its policy as one message.
import { realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { encodeMessage } from '../protocol/index.js';
import { type CgroupLimits, LaunchMode, type Limit, Network } from '../protocol/messages.generated.js';
import { encodeParts } from '../protocol/messages.js';
import { WireFd, WireName } from '../protocol/wire.generated.js';
import type { Executor } from './executor.js';
import type { FdMapping } from './ipc.js';
import { checkCount } from './launch-fds.js';
import type { CgroupValues } from './limits.js';
import { encodeMounts } from './mount-messages.js';
import { asksHost } from './notify.js';
import type { Policy } from './policy/index.js';
import type { ProgramPlace } from './program-place.js';
import type { LimitValues } from './rlimits.generated.js';
import { rlimits } from './rlimits.generated.js';

/** What the run itself adds. */
export interface Launch {
  readonly run: bigint;
  readonly placed: readonly FdMapping[];
  readonly fdTargets: readonly number[];
  readonly looksBesideItself: boolean;
  /** undefined: it has no program. */
  readonly place: ProgramPlace | undefined;
  readonly walltimeMs: number;
  readonly answerTimeoutMs: number;
  /** True if a caller waits until the policy is in force. */
  readonly isAwaited: boolean;
}

const bytes = (text: string) => new TextEncoder().encode(text);

/** Encodes a Request. Throws Error if too many fds are mapped. */
export function encodeStartRequest(executor: Executor, policy: Policy, launch: Launch): Uint8Array {
  checkCount(launch.fdTargets);
  // The part with the number of the run comes first, so that a request that is too long can be refused by its
  // beginning.
  return encodeParts('start', [
    runPart(executor, policy, launch),
    policyPart(executor, policy, launch.place),
  ]);
}

/** The policy's part, which is most of the request and the same for all runs of executors of this kind. */
interface PolicyPart {
  readonly kind: string;
  readonly encoded: Uint8Array;
}

const policyParts = new WeakMap<Policy, PolicyPart>();

function policyPart(executor: Executor, policy: Policy, place: ProgramPlace | undefined): Uint8Array {
  const { sandboxBeforeExec, uid, gid } = executor;
  const added = place?.mount === undefined ? [] : [place.mount];
  const kind = `${sandboxBeforeExec} ${uid} ${gid} ${added.map(({ inside }) => inside)}`;
  const known = policyParts.get(policy);
  if (known?.kind === kind) return known.encoded;
  const encoded = encodeMessage('StartRequest', {
    policyBytes: sandboxBeforeExec || asksHost(policy) ? policy.program : new Uint8Array(),
    asksHost: asksHost(policy),
    allowSpeculation: policy.allowSpeculation,
    landlockFence: policy.landlockFence,
    stackTraces: policy.stackTraces,
    forbidIoUring: !sandboxBeforeExec && policy.forbidsIoUring,
    sandbox: {
      mounts: encodeMounts([...policy.mounts, ...added]),
      hostname: bytes(policy.hostname),
      network: networkOf(executor, policy),
      rootWritable: policy.rootWritable,
      outsideUid: uid,
      outsideGid: gid,
      landlockOnly: policy.landlock,
    },
  });
  policyParts.set(policy, { kind, encoded });
  return encoded;
}

function networkOf({ sandboxBeforeExec }: Executor, policy: Policy): Network {
  if (policy.networking === 'unrestricted') return Network.NETWORK_HOST;
  if (policy.networking === 'forkServerShared') return Network.NETWORK_SHARED;
  // Before sandboxMeHere() no process is under the filter. And a /sys needs a network of the sandbox's own.
  const showsSysfs = policy.mounts.some(({ kind }) => kind === 'sysfs');
  const isEmpty = sandboxBeforeExec && !policy.makesSockets && !showsSysfs;
  return isEmpty ? Network.NETWORK_EMPTY : Network.NETWORK_OWN;
}

function runPart(executor: Executor, policy: Policy, launch: Launch): Uint8Array {
  const { limits } = executor;
  return encodeMessage('StartRequest', {
    run: launch.run,
    mode: launchMode(executor),
    args: executor.args.map(bytes),
    envs: environment(executor, launch),
    cwd: bytes(executor.cwd),
    answerTimeoutMs: asksHost(policy) ? BigInt(launch.answerTimeoutMs) : undefined,
    limits: encodeLimits(limits.values),
    spares: executor.sparesAhead,
    cgroup: encodeCgroup(limits.cgroup),
    walltimeMs: BigInt(launch.walltimeMs),
    program: bytes(executor.path),
    programInside: launch.place?.inside === undefined ? undefined : bytes(launch.place.inside),
    fdTargets: launch.fdTargets,
    startUnawaited: !launch.isAwaited,
  });
}

/** The program's real directory, as the kernel would report it. */
function originOf(path: string): string {
  try {
    return dirname(realpathSync.native(path));
  } catch {
    return dirname(resolve(path)); // it was removed after it was opened
  }
}

function environment(executor: Executor, { placed, looksBesideItself }: Launch): Uint8Array[] {
  const envs = Object.entries(executor.envs).map(([name, value]) => bytes(`${name}=${value}`));
  if (looksBesideItself && executor.envs['LD_ORIGIN_PATH'] === undefined) {
    // A program is executed by fd and mostly without /proc, so glibc's loader cannot find out its path
    // (sysdeps/unix/sysv/linux/dl-origin.c).
    envs.push(bytes(`LD_ORIGIN_PATH=${originOf(executor.path)}`));
  }
  if (executor.sandboxBeforeExec) {
    // With sandboxMeHere the handshake sends the names.
    const named = placed.filter((mapping) => mapping.name !== '');
    if (named.length > 0) {
      const list = named.map((mapping) => `${mapping.name},${mapping.remoteFd}`).join(',');
      envs.push(bytes(`${WireName.FD_MAPPINGS_ENV}=${list}`));
    }
  } else if (executor.forkServer === undefined) {
    envs.push(bytes(`${WireName.RENDEZVOUS_FD_ENV}=${WireFd.RENDEZVOUS_FD}`));
  }
  return envs;
}

function encodeLimits(values: LimitValues): Limit[] {
  return (Object.keys(rlimits) as (keyof LimitValues)[])
    .filter((name) => values[name] !== undefined)
    .map((name) => ({ resource: rlimits[name].resource, value: values[name] }));
}

function encodeCgroup({ memoryBytes, processes, cpus, parent }: CgroupValues): CgroupLimits | undefined {
  if (memoryBytes === undefined && processes === undefined && cpus === undefined && parent === undefined)
    return undefined;
  return {
    memoryBytes,
    processes,
    cpuUs: cpus === undefined ? undefined : BigInt(Math.round(cpus * 100_000)),
    parent: parent === undefined ? undefined : bytes(parent),
  };
}

function launchMode(executor: Executor): LaunchMode {
  if (executor.forkServer !== undefined) return LaunchMode.FORKED;
  return executor.sandboxBeforeExec ? LaunchMode.SANDBOXED_BEFORE_EXEC : LaunchMode.SANDBOX_ME_HERE;
}
