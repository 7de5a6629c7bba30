import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type BigIntegerType,
  bigIntegerTypes,
  Comms,
  CommsError,
  decodeMessage,
  encodeMessage,
  encodeMessageBytes,
  Handshake,
  type IntegerType,
  integerTypes,
  performHostHandshake,
  Tag,
  WireName,
} from '../../protocol/index.js';
import { FakeTransport, joined, makePair } from './fake-transport.js';

const test = suite('comms');

interface Vector {
  readonly send: string;
  readonly value: unknown;
  readonly bytes: string;
}
const root = new URL('../../../', import.meta.url);
const vectors = JSON.parse(readFileSync(new URL('protocol/vectors.json', root), 'utf8')) as Vector[];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

function bytesOf(text: string): Uint8Array {
  const repeated = /^([0-9a-f]{2}) x (\d+)$/.exec(text);
  return fromHex(repeated ? (repeated[1] ?? '').repeat(Number(repeated[2])) : text);
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof CommsError) return error.code;
    throw error;
  }
  return 'no error';
}

function codeOfSync(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof CommsError) return error.code;
    throw error;
  }
  return 'no error';
}

/**
 * Sends the vector's value; the receive that belongs to it returns the same value. undefined: the vector has no call of
 * its own.
 */
function callsOf({
  send,
  value,
}: Vector): { send(c: Comms): void; receive(c: Comms): unknown; value: unknown } | undefined {
  const text = String(value);
  if (send in integerTypes || send in bigIntegerTypes) {
    const name = send as IntegerType | BigIntegerType;
    const number = name in bigIntegerTypes ? BigInt(text) : Number(value);
    return {
      send: (c) => (c[`send${name}Sync`] as (number: number | bigint) => void).call(c, number),
      receive: (c) => c[`recv${name}Sync`](),
      value: number,
    };
  }
  switch (send) {
    case 'Bool':
      return { send: (c) => c.sendBoolSync(value === true), receive: (c) => c.recvBoolSync(), value };
    case 'String':
      return { send: (c) => c.sendStringSync(text), receive: (c) => c.recvStringSync(), value };
    case 'Bytes':
      return {
        send: (c) => c.sendBytesSync(bytesOf(text)),
        receive: (c) => c.recvBytesSync(),
        value: bytesOf(text),
      };
    case 'Barrier':
      return { send: (c) => c.sendBarrierSync(), receive: (c) => c.recvBarrierSync(), value: undefined };
    case 'TLV': {
      const { tag, payload } = value as { tag: number; payload: string };
      const bytes = fromHex(payload);
      return { send: (c) => c.sendTlvSync(tag, bytes), receive: (c) => c.recvTlvSync(tag), value: bytes };
    }
    case 'Status': {
      const { code, message } = value as { code: number; message: string };
      return {
        send: (c) => c.sendStatusSync({ code, message }),
        receive: (c) => c.recvStatusSync(),
        value: { code, message, payloads: {} },
      };
    }
    default:
      return undefined;
  }
}

test('golden vectors, both directions', () => {
  let checked = 0;
  for (const vector of vectors) {
    const calls = callsOf(vector);
    if (calls === undefined) continue;
    const out = new FakeTransport('out');
    calls.send(new Comms(out));
    assert.is(hex(joined(out.sent)), vector.bytes, vector.send);
    const into = new FakeTransport('in');
    into.push(fromHex(vector.bytes));
    assert.equal(calls.receive(new Comms(into)), calls.value, vector.send);
    checked++;
  }
  assert.ok(checked >= 38, `${checked} checked`);
});

test('a recorded SandboxingConfig, both directions', () => {
  const vector = vectors.find(
    (v) => (v.value as { message?: string } | null)?.message === 'SandboxingConfig',
  );
  assert.ok(vector);
  const payload = fromHex(vector?.bytes.slice(24) ?? '');
  const config = decodeMessage('SandboxingConfig', payload);
  assert.equal(
    config.fdMappings?.map((m) => m.requestedFd),
    [-1, 3],
  );
  // The same except for the empty name, which the original writes and proto3 may leave out.
  assert.is(hex(encodeMessage('SandboxingConfig', config)), hex(payload).replace('2a0408031200', '2a020803'));
});

