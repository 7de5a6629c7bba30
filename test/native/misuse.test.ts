// What a program can do wrong with a channel – from JavaScript, above all – and that nothing but the one call suffers.
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addon } from '../../native/addon.js';
import { Buffer as SharedBuffer } from '../../native/buffer.js';
import { Comms } from '../../native/comms.js';
import { CommsError, encodeMessage, Tag } from '../../protocol/index.js';
import { handleFd } from '../support/fds.js';
import { collectGarbage } from '../support/garbage.js';
import { eventually } from '../support/sandbox.js';

const test = suite('misuse of comms');

function makePair(): [Comms, Comms] {
  const [one, other] = addon().socketPair();
  return [new Comms(one), new Comms(other)];
}

async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('it did not fail');
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await failure(promise);
  return error instanceof CommsError ? error.code : error.name;
}

const openFds = (): number => readdirSync('/proc/self/fd').length;

/** The calls as JavaScript has them, without types. */
type Untyped = Record<string, (...values: unknown[]) => Promise<unknown>>;

test('a wrong value is refused by the promise, or thrown by the synchronous call, and nothing is sent', async () => {
  const [left, right] = makePair();
  const calls: [string, RegExp, ...unknown[]][] = [];
  const noBytes = ['abc', 'x'.repeat(100_000), [1, 2], new Float64Array(2), new ArrayBuffer(3), null, 5, {}];
  for (const wrong of [...noBytes, new DataView(new ArrayBuffer(3)), undefined]) {
    calls.push(['sendBytes', /TypeError.*Uint8Array/, wrong], ['sendTlv', /TypeError.*Uint8Array/, 5, wrong]);
    calls.push(['sendProtobufBytes', /TypeError.*Uint8Array/, wrong]);
  }
  for (const wrong of [undefined, null, 5, {}, []]) calls.push(['sendString', /TypeError.*string/, wrong]);
  for (const wrong of ['false', 1, undefined]) calls.push(['sendBool', /TypeError.*boolean/, wrong]);
  for (const wrong of [1, '1', undefined]) calls.push(['sendInt64', /TypeError.*bigint/, wrong]);
  for (const wrong of [300, -1, 1.5, '5', undefined, 5n]) calls.push(['sendUint8', /RangeError/, wrong]);
  for (const code of [2 ** 40, 1.5, Number.NaN, '5']) {
    calls.push(['sendStatus', /RangeError.*code/, { code, message: '' }]);
  }
  calls.push(['sendStatus', /TypeError.*string/, { code: 1 }]);
  for (const wrong of [null, undefined, 5]) calls.push(['sendStatus', /TypeError.*a status must be/, wrong]);
  calls.push(['sendStatus', /RangeError.*code/, { code: 5n, message: '' }]);
  for (const payloads of [5, 'x', null, []]) {
    calls.push(['sendStatus', /TypeError.*payloads .*object/, { code: 1, message: '', payloads }]);
  }
  for (const a of ['str', 5, undefined, null, [1], new Float64Array(1)]) {
    calls.push([
      'sendStatus',
      /TypeError.*payload "a" .*Uint8Array/,
      { code: 1, message: '', payloads: { a } },
    ]);
  }
  for (const wrong of [undefined, null, {}, 5])
    calls.push(['sendProtobuf', /TypeError.*encode\(\)/, wrong, {}]);
  calls.push(['sendProtobuf', /TypeError.*Uint8Array/, { encode: () => ({ finish: () => 'x' }) }, {}]);
  calls.push(['sendFd', /TypeError.*not null/, null], ['sendFd', /TypeError.*not string/, '1']);
  calls.push(
    ['sendFd', /TypeError.*not Object/, { fd: 'x' }],
    ['sendStringBytes', /TypeError.*Uint8Array/, 'x'],
  );
  calls.push(
    ['sendInt8', /RangeError.*symbol is no Int8/, Symbol('x')],
    ['sendTlv', /RangeError.*symbol/, Symbol('x'), 1],
  );
  calls.push(['sendValue', /TypeError.*function/, () => 1], ['sendVersion', /TypeError.*string/, 5]);
  calls.push(['sendFd', /TypeError/, -1], ['sendFd', /TypeError/, undefined], ['sendFd', /TypeError/, {}]);
  for (const tag of [0x53570000, 0x53570001, 0x5357ffff, 0x80000000, -1, 1.5]) {
    calls.push(['sendTlv', /RangeError.*tag/, tag, new Uint8Array()]);
  }
  for (const [name, expected, ...values] of calls) {
    const error = await failure(
      (left as unknown as Untyped)[name]?.call(left, ...values) as Promise<unknown>,
    );
    const what = `${name} ${values.map(String).join().slice(0, 20)}`;
    assert.match(`${error.name} ${error.message}`, expected, what);
    assert.ok(error.message.startsWith(`${name}: `), `${what}: ${error.message}`);
    assert.throws(
      () => (left as unknown as Untyped)[`${name}Sync`]?.call(left, ...values),
      (thrown: Error) => expected.test(`${thrown.name} ${thrown.message}`),
    );
    assert.is(left.pendingBytes, 0);
  }
  await left.sendUint32(7);
  assert.is(await right.recvUint32(), 7, 'the first that came');
  left.close();
  right.close();
});

