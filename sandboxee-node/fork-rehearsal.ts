// Runs in the fork server what each of its children does first, so that the children find it compiled and in memory.
// The first time is slow in JavaScript, and every child would have a first time. This holds for every function:
// compiling one, however small, touches all of a compiler's memory.
import { EventEmitter } from 'node:events';
import { addon } from '../native/addon.js';
import { encodeMessage } from '../protocol/index.js';
import { Handshake, WireName } from '../protocol/wire.generated.js';
import { Client } from './client.js';
import { Comms } from './comms.js';
import { becomeOwnProcess } from './forked-process.js';

/** Often enough that V8 has seen every branch. */
const rounds = 12;
/** As large as a policy but not valid: not a whole number of instructions. The last step of all refuses it. */
const invalidPolicy = new Uint8Array(8 * 300 + 1);

/** Changes nothing of the process itself; the console will find its streams again. */
function becomeDummyProcess(fd: number): Comms {
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

function rehearseSandboxMeHere(comms: Comms): void {
  const mappings = process.env[WireName.FD_MAPPINGS_ENV]; // kept for a Client of the fork server itself
  try {
    new Client(comms).sandboxMeHere();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  if (mappings !== undefined) process.env[WireName.FD_MAPPINGS_ENV] = mappings;
}

/** A child's first steps, with a host that has sent everything in advance. */
function rehearseOnce(): void {
  const [hostEnd, ownEnd] = addon().socketPair();
  const host = new Comms(hostEnd);
  const policyBytes = invalidPolicy;
  host.sendVersionSync(`V${Handshake.VERSION}`);
  host.sendProtobufBytesSync(encodeMessage('SandboxingConfig', { cwd: '.', policyBytes, fdMappings: [] }));
  void host.sendNoUpgrade();
  host.sendUint32Sync(Handshake.GO_UNOTIFY);
  const comms = becomeDummyProcess(ownEnd);
  rehearseSandboxMeHere(comms);
  comms.sendStringSync('ready');
  comms.sendValueSync({ text: 'ä', list: [1, null, { deep: true }] });
  host.sendValueSync({ text: 'ä', list: [1, null, { deep: true }] });
  comms.recvValueSync();
  for (const end of [host, comms]) end.close();
}

export function rehearse(): void {
  for (let round = 0; round < rounds; round++) rehearseOnce();
}
