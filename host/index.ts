// sandwire's host API: run an untrusted program in a sandbox, and talk to it.
export { NativeUnavailableError } from '../native/addon.js';
export { Buffer, BufferError, type BufferOptions } from '../native/buffer.js';
export { closeFd } from '../native/closing.js';
export { Comms } from '../native/comms.js';
export { Listener, listen } from '../native/listener.js';
export {
  CommsError,
  type CommsErrorCode,
  type Credentials,
  type Message,
  type ProtobufDecoder,
  type ProtobufEncoder,
  type ReceiveOptions,
  type Status,
  type SyncReceiveOptions,
} from '../protocol/index.js';
export type { CapabilityName } from './capabilities.js';
export { connect, connectSync } from './connect.js';
export { Executor, type ExecutorOptions, type NodeExecutorOptions } from './executor.js';
export { ForkServer, type ForkServerOptions } from './fork-server.js';
export { type FdMapping, IPC } from './ipc.js';
export { type CgroupValues, Limits } from './limits.js';
export type { NotifiedSyscall, Notify, SyscallAnswer } from './notify.js';
export * from './policy/index.js';
export { type Capability, type Probe, probe } from './probe.js';
export {
  type CgroupUsage,
  FinalStatus,
  ReasonCode,
  type ResourceUsage,
  Result,
  type ResultFields,
  type ResultStatus,
  type ThreadStackTrace,
  type Violation,
} from './result.js';
export type { LimitValues } from './rlimits.generated.js';
export { AwaitTimeoutError, type CapturedRun, Sandbox2 } from './sandbox2.js';
export type { CaptureOptions, StdioOptions, StdioTarget } from './stdio.js';
export type { StdioFile } from './stdio-file.js';
