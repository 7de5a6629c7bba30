// What a program can do wrong with a channel – from JavaScript, above all – and that nothing but the one call suffers.
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readdirSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addon } from '../../native/addon.js';
import { Buffer as SharedBuffer } from '../../native/buffer.js';
import { Comms } from '../../native/comms.js';
import { CommsError, encodeMessage, Tag } from '../../protocol/index.js';
import { handleFd } from '../support/fds.js';

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

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
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
  calls.push(['sendFd', /TypeError/, -1], ['sendFd', /TypeError/, undefined], ['sendFd', /TypeError/, {}]);
  for (const tag of [0x53570000, 0x53570001, 0x5357ffff, 0x80000000, -1, 1.5]) {
    calls.push(['sendTlv', /RangeError.*tag/, tag, new Uint8Array()]);
  }
  for (const [name, expected, ...values] of calls) {
    const error = await failure(
      (left as unknown as Untyped)[name]?.call(left, ...values) as Promise<unknown>,
    );
    assert.match(`${error.name} ${error.message}`, expected, `${name} ${String(values).slice(0, 20)}`);
    assert.throws(() => (left as unknown as Untyped)[`${name}Sync`]?.call(left, ...values));
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
  assert.match(String(await failure(left.recvBytesInto(10 as never))), /Uint8Array/);
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
  const datagrams = createSocket('udp4').bind(0, '127.0.0.1');
  await once(datagrams, 'listening');
  for (const socket of [client, datagrams]) {
    assert.throws(() => new Comms(handleFd(socket)), /fd \d+ is no Unix stream socket/);
  }
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
  for (let i = 0; i < 20 && openFds() > before; i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.ok(openFds() <= before, `${openFds()} fds, ${before} before`);
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