test('options that are none are refused before anything is awaited or sent', async () => {
  const [left, right] = makePair();
  const receive = left as unknown as Untyped;
  const wrongTimes = [{ timeout: 5 }, { timeoutMs: -1 }, { timeoutMs: '1' }];
  const wrongSignals = [{}, 'x', null, 5, new AbortController()].map((signal) => ({ signal }));
  for (const options of [...wrongTimes, ...wrongSignals, 5, null]) {
    for (const name of ['recvUint32', 'recvMessage', 'peekTag']) {
      const error = await failure(receive[name]?.call(left, options) as Promise<unknown>);
      assert.match(error.name, /^(Type|Range)Error$/, `${name} ${JSON.stringify(options)}`);
      assert.throws(() => receive[`${name}Sync`]?.call(left, options));
    }
    await failure(left.exchange(5, new Uint8Array(1), options as never));
    assert.throws(() => left.exchangeSync(5, new Uint8Array(1), options as never));
  }
  assert.throws(() => left.recvUint32Sync({ signal: AbortSignal.abort() } as never), /signal/);
  assert.match(String(await failure(left.recvBytesInto(10 as never))), /recvBytesInto: .*Uint8Array/);
  for (const wrong of [undefined, null, {}, 5]) {
    assert.match(String(await failure(left.recvProtobuf(wrong as never))), /recvProtobuf: .*decode\(\)/);
    assert.throws(() => left.recvProtobufSync(wrong as never), /recvProtobuf: .*decode\(\)/);
  }
  for (const wrong of [undefined, null, {}, -1, 1.5]) {
    assert.match(String(await failure(left.recvTlv(wrong as never))), /recvTlv: a tag/);
    assert.match(String(await failure(left.exchange(wrong as never, new Uint8Array()))), /exchange: a tag/);
  }
  assert.is(await codeOf(left.exchange(5, new Uint8Array(1), { signal: AbortSignal.abort() })), 'ABORTED');
  assert.is(await codeOf(right.recvMessage({ timeoutMs: 20 })), 'TIMEOUT');
  left.close();
  right.close();
});

test('a signal of another realm is one', async () => {
  const [left, right] = makePair();
  const signal = runInNewContext('make()', {
    make: () => Object.setPrototypeOf(AbortSignal.abort(), AbortSignal.prototype),
  });
  assert.is(await codeOf(left.recvUint32({ signal })), 'ABORTED');
  left.close();
  right.close();
});

