// sandwire/protocol: the wire, without I/O.
export type { ReceiveOptions } from './channel.js';
export * from './codec.js';
export {
  Comms,
  type Message,
  type ProtobufDecoder,
  type ProtobufEncoder,
  type Status,
  type SyncReceiveOptions,
} from './comms.js';
export { CommsError, type CommsErrorCode, tagName } from './errors.js';
export {
  type HandshakeConfig,
  type HandshakeHooks,
  type HandshakePeer,
  performHostHandshake,
} from './handshake.js';
export { decodeValue, encodeValue } from './messagepack.js';
export { decodeMessage, encodeMessage, type Messages } from './messages.js';
export type { Transport } from './transport.js';
export { Handshake, StatusCode, Tag, WireFd, WireLimit, WireName } from './wire.generated.js';