test('a MessagePack value written by another library', () => {
  const vector = vectors.find((v) => v.send === 'MessagePack');
  const transport = new FakeTransport('in');
  transport.push(fromHex(vector?.bytes ?? ''));
  const value = new Comms(transport).recvValueSync();
  const plain = value instanceof Map ? Object.fromEntries(value) : value;
  assert.equal(plain, vector?.value);
});

test('structured values keep their types, each message by itself', async () => {
  const [a, b] = makePair();
  const [left, right] = [new Comms(a), new Comms(b)];
  const values = [
    {
      list: [
        { x: 1, y: 2 },
        { x: 3, y: 4 },
      ],
    },
    { list: [{ x: 5, y: 6 }] },
    new Map<unknown, unknown>([
      [1, 'one'],
      ['k', new Set([1, 2])],
    ]),
    new Date(1_700_000_000_123),
    2n ** 63n - 1n,
    new Float64Array([1.5, -2]),
    null,
  ];
  for (const value of values) await left.sendValue(value);
  assert.equal(await right.recvValue(), values[0]);
  for (const value of values.slice(1)) assert.equal(await right.recvValue(), value);
});

test('a hostile value neither pollutes nor takes memory', () => {
  const attacks = [
    '81a95f5f70726f746f5f5f81a8706f6c6c7574656401', // { __proto__: { polluted: 1 } }
    'ddffffffff',
    'dfffffffff',
    'c6ffffffff',
    '91'.repeat(200_000),
    'd4',
    '',
  ];
  for (const attack of attacks) {
    const transport = new FakeTransport('hostile');
    transport.push(encodeMessageBytes(Tag.MessagePack, fromHex(attack)));
    const comms = new Comms(transport);
    const code = codeOfSync(() => comms.recvValueSync());
    assert.ok(code === 'INVALID_VALUE' || code === 'no error', `${attack.slice(0, 20)}: ${code}`);
    assert.is(({} as Record<string, unknown>)['polluted'], undefined);
  }
});

test('another tag leaves the message unread', async () => {
  const transport = new FakeTransport('fd 7');
  transport.push(encodeMessageBytes(Tag.String, new TextEncoder().encode('hi')));
  const comms = new Comms(transport);
  try {
    await comms.recvUint32();
    assert.unreachable();
  } catch (error) {
    assert.instance(error, CommsError);
    const { code, operation, expectedTag, metTag, peer } = error as CommsError;
    assert.equal(
      [code, operation, expectedTag, metTag, peer],
      ['TAG_MISMATCH', 'recvUint32', 'Uint32', 'String', 'fd 7'],
    );
  }
  assert.is(await comms.peekTag(), Tag.String);
  assert.is(await comms.recvString(), 'hi');
});

test('many sends of one tick are one syscall, and many messages one receive', async () => {
  const [a, b] = makePair();
  const [left, right] = [new Comms(a), new Comms(b)];
  await Promise.all(Array.from({ length: 100 }, (_, i) => left.sendUint32(i)));
  assert.is(a.sends, 1);
  for (let i = 0; i < 100; i++) assert.is(await right.recvUint32(), i);
  assert.is(b.receives, 1);
  assert.not(b.watches);
});

test('an answer that has already arrived needs no turn of the event loop, which still gets its turns', async () => {
  const transport = new FakeTransport('echo');
  const send = transport.send.bind(transport);
  transport.send = (...args) => {
    const count = send(...args);
    transport.push(transport.sent[transport.sent.length - 1]?.bytes ?? fromHex(''));
    return count;
  };
  const comms = new Comms(transport);
  let turns = 0;
  let done = false;
  const turn = () => {
    turns += 1;
    if (!done) setImmediate(turn);
  };
  setImmediate(turn);
  const rounds = 340;
  for (let i = 0; i < rounds; i++) {
    void comms.sendUint32(i);
    assert.is(await comms.recvUint32(), i);
  }
  done = true;
  assert.ok(turns < rounds / 2, `${turns} turns of the event loop for ${rounds} answers`);
  assert.ok(turns >= rounds / 17 - 1, `${turns} turns of the event loop for ${rounds} answers`);
  comms.close();
});

test('backpressure: a send resolves when it is taken, and pending bytes are bounded', async () => {
  const [a, b] = makePair();
  const [left, right] = [new Comms(a), new Comms(b)];
  a.room = 0;
  left.highWaterMark = 1000;
  let isSent = false;
  const sent = left.sendBytes(new Uint8Array(2000)).then(() => {
    isSent = true;
  });
  assert.is(await codeOf(left.sendUint32(1)), 'BUSY');
  await new Promise((resolve) => setImmediate(resolve));
  assert.not(isSent);
  a.room = Number.POSITIVE_INFINITY;
  a.wake();
  await sent;
  assert.is((await right.recvBytes()).length, 2000);
});

