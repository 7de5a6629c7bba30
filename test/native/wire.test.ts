// The wire between the parts that speak it: golden vectors through real sockets, and random conversations with C.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addon } from '../../native/addon.js';
import { Comms } from '../../native/comms.js';
import { encodeMessageBytes, type Message, Tag } from '../../protocol/index.js';
import { CommsErrorNumber } from '../../protocol/wire.generated.js';
import { checkout, sandboxeePath } from '../support/sandbox.js';
import { hangMs } from '../support/time.js';

const test = suite('the wire');

interface Vector {
  readonly send: string;
  readonly fds: number;
  readonly bytes: string;
}
const vectors = JSON.parse(readFileSync(`${checkout}protocol/vectors.json`, 'utf8')) as Vector[];
const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The echo sandboxee, without a sandbox: libsandwire at the other end of a channel. */
function startEcho(): { comms: Comms; ended: Promise<unknown> } {
  const [ours, theirs] = addon().socketPair();
  const child = spawn(sandboxeePath('echo'), [], {
    env: { SANDBOX2_COMMS_FD: '3' },
    stdio: ['ignore', 'inherit', 'inherit', theirs],
  });
  addon().closeFd(theirs);
  return { comms: new Comms(ours), ended: once(child, 'exit') };
}

/** The bytes of a message as it went over the wire. */
const bytesOf = ({ tag, payload }: Message): string => hex(encodeMessageBytes(tag, payload));

test('golden vectors: the addon brings them as they are, in one piece and cut anywhere', () => {
  for (const { send, fds, bytes: golden } of vectors) {
    const bytes = fromHex(golden);
    for (const step of [bytes.length, 7, 13]) {
      const [a, b] = addon().socketPair();
      const raw = new (addon().Socket)(a);
      raw.defineCalls();
      const comms = new Comms(b);
      if (send === 'Creds') comms.enableCredentials();
      for (let at = 0; at < bytes.length; at += step) {
        const size = Math.min(step, bytes.length - at);
        raw.send(bytes, at, size, at + size === bytes.length && fds > 0 ? 0 : -1, true);
      }
      const message = comms.recvMessageSync({ timeoutMs: hangMs });
      assert.is(bytesOf(message), golden, send);
      assert.is(message.fd >= 0, fds > 0, send);
      assert.is(message.credentials?.pid, send === 'Creds' ? process.pid : undefined);
      if (message.fd >= 0) addon().closeFd(message.fd);
      raw.close();
      comms.close();
    }
  }
});

test('golden vectors: what the addon sends are these bytes, with the fd on the first', () => {
  let checked = 0;
  for (const { send, fds, bytes: golden } of vectors) {
    const bytes = fromHex(golden);
    const payload = bytes.subarray(12);
    const tag = Buffer.from(bytes).readUInt32LE();
    const [a, b] = addon().socketPair();
    const comms = new Comms(a);
    const raw = new (addon().Socket)(b);
    raw.defineCalls();
    if (send === 'FD') comms.sendFdSync(0);
    else if (send === 'Creds') comms.sendCredentialsSync();
    else if (send === 'Bytes') comms.sendBytesSync(payload);
    else if (send === 'Proto' || send === 'Status') comms.sendProtobufBytesSync(payload);
    else if (tag < 0x80000000 && tag !== Tag.MessagePack) comms.sendTlvSync(tag, payload);
    else {
      comms.close();
      raw.close();
      continue; // the values are checked in test/protocol
    }
    const got = new Uint8Array(bytes.length + 1);
    const received: number[] = [];
    assert.is(raw.receive(got, 0, got.length, received, true, hangMs), bytes.length, send);
    assert.is(hex(got.subarray(0, bytes.length)), golden, send);
    assert.is(received.length, fds);
    for (const fd of received) addon().closeFd(fd);
    comms.close();
    raw.close();
    checked++;
  }
  assert.ok(checked >= 14, `${checked} checked`);
});

test('golden vectors: libsandwire gives back each as it came', async () => {
  const { comms, ended } = startEcho();
  for (const { send, fds, bytes: golden } of vectors) {
    const bytes = fromHex(golden);
    const [tag, payload] = [Buffer.from(bytes).readUInt32LE(), bytes.subarray(12)];
    if (fds > 0) await comms.sendFd(0);
    else if (tag === Tag.Creds) await comms.sendCredentials();
    else if (tag === Tag.Bytes) await comms.sendBytes(payload);
    else if (tag === Tag.Proto2) await comms.sendProtobufBytes(payload);
    else if (tag < 0x80000000 && tag !== Tag.MessagePack) await comms.sendTlv(tag, payload);
    else continue;
    const message = await comms.recvMessage({ timeoutMs: hangMs });
    assert.is(bytesOf(message), golden, send);
    if (message.fd >= 0) addon().closeFd(message.fd);
  }
  comms.close();
  assert.equal(await ended, [0, null]);
});

/** Something to say, and what it must come back as. */
interface Saying {
  say(comms: Comms): Promise<void>;
  hear(comms: Comms): Promise<unknown>;
  readonly value: unknown;
}

const saying = <T>(
  arbitrary: fc.Arbitrary<T>,
  say: (comms: Comms, value: T) => Promise<void>,
  hear: (comms: Comms) => Promise<unknown>,
): fc.Arbitrary<Saying> => arbitrary.map((value) => ({ say: (comms) => say(comms, value), hear, value }));