test('many receives may wait for one signal, and nothing of them stays', async () => {
  const [left, right] = makePair();
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  const aborter = new AbortController();
  const { signal } = aborter;
  let listeners = 0;
  for (const [name, change] of [
    ['addEventListener', 1],
    ['removeEventListener', -1],
  ] as const) {
    const original = signal[name].bind(signal) as (...values: unknown[]) => void;
    Object.defineProperty(signal, name, {
      value: (...values: unknown[]) => {
        listeners += change;
        original(...values);
      },
    });
  }
  const served = Array.from({ length: 30 }, () => left.recvUint32({ signal }));
  assert.is(listeners, 1);
  await Promise.all(served.map((_, i) => right.sendUint32(i)));
  assert.equal(
    await Promise.all(served),
    served.map((_, i) => i),
  );
  assert.is(listeners, 0);
  const codes = Array.from({ length: 30 }, () => codeOf(left.recvUint32({ signal })));
  const other = left.recvUint32();
  aborter.abort();
  assert.equal(new Set(await Promise.all(codes)), new Set(['ABORTED']));
  await right.sendUint32(77);
  assert.is(await other, 77);
  await new Promise((resolve) => setTimeout(resolve, 5));
  process.off('warning', onWarning);
  assert.equal(warnings, []);
  left.close();
  right.close();
});

test('what is no Unix stream socket makes no channel', async () => {
  const values = [-1, 1.5, Number.NaN, 2 ** 32 + 1, 2 ** 40, '3', null, undefined, {}, [], true, 3n];
  for (const value of values) {
    assert.throws(
      () => new Comms(value as never),
      (error: unknown) => error instanceof TypeError && /is needed/.test(error.message),
      String(value),
    );
  }
  const file = openSync('/dev/null', 'r');
  assert.throws(() => new Comms(file), /ENOTSOCK/);
  closeSync(file);
  assert.throws(() => new Comms(file), /EBADF/);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(client, 'connect');
  assert.throws(() => new Comms(handleFd(client)), /fd \d+ is no Unix stream socket/);
  const datagrams = createSocket('udp4').bind(0, '127.0.0.1');
  await once(datagrams, 'listening');
  const ports = readFileSync('/proc/self/net/udp', 'utf8').split('\n');
  const hexPort = datagrams.address().port.toString(16).toUpperCase().padStart(4, '0');
  const inode = ports
    .find((line) => line.includes(`0100007F:${hexPort} `))
    ?.trim()
    .split(/\s+/)[9];
  const fds = readdirSync('/proc/self/fd').filter((fd) => existsSync(`/proc/self/fd/${fd}`));
  const datagramFd = fds.find((fd) => String(fstatSync(Number(fd)).ino) === inode);
  assert.throws(() => new Comms(Number(datagramFd)), /fd \d+ is no Unix stream socket/);
  client.destroy();
  server.close();
  datagrams.close();
});

test('an fd that is not open fails its own send and nothing else', async () => {
  const [left, right] = makePair();
  const closed = openSync('/dev/null', 'r');
  closeSync(closed);
  await right.sendString('important');
  const sends = [left.sendUint8(1), left.sendFd(closed), left.sendUint8(2), left.sendFd(0)];
  const results = await Promise.allSettled(sends);
  assert.equal(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  );
  const { message } = await failure(sends[1] as Promise<void>);
  assert.match(message, /^sendFd on fd \d+: fd \d+ cannot be sent: .*EBADF.*\(SYSTEM\)$/);
  assert.throws(() => left.sendFdSync(closed), /sendFd .*EBADF/);
  assert.is(left.pendingBytes, 0);
  assert.is(await right.recvUint8(), 1);
  assert.is(await right.recvUint8(), 2);
  closeSync(await right.recvFd());
  assert.is(await left.recvString(), 'important');
  left.close();
  right.close();
});