test('timeout and abort lose no message', async () => {
  const [a, b] = makePair();
  const comms = new Comms(b);
  assert.is(await codeOf(comms.recvUint32({ timeoutMs: 5 })), 'TIMEOUT');
  const aborter = new AbortController();
  const aborted = codeOf(comms.recvUint32({ signal: aborter.signal }));
  assert.is(
    codeOfSync(() => comms.recvUint32Sync()),
    'BUSY',
  );
  aborter.abort();
  assert.is(await aborted, 'ABORTED');
  assert.not(b.watches);
  await new Comms(a).sendUint32(9);
  assert.is(await comms.recvUint32(), 9);
});

test('the end: CLOSED between messages, TRUNCATED within one, and for good', async () => {
  const atBorder = new FakeTransport('x');
  atBorder.push(fromHex('0700008004000000000000002a000000'));
  atBorder.end();
  const comms = new Comms(atBorder);
  const messages = [];
  for await (const message of comms.messages()) messages.push(message.tag);
  assert.equal(messages, [Tag.Uint32]);
  assert.is(await codeOf(comms.recvUint32()), 'CLOSED');
  const within = new FakeTransport('y');
  within.push(fromHex('07000080040000'));
  within.end();
  const cut = new Comms(within);
  assert.is(await codeOf(cut.recvUint32()), 'TRUNCATED');
  assert.is(await codeOf(cut.sendUint32(1)), 'TRUNCATED');
});

test('fds: one with its message; any other fails the channel and is closed', async () => {
  const header = fromHex('010200800000000000000000');
  const good = new FakeTransport('good');
  good.push(header, 30);
  good.push(header, 31);
  const comms = new Comms(good);
  assert.equal([await comms.recvFd(), await comms.recvFd()], [30, 31]);
  const cases: [string, (t: FakeTransport) => void, number[]][] = [
    ['NO_FD', (t) => t.push(header), []],
    ['NO_FD', (t) => t.push(new Uint8Array(Buffer.concat([header, header])), 40), [40]],
    ['SURPLUS_FD', (t) => t.push(encodeMessageBytes(Tag.Barrier, new Uint8Array()), 41), [41]],
    ['SURPLUS_FD', (t) => [t.push(header.subarray(0, 4), 42), t.push(header.subarray(4), 43)], [43, 42]],
    ['BAD_LENGTH', (t) => t.push(fromHex('01020080010000000000000000'), 44), [44]],
  ];
  for (const [code, attack, closed] of cases) {
    const transport = new FakeTransport('bad');
    attack(transport);
    assert.is(await codeOf(new Comms(transport).recvFd()), code);
    assert.equal(transport.closedFds, closed, code);
  }
});

test('lengths: nothing is allocated beyond the limit; a message of a wrong size stays unread', async () => {
  for (const length of ['0000000000000080', 'ffffffffffffffff', '0100001000000000']) {
    const transport = new FakeTransport('bomb');
    transport.push(fromHex(`01010080${length}`));
    assert.is(await codeOf(new Comms(transport).recvBytes()), 'TOO_LARGE');
  }
  const transport = new FakeTransport('short');
  transport.push(fromHex('070000800100000000000000ff' + '030100800000000000000000'));
  const comms = new Comms(transport);
  assert.is(await codeOf(comms.recvUint32()), 'BAD_LENGTH');
  assert.equal(await comms.recvTlv(Tag.Uint32), Uint8Array.of(255));
  await comms.recvBarrier();
});

test('text that is not UTF-8 is refused as text and received as bytes', async () => {
  const transport = new FakeTransport('text');
  transport.push(encodeMessageBytes(Tag.String, Uint8Array.of(0xff, 0)));
  const comms = new Comms(transport);
  assert.is(await codeOf(comms.recvString()), 'INVALID_VALUE');
  assert.equal(await comms.recvStringBytes(), Uint8Array.of(0xff, 0));
});

