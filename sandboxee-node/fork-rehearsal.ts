// Runs, in the fork server, what each of its children does first, so that they find it compiled and in memory: the
// first time is slow in JavaScript, and would be a first time in every child. That goes for every function: to compile
// one, however small, is to touch all that a compiler consists of.
import { EventEmitter } from 'node:events';
import { addon } from '../native/addon.js';
import { encodeMessage } from '../protocol/index.js';
import { Handshake, WireName } from '../protocol/wire.generated.js';
import { Client } from './client.js';
import { Comms } from './comms.js';
import { becomeOwnProcess } from './forked-process.js';

/** Often enough for V8 to have seen every branch. */
const rounds = 12;
/** As large as policies are, and none: no whole number of instructions. The last step of all refuses it. */
const noPolicy = new Uint8Array(8 * 300 + 1);

/** Of the process nothing is changed; the console will find its streams again. */
function becomeNobody(fd: number): Comms {
  const before = Comms.adopt(undefined);
  try {
    return becomeOwnProcess({
      process: Object.assign(new EventEmitter(), {
        reallyExit: (code?: number) => process.exit(code),
        _fatalException: () => false,
      }),
      watchForEnd: () => {},
      takeComms: () => fd,
    });
  } finally {
    Comms.adopt(before);
  }
}

function sandboxNobody(comms: Comms): void {
  const mappings = process.env[WireName.FD_MAPPINGS_ENV]; // for the fork server's own Client, if it comes to have one
  try {
    new Client(comms).sandboxMeHere();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  if (mappings !== undefined) process.env[WireName.FD_MAPPINGS_ENV] = mappings;
}

/** A child's first steps, with a host that has said everything beforehand. */
function rehearseOnce(): void {
  const [hostEnd, ownEnd] = addon().socketPair();
  const host = new Comms(hostEnd);
  const policyBytes = noPolicy;
  host.sendVersionSync(`V${Handshake.VERSION}`);
  host.sendProtobufBytesSync(encodeMessage('SandboxingConfig', { cwd: '.', policyBytes, fdMappings: [] }));
  void host.sendNoUpgrade();
  host.sendUint32Sync(Handshake.GO_UNOTIFY);
  const comms = becomeNobody(ownEnd);
  sandboxNobody(comms);
  comms.sendStringSync('ready');
  comms.sendValueSync({ text: 'ä', list: [1, null, { deep: true }] });
  host.sendValueSync({ text: 'ä', list: [1, null, { deep: true }] });
  comms.recvValueSync();
  for (const end of [host, comms]) end.close();
}

export function rehearse(): void {
  for (let round = 0; round < rounds; round++) rehearseOnce();
}
