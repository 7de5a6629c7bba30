// Runs, in the fork server, what each of its children does first, so that they find it compiled and in memory: the
// first time is slow in JavaScript, and would be a first time in every child.
import { addon } from '../native/addon.js';
import { encodeMessage } from '../protocol/index.js';
import { Handshake } from '../protocol/wire.generated.js';
import { Comms } from './comms.js';
import { receivePolicy } from './handshake.js';

/** Often enough for V8 to have seen every branch. */
const rounds = 4;
/** As large as policies are. */
const policyBytes = new Uint8Array(8 * 300);

/** The handshake, with a host that has said everything beforehand. */
function rehearseHandshake(): void {
  const [hostEnd, ownEnd] = addon().socketPair();
  const host = new Comms(hostEnd);
  const comms = new Comms(ownEnd);
  host.sendVersionSync(`V${Handshake.VERSION}`);
  host.sendProtobufBytesSync(encodeMessage('SandboxingConfig', { cwd: '.', policyBytes, fdMappings: [] }));
  void host.sendNoUpgrade();
  host.sendUint32Sync(Handshake.GO_UNOTIFY);
  receivePolicy(comms, new Map());
  comms.sendStringSync('ready');
  comms.sendValueSync({ text: 'ä', list: [1, null, { deep: true }] });
  host.sendValueSync({ text: 'ä', list: [1, null, { deep: true }] });
  comms.recvValueSync();
  for (const end of [host, comms]) end.close();
}

export function rehearse(): void {
  for (let round = 0; round < rounds; round++) rehearseHandshake();
}
