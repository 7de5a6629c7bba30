// sandwire/protocol: the wire, without I/O.
export * from './codec.js';
export { Comms } from './comms.js';
export { CommsError, type CommsErrorCode, tagName } from './errors.js';
export {
  type HandshakeConfig,
  type HandshakeHooks,
  type HandshakePeer,
  performHostHandshake,
} from './handshake.js';
export {
  type BigIntegerType,
  bigIntegerTypes,
  type IntegerType,
  integerTypes,
} from './integers.generated.js';
export { decodeValue, encodeValue } from './messagepack.js';
export { decodeMessage, encodeMessage, type Messages } from './messages.js';
export type { ReceiveOptions, SyncReceiveOptions } from './receiving.js';
export type { Credentials, ReceiveCall, SendCall, Transport } from './transport.js';
export type { Message, ProtobufDecoder, ProtobufEncoder, Status } from './values.js';
export { Handshake, StatusCode, Tag, WireFd, WireLimit, WireName } from './wire.generated.js';