test('a failure names the call, and flush() tells of it', async () => {
  const [left, right] = makePair();
  const pending = failure(left.sendBytes(new Uint8Array(4 << 20)));
  await new Promise((resolve) => setImmediate(resolve));
  right.close();
  assert.match((await pending).message, /^sendBytes on /);
  assert.is(await codeOf(left.flush()), 'CLOSED');
  left.close();
  assert.is(await codeOf(left.sendUint8(1)), 'CLOSED');
  for (const call of [() => left.peerCredentials(), () => left.enableCredentials()]) {
    assert.throws(call, (error: unknown) => error instanceof CommsError && error.code === 'CLOSED');
  }
});

test('many small sends that nobody awaits are bounded by the memory they take', async () => {
  const [left, right] = makePair();
  left.highWaterMark = 1 << 20;
  const sends: Promise<void>[] = [];
  let code = '';
  for (let i = 0; i < 100_000 && code === ''; i++) {
    const sent = left.sendBarrier();
    sent.catch((error: CommsError) => {
      code = error.code;
    });
    sends.push(sent);
    if (i % 100 === 0) await null;
  }
  assert.is(code, 'BUSY');
  assert.ok(sends.length < 40_000, `${sends.length} sends`); // the kernel takes some too
  left.close();
  right.close();
  await Promise.allSettled(sends);
});

test('a message that came in time is taken though the host was busy', async () => {
  const [left, right] = makePair();
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    const received = left.recvUint8({ timeoutMs: 5 });
    right.sendUint8Sync(i);
    const started = performance.now();
    while (performance.now() - started < 15);
    assert.is(await received, i);
  }
  left.close();
  right.close();
});

test('a status has whatever details its sender likes', async () => {
  const [left, right] = makePair();
  const one = Uint8Array.of(1);
  const payloads = { low: one, high: one, unsigned: one };
  await left.sendStatus({ code: -1, message: 'm', payloads });
  assert.equal(await right.recvStatus(), { code: -1, message: 'm', payloads });
  await left.sendProtobufBytes(encodeMessage('StatusProto', { payloads }));
  assert.equal((await right.recvStatus()).payloads, payloads);
  left.close();
  right.close();
});

test('a status may have details of another realm', async () => {
  const [left, right] = makePair();
  const foreign = runInNewContext('Uint8Array.of(1, 2)') as Uint8Array;
  await left.sendStatus({ code: 1, message: '', payloads: { foreign } });
  assert.equal((await right.recvStatus()).payloads, { foreign: Uint8Array.of(1, 2) });
  left.close();
  right.close();
});

test('a string as its bytes', async () => {
  const [left, right] = makePair();
  const bytes = Uint8Array.of(0x61, 0xff);
  await left.sendStringBytes(bytes);
  left.sendStringBytesSync(new TextEncoder().encode('é'));
  assert.is(await codeOf(right.recvString()), 'INVALID_VALUE');
  assert.equal(await right.recvStringBytes(), bytes);
  assert.is(await right.recvString(), 'é');
  left.close();
  right.close();
});

/** Takes memory away from those who use it, in two ways. */
const takings: Record<string, (bytes: Uint8Array) => void> = {
  detached: (bytes) => void structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] }),
  shrunk: (bytes) => (bytes.buffer as unknown as { resize(size: number): void }).resize(10),
};
const memory = (size: number): Uint8Array =>
  new Uint8Array(new (ArrayBuffer as unknown as ResizableMaker)(size, { maxByteLength: size }));
type ResizableMaker = new (size: number, options: { maxByteLength: number }) => ArrayBuffer;

