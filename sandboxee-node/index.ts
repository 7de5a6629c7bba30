// sandwire/sandboxee: what a Node program in a sandbox uses.
export { Buffer, BufferError, type BufferOptions } from '../native/buffer.js';
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
export { Client } from './client.js';
export { Comms, isSandboxed } from './comms.js';
export { connect, connectSync } from './connect.js';
export { ForkError } from './fork-readiness.js';
export { ForkingClient } from './forking-client.js';
export { SandboxingError } from './handshake.js';
export { Listener, listen } from './listener.js';