test('a stream gives the same messages wherever its reads are cut', async () => {
  const message = fc.tuple(fc.integer({ min: 0, max: 1000 }), fc.uint8Array({ maxLength: 300 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { maxLength: 20 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 97 })),
      async (sent, cuts) => {
        const transport = new FakeTransport('cut');
        const stream = Buffer.concat(sent.map(([tag, payload]) => encodeMessageBytes(tag, payload)));
        let at = 0;
        for (const size of cuts) {
          if (at >= stream.length) break;
          transport.push(new Uint8Array(stream.subarray(at, at + size)));
          at += size;
        }
        transport.end();
        const comms = new Comms(transport);
        for (const [tag, payload] of sent) {
          const got = comms.recvMessageSync();
          assert.is(got.tag, tag);
          assert.equal(got.payload, payload);
        }
        assert.is(
          codeOfSync(() => comms.recvMessageSync()),
          'CLOSED',
        );
      },
    ),
    { numRuns: 100 },
  );
});

test('random bytes give messages or a CommsError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: -1, max: 3 }), (bytes, fd) => {
      const transport = new FakeTransport('random');
      if (bytes.length > 0) transport.push(bytes, fd);
      transport.end();
      const comms = new Comms(transport);
      while (codeOfSync(() => comms.recvMessageSync()) === 'no error');
    }),
    { numRuns: 300 },
  );
});

interface Recorded {
  readonly name: string;
  readonly messages: readonly { readonly from: string; readonly what: string; readonly bytes: string }[];
}
const conversations = JSON.parse(
  readFileSync(new URL('test/data/handshake.json', root), 'utf8'),
) as Recorded[];

test('recorded handshakes: our host sends what the original sends', async () => {
  for (const { name, messages } of conversations.slice(0, 2)) {
    const ready = messages.findIndex(({ what }) => what === 'monitor');
    const setUp = messages.slice(0, ready + 1);
    const config = setUp.find(({ what }) => what === 'config');
    const policy = setUp.find(({ what }) => what === 'policy');
    const policyBytes = config
      ? decodeMessage('SandboxingConfig', fromHex(config.bytes.slice(24))).policyBytes
      : fromHex(policy?.bytes.slice(24) ?? '');
    const transport = new FakeTransport('sandboxee');
    for (const { from, bytes } of setUp) if (from === 'sandboxee') transport.push(fromHex(bytes));
    await performHostHandshake(
      new Comms(transport),
      {
        policyBytes: policyBytes ?? new Uint8Array(),
        cwd: '/',
        mappings: [],
        allowSpeculation: false,
        goFlag: Handshake.GO_PTRACE,
      },
      { attachListener: () => Promise.reject(new Error('no listener was expected')) },
    );
    const expected = setUp.filter(({ from }) => from === 'host').map(({ bytes }) => bytes);
    assert.is(hex(joined(transport.sent)), expected.join(''), name);
  }
});

test('the versions a sandboxee may send', async () => {
  const cases: [string, string][] = [
    [`${WireName.VERSION_IDENTITY}V20260702`, 'sandwire 20260702'],
    ['V20260702', 'sandbox2 20260702'],
    ['V20250101', 'sandbox2 20250101'],
    ['a'.repeat(64), 'sandbox2 0'],
    ['V0', 'INVALID_VALUE'],
    ['Vabc', 'INVALID_VALUE'],
    ['', 'INVALID_VALUE'],
    ['x'.repeat(5000), 'TOO_LARGE'],
  ];
  for (const [version, expected] of cases) {
    const transport = new FakeTransport('sandboxee');
    transport.push(encodeMessageBytes(Tag.Version, new TextEncoder().encode(version)));
    transport.push(fromHex('070000800400000000000000010c0b0a'));
    transport.push(fromHex('010200800000000000000000'), 50);
    let outcome: string;
    const listeners: number[] = [];
    try {
      const peer = await performHostHandshake(
        new Comms(transport),
        {
          policyBytes: new Uint8Array(8),
          cwd: '/',
          mappings: [{ fd: 5, requestedFd: -1, name: 'log' }],
          allowSpeculation: true,
        },
        { attachListener: async (fd) => void listeners.push(fd) },
      );
      outcome = `${peer.kind} ${peer.version}`;
      assert.equal(listeners, peer.kind === 'sandbox2' ? [50] : []);
    } catch (error) {
      if (!(error instanceof CommsError)) throw error;
      outcome = error.code;
    }
    assert.is(outcome, expected, version.slice(0, 20));
  }
});

test.run();