for (const [how, take] of Object.entries(takings)) {
  test(`memory that is ${how} while a message comes into it`, async () => {
    for (const code of ['TRUNCATED', 'ABORTED']) {
      const aborter = new AbortController();
      const [one, other] = addon().socketPair();
      const raw = new (addon().Socket)(other);
      raw.defineCalls();
      const comms = new Comms(one);
      const target = memory(200_000);
      const received = failure(comms.recvBytesInto(target, { signal: aborter.signal }));
      raw.send(Uint8Array.of(1, 1, 0, 128, 0xf0, 0x49, 2, 0, 0, 0, 0, 0), 0, 12, -1, true); // 150,000
      raw.send(new Uint8Array(100_000), 0, 100_000, -1, true);
      await new Promise((resolve) => setTimeout(resolve, 20));
      take(target);
      if (code === 'TRUNCATED') raw.send(new Uint8Array(50_000), 0, 50_000, -1, true);
      else aborter.abort();
      const error = (await received) as CommsError;
      assert.is(error.code, code);
      const next = (await failure(comms.recvUint32())) as CommsError;
      for (const one of code === 'TRUNCATED' ? [error, next] : [next]) {
        assert.is(one.code, 'TRUNCATED');
        assert.match(
          one.message,
          /^recv\w+ on fd \d+: the memory given to recvBytesInto was detached or shrunk/,
        );
      }
      assert.throws(() => comms.sendUint8Sync(1), /TRUNCATED/);
      raw.close();
      comms.close();
    }
  });

  test(`memory that is ${how} while it is sent`, async () => {
    const [left, right] = makePair();
    const bytes = memory(4 << 20);
    const sent = failure(left.sendBytes(bytes));
    await new Promise((resolve) => setTimeout(resolve, 20));
    take(bytes);
    const received = codeOf(right.recvBytes());
    const error = (await sent) as CommsError;
    assert.is(error.code, 'TRUNCATED');
    assert.match(error.message, /^sendBytes on .*the bytes given to sendBytes were detached or shrunk/);
    assert.is(await codeOf(left.recvUint32()), 'TRUNCATED');
    left.close();
    assert.is(await received, 'TRUNCATED');
    right.close();
  });
}

test('an fd for which there is no room is not the other end’s fault', () => {
  const fixture = fileURLToPath(new URL('fixtures/out-of-fds.js', import.meta.url));
  const command = `ulimit -n 100 && exec "${process.execPath}" "${path.normalize(fixture)}"`;
  const output = execFileSync('sh', ['-c', command], { encoding: 'utf8' }).trim().split('\n');
  assert.is(output.length, 2);
  for (const line of output) assert.match(line, /^true SYSTEM recvFd on .*EMFILE/);
});

test('a channel that nobody can reach any more is closed', async () => {
  const run = async () => {
    const [left, right] = makePair();
    const received = right.recvUint32();
    await left.sendUint32(1);
    await received;
  };
  await run(); // the event loop opens fds of its own when first used
  const before = openFds();
  for (let i = 0; i < 20; i++) await run();
  await eventually('the fds are closed', () => {
    collectGarbage();
    return openFds() <= before;
  });
});

test('a buffer that cannot be mapped so large stays as it is; maxBytes holds for mapped ones', () => {
  const buffer = SharedBuffer.create(4096);
  assert.throws(() => addon().growBufferFd(buffer.fd, 2 ** 50), /ENOMEM/);
  assert.is(fstatSync(buffer.fd).size, 4096);
  buffer.expand(8192);
  assert.is(buffer.size, 8192);
  const duplicate = addon().duplicate(buffer.fd);
  assert.throws(() => SharedBuffer.fromFd(duplicate, { maxBytes: 4096 }), /more than 4096/);
  SharedBuffer.fromFd(duplicate, { maxBytes: 8192 }).dispose();
  buffer.dispose();
  assert.throws(() => SharedBuffer.create(new Float64Array(3) as never), /not Float64Array$/);
});

test('sendTlv takes any tag of the user’s', async () => {
  const [left, right] = makePair();
  for (const tag of [0, 5, 0x5356ffff, 0x53580000, 0x7fffffff]) {
    await left.sendTlv(tag, Uint8Array.of(1));
    assert.equal(await right.recvTlv(tag), Uint8Array.of(1));
  }
  await left.sendBarrier();
  assert.is(await right.peekTag(), Tag.Barrier);
  left.close();
  right.close();
});

test.run();
