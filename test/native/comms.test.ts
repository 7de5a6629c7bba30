// Comms over real sockets: what needs the kernel. The rest is in test/protocol.
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addon } from '../../native/addon.js';
import { Comms } from '../../native/comms.js';
import { CommsError, Tag } from '../../protocol/index.js';
import { countFds, fdsBecome } from '../support/fds.js';

const test = suite('comms over sockets');

function makePair(): [Comms, Comms] {
  const [a, b] = addon().socketPair();
  return [new Comms(a), new Comms(b)];
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: unknown) => {
      if (error instanceof CommsError) return error.code;
      throw error;
    },
  );
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

/** A test that leaves no fd open. (Not by uvu's hooks: one that throws ends the run as if all were well.) */
function add(name: string, body: () => void | Promise<void>): void {
  test(name, async () => {
    const before = countFds();
    await body();
    await fdsBecome(before); // no fd is left open
  });
}

const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
const file = path.join(folder, 'file');
writeFileSync(file, 'content of a file');

test.before(async () => {
  const [left, right] = makePair(); // the event loop opens fds of its own when first used
  const sent = left.sendUint32(1);
  await right.recvUint32();
  await sent;
  left.close();
  right.close();
  await (await open(file)).close();
  // What is closed in a thread is so some time after: the first test counts when that is over.
  for (let last = -1, count = countFds(); last !== count; count = countFds()) {
    last = count;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
});
test.after(() => rmSync(folder, { recursive: true }));

add('what is no socket is refused, and stays the caller’s', () => {
  const fd = openSync(file, 'r');
  assert.throws(() => new Comms(fd), /ENOTSOCK/);
  assert.throws(() => new Comms(1_000_000), /EBADF/);
  readFileSync(fd);
  addon().closeFd(fd);
});

add('credentials: by the kernel’s word, once they are enabled', async () => {
  const [left, right] = makePair();
  await left.sendCredentials();
  assert.is(await codeOf(right.recvCredentials()), 'NO_CREDENTIALS');
  assert.is(await right.peekTag(), Tag.Creds, 'it is still there');
  assert.is((await right.recvMessage()).credentials, undefined);
  left.sendCredentialsSync(); // too early
  right.enableCredentials();
  assert.is(
    codeOfSync(() => right.recvCredentialsSync()),
    'NO_CREDENTIALS',
  );
  right.recvTlvSync(Tag.Creds);
  const own = { pid: process.pid, uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1 };
  await Promise.all([left.sendUint32(1), left.sendCredentials(), left.sendFd(0), left.sendCredentials()]);
  assert.is(await codeOf(right.recvCredentials()), 'TAG_MISMATCH');
  assert.is(await right.recvUint32(), 1);
  assert.equal(await right.recvCredentials(), own);
  addon().closeFd(await right.recvFd());
  assert.equal((await right.recvMessage()).credentials, own);
  assert.equal(left.peerCredentials(), own);
  const late = right.recvCredentials();
  await left.sendCredentials();
  assert.equal(await late, own);
  left.close();
  assert.is(await codeOf(right.recvCredentials()), 'CLOSED');
  right.close();
  assert.throws(() => right.enableCredentials(), /closed/);
});

add('an fd from a FileHandle, and as one', async () => {
  const [left, right] = makePair();
  await using handle = await open(file);
  await left.sendFd(handle);
  const received = await right.recvFileHandle();
  assert.is.not(received.fd, handle.fd);
  assert.is(await received.readFile('utf8'), 'content of a file');
  assert.match(
    readFileSync(`/proc/self/fdinfo/${received.fd}`, 'utf8'),
    /^flags:\s+0?2\d*$/m,
    'close-on-exec',
  );
  await received.close();
  const [pipeEnd, other] = addon().socketPair();
  await left.sendFd({ fd: pipeEnd });
  assert.is(await codeOf(right.recvFileHandle()), 'INVALID_VALUE');
  addon().closeFd(pipeEnd);
  addon().closeFd(other);
  assert.throws(() => left.sendFdSync(-1), /open file descriptor/);
  assert.throws(() => left.sendFdSync({ fd: undefined } as never), /open file descriptor/);
  left.close();
  right.close();
});

add('an fd as a stream', async () => {
  const [left, right] = makePair();
  const fd = openSync(file, 'r');
  await left.sendFd(fd);
  addon().closeFd(fd);
  assert.is(await text(await right.recvReadable()), 'content of a file');

  const [ours, theirs] = addon().socketPair();
  await left.sendFd(theirs);
  addon().closeFd(theirs);
  const writable = await right.recvWritable();
  await left.sendFd(ours);
  addon().closeFd(ours);
  const readable = await right.recvReadable();
  writable.end('through a socket');
  assert.is(await text(readable), 'through a socket');
  readable.destroy();
  await new Promise((resolve) => setTimeout(resolve, 20));

  for (const bad of ['/dev/zero', '/']) {
    const device = openSync(bad, 'r');
    await left.sendFd(device);
    assert.is(await codeOf(right.recvReadable()), 'INVALID_VALUE');
    await left.sendFd(device);
    assert.is(await codeOf(right.recvWritable()), 'INVALID_VALUE');
    addon().closeFd(device);
  }
  left.close();
  right.close();
});

add('every receive can be given up, and loses nothing by it', async () => {
  const [left, right] = makePair();
  const receives: Record<
    string,
    (options: { timeoutMs?: number; signal?: AbortSignal }) => Promise<unknown>
  > = {
    bool: (o) => right.recvBool(o),
    int8: (o) => right.recvInt8(o),
    uint64: (o) => right.recvUint64(o),
    string: (o) => right.recvString(o),
    stringBytes: (o) => right.recvStringBytes(o),
    bytes: (o) => right.recvBytes(o),
    bytesInto: (o) => right.recvBytesInto(new Uint8Array(1), o),
    protobufBytes: (o) => right.recvProtobufBytes(o),
    protobuf: (o) => right.recvProtobuf({ decode: (bytes) => bytes }, o),
    status: (o) => right.recvStatus(o),
    value: (o) => right.recvValue(o),
    barrier: (o) => right.recvBarrier(o),
    fd: (o) => right.recvFd(o),
    fileHandle: (o) => right.recvFileHandle(o),
    readable: (o) => right.recvReadable(o),
    writable: (o) => right.recvWritable(o),
    credentials: (o) => right.recvCredentials(o),
    tlv: (o) => right.recvTlv(5, o),
    version: (o) => right.recvVersion(o),
    message: (o) => right.recvMessage(o),
    exchange: (o) => right.exchange(5, new Uint8Array(), o),
    peekTag: (o) => right.peekTag(o),
    messages: (o) => right.messages(o).next(),
  };
  for (const [name, receive] of Object.entries(receives)) {
    assert.is(await codeOf(receive({ timeoutMs: 1 })), 'TIMEOUT', name);
    const aborter = new AbortController();
    const pending = codeOf(receive({ signal: aborter.signal }));
    aborter.abort();
    assert.is(await pending, 'ABORTED', name);
    assert.is(await codeOf(receive({ signal: AbortSignal.abort() })), 'ABORTED', name);
  }
  assert.is(await codeOf(right.recvUint32({ timeoutMs: 0 })), 'TIMEOUT');
  await left.sendUint32(3);
  assert.is(await right.recvUint32({ timeoutMs: Number.POSITIVE_INFINITY }), 3);
  for (const timeoutMs of [-1, Number.NaN]) {
    assert.throws(() => right.recvUint32Sync({ timeoutMs }), /timeoutMs/);
    await right.recvUint32({ timeoutMs }).then(
      () => assert.unreachable(),
      (error) => assert.instance(error, RangeError),
    );
  }
  left.close();
  right.close();
});

add('synchronous receives: the same, and TIMEOUT in the middle of a message', () => {
  const [a, b] = addon().socketPair();
  const right = new Comms(b);
  const left = new (addon().Socket)(a);
  left.defineCalls();
  const started = performance.now();
  assert.is(
    codeOfSync(() => right.recvUint32Sync({ timeoutMs: 30 })),
    'TIMEOUT',
  );
  assert.ok(performance.now() - started >= 29);
  const message = Uint8Array.of(7, 0, 0, 128, 4, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4);
  left.send(message, 0, 7, -1, true);
  assert.is(
    codeOfSync(() => right.peekTagSync({ timeoutMs: 5 })),
    'TIMEOUT',
  );
  left.send(message, 7, 7, -1, true);
  assert.is(right.peekTagSync(), Tag.Uint32);
  assert.is(
    codeOfSync(() => right.recvUint32Sync({ timeoutMs: 5 })),
    'TIMEOUT',
  );
  left.send(message, 14, 2, -1, true);
  assert.is(right.recvUint32Sync(), 0x04030201);
  left.close();
  assert.is(
    codeOfSync(() => right.recvUint32Sync()),
    'CLOSED',
  );
  right.close();
});

add('a synchronous call never overtakes an asynchronous receive', async () => {
  const [left, right] = makePair();
  const pending = right.recvUint32();
  for (const call of [
    () => right.recvUint32Sync(),
    () => right.peekTagSync(),
    () => right.recvMessageSync(),
    () => right.exchangeSync(9, new Uint8Array()),
  ]) {
    assert.is(codeOfSync(call), 'BUSY');
  }
  left.sendUint32Sync(1);
  left.sendUint32Sync(2);
  assert.is(await pending, 1);
  assert.is(right.recvUint32Sync(), 2);
  assert.is(
    codeOfSync(() => left.recvMessageSync({ timeoutMs: 1 })),
    'TIMEOUT',
    'an exchange that fails with BUSY has sent nothing',
  );
  const sent = [left.sendUint32(3), left.sendUint32(4)];
  left.sendUint32Sync(5); // takes the pending ones along, in order
  assert.equal([right.recvUint32Sync(), right.recvUint32Sync(), right.recvUint32Sync()], [3, 4, 5]);
  await Promise.all(sent);
  left.close();
  right.close();
});

add('exchange: what is sent, then what comes, both ways', async () => {
  const [left, right] = makePair();
  const server = (async () => {
    for await (const { tag, payload } of right) await right.sendTlv(tag + 1, payload);
  })();
  const bytes = Uint8Array.of(1, 2, 3);
  const [first, second] = await Promise.all([left.exchange(10, bytes), left.exchange(20, bytes)]);
  assert.equal([first.tag, second.tag, [...second.payload]], [11, 21, [1, 2, 3]]);
  assert.throws(() => left.exchangeSync(Tag.Uint32, bytes), /0x7fffffff/);
  left.close();
  await server;
  right.close();
});

add('an exchange that cannot send waits for no answer', async () => {
  const [left, right] = makePair();
  left.highWaterMark = 10;
  const large = left.sendBytes(new Uint8Array(4 << 20)); // more than a socket holds
  assert.is(await codeOf(left.exchange(10, new Uint8Array(1))), 'BUSY');
  const next = left.recvUint32();
  assert.is((await right.recvBytes()).length, 4 << 20);
  await large;
  await right.sendUint32(6);
  assert.is(await next, 6);
  left.close();
  right.close();
});

add('backpressure: sends wait for a slow reader, and memory is bounded', async () => {
  const [left, right] = makePair();
  left.highWaterMark = 1 << 20;
  const piece = new Uint8Array(64 << 10);
  let taken = 0;
  let refused = 0;
  const sends: Promise<void>[] = [];
  for (let i = 0; i < 100; i++) {
    sends.push(
      left.sendBytes(piece).then(
        () => void taken++,
        (error: unknown) => {
          assert.is((error as CommsError).code, 'BUSY');
          refused++;
        },
      ),
    );
  }
  assert.ok(left.pendingBytes <= (1 << 20) + piece.length + 12, `${left.pendingBytes} pending`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(taken < 20, `${taken} taken while nobody reads`);
  assert.ok(refused > 70, `${refused} refused`);
  const total = 100 - refused;
  for (let i = 0; i < total; i++) assert.is((await right.recvBytes()).length, piece.length);
  await Promise.all(sends);
  assert.is(left.pendingBytes, 0);
  left.close();
  right.close();
});

add('large messages arrive whole, in memory of their own', async () => {
  const [left, right] = makePair();
  for (const size of [65_523, 65_524, 65_525, 1 << 20, (5 << 20) + 1]) {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i += 997) bytes[i] = i;
    const sent = [left.sendBytes(bytes), left.sendUint32(7), left.sendFd(0), left.sendBytes(bytes)];
    const first = await right.recvBytes();
    assert.is(Buffer.compare(first, bytes), 0, `${size}`);
    assert.is(await right.recvUint32(), 7);
    addon().closeFd(await right.recvFd());
    assert.is(await codeOf(right.recvString()), 'TAG_MISMATCH');
    const target = new Uint8Array(size);
    assert.is(await codeOf(right.recvBytesInto(target.subarray(1))), 'TOO_LARGE');
    assert.is(await right.recvBytesInto(target), size);
    assert.is(Buffer.compare(target, bytes), 0);
    await Promise.all(sent);
  }
  left.close();
  right.close();
});

add('death in the middle of a large message', async () => {
  const [a, b] = addon().socketPair();
  const right = new Comms(b);
  const header = Uint8Array.of(1, 1, 0, 128, 0, 0, 0, 8, 0, 0, 0, 0); // 128 MiB are promised
  const left = new (addon().Socket)(a);
  left.defineCalls();
  left.send(header, 0, 12, -1, true);
  left.send(new Uint8Array(5000), 0, 5000, -1, true);
  const pending = codeOf(right.recvBytes());
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(process.memoryUsage().arrayBuffers < 64 << 20, 'what was promised is not allocated');
  left.close();
  assert.is(await pending, 'TRUNCATED');
  right.close();
});

add('an fd in the middle of a large payload is closed, and the channel with it', async () => {
  const [a, b] = addon().socketPair();
  const right = new Comms(b);
  const left = new (addon().Socket)(a);
  left.defineCalls();
  left.send(Uint8Array.of(1, 1, 0, 128, 0, 0, 2, 0, 0, 0, 0, 0), 0, 12, -1, true);
  left.send(new Uint8Array(100), 0, 100, -1, true);
  const pending = codeOf(right.recvBytes());
  await new Promise((resolve) => setTimeout(resolve, 10));
  left.send(new Uint8Array(100), 0, 100, 0, true);
  assert.is(await pending, 'SURPLUS_FD');
  left.close();
  right.close();
});

add('an idle channel does not keep the process alive', async () => {
  const script = `
    import { addon } from ${JSON.stringify(new URL('../../native/addon.js', import.meta.url).href)};
    import { Comms } from ${JSON.stringify(new URL('../../native/comms.js', import.meta.url).href)};
    const [a, b] = addon().socketPair();
    globalThis.kept = [new Comms(a), new Comms(b)];
    await kept[0].sendUint32(1);
    console.log(await kept[1].recvUint32());`;
  const { run } = await import('../support/command.js');
  const { stdout, code } = await run(process.execPath, ['--input-type=module', '-e', script]);
  assert.equal([stdout, code], ['1\n', 0]);
});

test.run();
