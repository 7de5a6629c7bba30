// Calls that wait where they stand: on sockets that somebody else made non-blocking, which they stay, and for a time.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addon } from '../../native/addon.js';
import { Comms } from '../../native/comms.js';
import { CommsError, Tag } from '../../protocol/index.js';
import { handleFd } from '../support/fds.js';
import { hangMs } from '../support/time.js';

const test = suite('waiting on a socket');

const O_NONBLOCK = 0o4000;
const isNonBlocking = (fd: number): boolean => {
  const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
  return (Number.parseInt(flags?.[1] ?? '', 8) & O_NONBLOCK) !== 0;
};

/** Both ends of a connection as libuv makes them. */
async function nonBlockingPair(): Promise<[number, number]> {
  const folder = mkdtempSync(join(tmpdir(), 'sandwire-'));
  const server = createServer().listen(join(folder, 'socket'));
  await once(server, 'listening');
  const near = connect(join(folder, 'socket'));
  const [far] = (await once(server, 'connection')) as [Socket];
  const fds: [number, number] = [addon().duplicate(handleFd(near)), addon().duplicate(handleFd(far))];
  near.destroy();
  far.destroy();
  server.close();
  rmSync(folder, { recursive: true });
  assert.equal(fds.map(isNonBlocking), [true, true]);
  return fds;
}

/** A channel on a socket that libuv made non-blocking, a process that has the other end as its fd 3, and what it says. */
function startOtherEnd(script: string): { comms: Comms; fd: number; output: Promise<string> } {
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
  const [, stdout, , socket] = child.stdio;
  assert.ok(stdout && socket);
  const fd = addon().duplicate(handleFd(socket));
  socket.destroy();
  assert.ok(isNonBlocking(fd));
  return { comms: new Comms(fd), fd, output: text(stdout as Readable) };
}

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof CommsError) return error.code;
    throw error;
  }
  return 'no error';
}

const barrier = String.raw`\003\001\000\200\000\000\000\000\000\000\000\000`;

test('a synchronous receive waits for what comes later, and for no longer than it is told', async () => {
  // The second comes when this end has said something.
  const script = `sleep 0.2; printf '${barrier}' >&3; head -c 12 <&3 > /dev/null; printf '${barrier}' >&3`;
  const { comms, fd, output } = startOtherEnd(script);
  comms.recvBarrierSync();
  assert.is(
    codeOf(() => comms.recvBarrierSync({ timeoutMs: 20 })),
    'TIMEOUT',
  );
  comms.sendBarrierSync();
  comms.recvBarrierSync({ timeoutMs: hangMs });
  assert.is(
    codeOf(() => comms.recvBarrierSync()),
    'CLOSED',
  );
  assert.ok(isNonBlocking(fd), 'it is others’ too');
  comms.close();
  await output;
});

test('synchronous sends wait for room, large and small ones, and the stream stays whole', async () => {
  for (const [size, count] of [
    [2_000_000, 2],
    [2000, 2000],
  ] as const) {
    const { comms, output } = startOtherEnd('sleep 0.2; wc -c <&3');
    for (let i = 0; i < count; i++) comms.sendBytesSync(new Uint8Array(size));
    assert.is(comms.pendingBytes, 0);
    comms.close();
    assert.is(Number(await output), count * (size + 12));
  }
});

test('asynchronous and synchronous calls of both ends go on with each other', async () => {
  const [near, far] = await nonBlockingPair();
  const [left, right] = [new Comms(near), new Comms(far)];
  for (let i = 0; i < 50; i++) {
    left.sendUint32Sync(i);
    assert.is(await right.recvUint32(), i);
    await right.sendFd(0);
    addon().closeFd(left.recvFdSync());
  }
  left.close();
  right.close();
});

for (const [what, makePair] of [
  ['as it comes', async (): Promise<[number, number]> => addon().socketPair()],
  ['non-blocking', nonBlockingPair],
] as const) {
  test(`exchangeSync keeps its time though nobody reads: ${what}`, async () => {
    const [left, right] = (await makePair()).map((fd) => new Comms(fd)) as [Comms, Comms];
    const bytes = new Uint8Array(4 << 20).fill(1);
    const started = performance.now();
    assert.is(
      codeOf(() => left.exchangeSync(5, bytes, { timeoutMs: 100 })),
      'TIMEOUT',
    );
    const took = performance.now() - started;
    assert.ok(took >= 99, `${took} ms`);
    assert.ok(left.pendingBytes > 0);
    bytes.fill(2); // the caller's again
    const { tag, payload } = await right.recvMessage();
    assert.equal([tag, payload.length, payload.every((byte) => byte === 1)], [5, bytes.length, true]);
    await right.sendTlv(6, Uint8Array.of(9));
    assert.equal(await left.recvTlv(6), Uint8Array.of(9), 'the answer is the next call’s');
    await right.sendBarrier();
    assert.is(left.exchangeSync(7, Uint8Array.of(1), { timeoutMs: hangMs }).tag, Tag.Barrier);
    left.close();
    right.close();
  });

  test(`exchange keeps its time though nobody reads: ${what}`, async () => {
    for (const code of ['TIMEOUT', 'ABORTED']) {
      const options = code === 'TIMEOUT' ? { timeoutMs: 50 } : { signal: AbortSignal.timeout(50) };
      const [left, right] = (await makePair()).map((fd) => new Comms(fd)) as [Comms, Comms];
      const bytes = new Uint8Array(4 << 20).fill(1);
      const failure: unknown = await left.exchange(5, bytes, options).catch((error) => error);
      assert.is((failure as CommsError).code, code);
      bytes.fill(2);
      const { payload } = await right.recvMessage();
      assert.ok(payload.length === bytes.length && payload.every((byte) => byte === 1));
      await right.sendTlv(6, Uint8Array.of(9));
      assert.equal(await left.recvTlv(6), Uint8Array.of(9));
      left.close();
      right.close();
    }
  });
}

test('an exchange that gave up, and whose bytes were taken away, ends the channel and says why', async () => {
  const [left, right] = addon()
    .socketPair()
    .map((fd) => new Comms(fd)) as [Comms, Comms];
  const bytes = new Uint8Array(4 << 20);
  const aborter = new AbortController();
  const pending = left.exchange(5, bytes, { signal: aborter.signal }).catch((error) => error);
  assert.is(await right.peekTag(), 5, 'it is in the middle of it');
  structuredClone(bytes, { transfer: [bytes.buffer] });
  aborter.abort();
  assert.is((await pending).code, 'ABORTED');
  const received = right.recvMessage().catch((error) => error);
  assert.match((await left.recvUint32().catch((error) => error)).message, /given to exchange were detached/);
  left.close();
  assert.is((await received).code, 'TRUNCATED');
  right.close();
});

test('an exchange that fails to send says so', async () => {
  const [left, right] = addon()
    .socketPair()
    .map((fd) => new Comms(fd)) as [Comms, Comms];
  const pending = left.exchange(5, new Uint8Array(4 << 20), { timeoutMs: hangMs }).catch((error) => error);
  await new Promise((resolve) => setImmediate(resolve));
  right.close();
  assert.match((await pending).message, /^exchange on fd \d+: the other end has closed \(CLOSED\)$/);
  left.close();
});

test.run();