const payloads = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 60_000, max: 300_000 }).map((size) => new Uint8Array(size).fill(size)),
  },
);

const sayings = fc.oneof(
  saying(
    fc.boolean(),
    (c, v) => c.sendBool(v),
    (c) => c.recvBool(),
  ),
  saying(
    fc.integer({ min: -128, max: 127 }),
    (c, v) => c.sendInt8(v),
    (c) => c.recvInt8(),
  ),
  saying(
    fc.integer({ min: 0, max: 65535 }),
    (c, v) => c.sendUint16(v),
    (c) => c.recvUint16(),
  ),
  saying(
    fc.integer(),
    (c, v) => c.sendInt32(v),
    (c) => c.recvInt32(),
  ),
  saying(
    fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    (c, v) => c.sendUint32(v),
    (c) => c.recvUint32(),
  ),
  saying(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    (c, v) => c.sendInt64(v),
    (c) => c.recvInt64(),
  ),
  saying(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    (c, v) => c.sendUint64(v),
    (c) => c.recvUint64(),
  ),
  saying(
    fc.string({ unit: 'binary', maxLength: 100 }),
    (c, v) => c.sendString(v),
    (c) => c.recvString(),
  ),
  saying(
    payloads,
    (c, v) => c.sendBytes(v),
    (c) => c.recvBytes(),
  ),
  saying(
    payloads,
    (c, v) => c.sendTlv(77, v),
    (c) => c.recvTlv(77),
  ),
  saying(
    fc.json({ maxDepth: 3 }).map((text) => JSON.parse(text) as unknown),
    (c, v) => c.sendValue(v),
    (c) => c.recvValue(),
  ),
  saying(
    fc.record(
      {
        code: fc.integer({ min: 0, max: 16 }),
        message: fc.string({ unit: 'binary', maxLength: 50 }),
      },
      { noNullPrototype: true },
    ),
    (c, v) => c.sendStatus(v),
    async (c) => {
      const { code, message } = await c.recvStatus();
      return { code, message };
    },
  ),
  saying(
    fc.constant(undefined),
    (c) => c.sendBarrier(),
    (c) => c.recvBarrier(),
  ),
);

test('random conversations: libsandwire hears what was said, and says it again', async () => {
  const { comms, ended } = startEcho();
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(sayings, { minLength: 1, maxLength: 30 }), async (said) => {
        const sent = Promise.all(said.map((one) => one.say(comms)));
        for (const one of said) assert.equal(await one.hear(comms), one.value);
        await sent;
      }),
      { numRuns: 150, endOnFailure: true }, // what a failure leaves on the channel would fail all that follow
    );
  } finally {
    comms.close();
  }
  assert.equal(await ended, [0, null]);
});

test('random bytes: TypeScript and C find the same messages, and the same fault', async () => {
  // What libsandwire takes it gives back; where it finds a fault it ends with a code that says which.
  const faults = ['TOO_LARGE', 'BAD_LENGTH', 'NO_FD', 'TRUNCATED', 'CLOSED'];
  const message = fc
    .tuple(fc.constantFrom(Tag.Uint32, Tag.String, Tag.Barrier, Tag.Fd, 5), fc.uint8Array({ maxLength: 20 }))
    .map(([tag, payload]) => encodeMessageBytes(tag, payload));
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { maxLength: 4 }),
      fc.uint8Array({ maxLength: 30 }),
      async (good, rest) => {
        const stream = new Uint8Array(Buffer.concat([...good, rest]));
        const [a, b] = addon().socketPair();
        sendAndEnd(a, stream);
        addon().closeFd(a);
        const [expected, fault] = await readAll(new Comms(b));
        const [echoed, code] = await echoOf(stream);
        assert.equal(echoed, expected);
        assert.is(code, fault);
        assert.ok(faults.includes(fault), fault);
      },
    ),
    { numRuns: 60 },
  );
});

/** Sends, and ends the stream in this direction only: shutdown(2). The fd stays the caller's. */
function sendAndEnd(fd: number, stream: Uint8Array): void {
  new Socket({ fd: addon().duplicate(fd), readable: false, writable: true }).end(stream);
}

/** Every message until the end, and what ended it. Closes the channel. */
async function readAll(comms: Comms): Promise<[string[], string]> {
  const messages: string[] = [];
  for (;;) {
    try {
      messages.push(bytesOf(await comms.recvMessage({ timeoutMs: hangMs })));
    } catch (error) {
      comms.close();
      return [messages, (error as { code?: string }).code ?? String(error)];
    }
  }
}

/** What the echo sandboxee gives back of a stream, and the fault it ends with. */
async function echoOf(stream: Uint8Array): Promise<[string[], string]> {
  const [ours, theirs] = addon().socketPair();
  const child = spawn(sandboxeePath('echo'), [], {
    env: { SANDBOX2_COMMS_FD: '3' },
    stdio: ['ignore', 'inherit', 'inherit', theirs],
  });
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  addon().closeFd(theirs);
  sendAndEnd(ours, stream);
  const [messages] = await readAll(new Comms(ours));
  const [exit] = await ended;
  return [
    messages,
    exit === 0 ? 'CLOSED' : (Object.keys(CommsErrorNumber)[(exit ?? 0) - 11] ?? `exit ${exit}`),
  ];
}

test.run();
