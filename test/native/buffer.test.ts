// Buffer: shared memory as a Uint8Array.
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  read,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { deflate } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Buffer as FromHost } from '../../host/index.js';
import { addon } from '../../native/addon.js';
import { Buffer, BufferError } from '../../native/buffer.js';
import { Buffer as FromSandboxee } from '../../sandboxee-node/index.js';
import { countFds, fdsBecome } from '../support/fds.js';
import { collectGarbage } from '../support/garbage.js';
import { checkout, eventually } from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { hangMs } from '../support/time.js';

const test = suite('Buffer');

/** The inode of each mapping of a buffer in this process. */
const mappedBuffers = () =>
  [...readFileSync('/proc/self/maps', 'utf8').matchAll(/ (\d+) +\/memfd:sandwire_buffer/g)].map(
    ([, inode]) => inode,
  );

/** Counts mappings of buffers made from now on: what earlier tests have left is collected at any time. */
function watchMappings(): () => number {
  const before = new Set(mappedBuffers());
  return () => mappedBuffers().filter((inode) => !before.has(inode)).length;
}

/** Another Buffer of the same memory, as a received fd would make it. */
const other = (buffer: Buffer): Buffer => Buffer.fromFd(addon().duplicate(buffer.fd));

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof BufferError) return error.code;
    throw error;
  }
  return 'no error';
}

/** Runs a collection of garbage, with the finalizers that come a turn later. */
async function collect(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('bad arguments', async () => {
  const before = countFds();
  for (const size of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '5', null, undefined]) {
    assert.throws(() => Buffer.create(size as never), /Buffer.create: a size from 1/, String(size));
  }
  assert.throws(() => Buffer.create(new Uint8Array()), /size from 1/);
  for (const fd of [-1, 1.5, '3', undefined, 2 ** 32 + 1]) {
    assert.throws(() => Buffer.fromFd(fd as never), /not a file descriptor number/);
  }
  for (const [options, complaint] of [
    [{ maxBytes: Number.NaN }, /maxBytes must be 0 or more, not NaN/],
    [{ maxBytes: -1 }, /maxBytes must be 0 or more, not -1/],
    [{ maxBytes: '5' }, /maxBytes must be a number, not string/],
    [{ shared: 'no' }, /shared must be true or false, not string/],
    [{ shared: 0 }, /shared must be true or false, not number/],
    [{ size: 1 }, /size/],
    [null, /Buffer\.(create|fromFd)/],
  ] as const) {
    assert.throws(() => Buffer.create(10, options as never), complaint);
    assert.throws(() => Buffer.fromFd(0, options as never), complaint);
  }
  assert.throws(() => Buffer.fromFd(1_000_000), /EBADF/);
  assert.throws(() => Buffer.fromFd(1_000_000, { shared: false }), /EBADF/);
  const buffer = Buffer.create(10);
  for (const size of [-1, 1.5, Number.NaN, 2 ** 60]) assert.throws(() => buffer.expand(size), /expand/);
  assert.is(buffer.size, 10);
  buffer.dispose();
  await fdsBecome(before);
});

test('one class, whichever door it comes through', () => {
  assert.is(FromHost, Buffer);
  assert.is(FromSandboxee, Buffer);
});

test('two mappings show the same bytes, without a copy', () => {
  using buffer = Buffer.create(100_000);
  using mirror = other(buffer);
  assert.ok(buffer.isShared && mirror.isShared);
  assert.is(mirror.size, 100_000);
  buffer.data[0] = 1;
  buffer.data[99_999] = 2;
  assert.equal([mirror.data[0], mirror.data[99_999]], [1, 2]);
  mirror.data.fill(7);
  assert.is(buffer.data[50_000], 7);
  assert.is(buffer.data, buffer.data, 'the same Uint8Array each time');
  const flags = readFileSync(`/proc/self/fdinfo/${buffer.fd}`, 'utf8');
  assert.match(flags, /^flags:\s+0?2\d*$/m, 'close-on-exec');
});

test('from bytes', () => {
  using buffer = Buffer.create(new TextEncoder().encode('hello'));
  using mirror = Buffer.setup(addon().duplicate(buffer.fd));
  assert.is(new TextDecoder().decode(mirror.data.slice()), 'hello');
});

test('it cannot be made smaller by anybody who has the fd', () => {
  using buffer = Buffer.create(8192);
  assert.throws(() => ftruncateSync(buffer.fd, 10), /EPERM/);
  assert.is(buffer.data[8191], 0);
});

test('expand: larger, never smaller, and what the other side has added', () => {
  using buffer = Buffer.create(5000);
  using mirror = other(buffer);
  const early = buffer.data;
  early.fill(1);
  buffer.expand(5000);
  buffer.expand(10);
  assert.is(buffer.data, early, 'nothing changed');
  buffer.expand(300_000);
  assert.is(buffer.size, 300_000);
  assert.equal([buffer.data[4999], buffer.data[5000]], [1, 0]);
  early[0] = 9;
  assert.is(buffer.data[0], 9, 'a view from before is still the same memory');
  assert.is(mirror.size, 5000);
  mirror.expand(0);
  assert.is(mirror.size, 300_000);
  mirror.data[299_999] = 3;
  assert.is(buffer.data[299_999], 3);
});

test('a foreign fd that could be made smaller is refused, with what to do', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  const before = countFds();
  try {
    const file = openSync(path.join(folder, 'file'), constants.O_RDWR | constants.O_CREAT);
    writeSync(file, 'content');
    assert.is(
      codeOf(() => Buffer.fromFd(file)),
      'NOT_MEMORY',
    );
    const copy = Buffer.fromFd(file, { shared: false });
    assert.not(copy.isShared);
    ftruncateSync(file, 2); // what would be SIGBUS with a mapping
    assert.is(new TextDecoder().decode(copy.data), 'content');
    copy.load();
    assert.equal([...copy.data], [99, 111, 0, 0, 0, 0, 0]);
    copy.dispose();

    const [unsealed, readOnly, frozen, empty, large] = makeForeign();
    assert.is(
      codeOf(() => Buffer.fromFd(unsealed)),
      'NOT_SEALED',
    );
    assert.throws(() => Buffer.fromFd(unsealed), /F_SEAL_SHRINK.*SIGBUS.*shared: false/);
    assert.is(
      codeOf(() => Buffer.fromFd(readOnly)),
      'NOT_SEALED',
    );
    assert.is(
      codeOf(() => Buffer.fromFd(frozen)),
      'NOT_SEALED',
    );
    assert.is(
      codeOf(() => Buffer.fromFd(empty)),
      'NOT_MEMORY',
    );
    assert.is(
      codeOf(() => Buffer.fromFd(empty, { shared: false })),
      'EMPTY',
    );
    assert.is(
      codeOf(() => Buffer.fromFd(large, { shared: false })),
      'TOO_LARGE',
      '1 TiB of nothing',
    );
    assert.is(
      codeOf(() => Buffer.fromFd(large, { shared: false, maxBytes: 5 })),
      'TOO_LARGE',
    );
    using frozenCopy = Buffer.fromFd(frozen, { shared: false });
    assert.is(frozenCopy.size, 4096);
    assert.throws(() => frozenCopy.store(), /EPERM|EBADF/);
    for (const fd of [unsealed, readOnly, empty, large]) closeSync(fd);
    const [pipeEnd, theirs] = addon().socketPair();
    assert.is(
      codeOf(() => Buffer.fromFd(pipeEnd, { shared: false })),
      'NOT_MEMORY',
    );
    closeSync(pipeEnd);
    closeSync(theirs);
  } finally {
    rmSync(folder, { recursive: true });
  }
  await fdsBecome(before);
});

/** memfds of another's making: no seals, read-only, sealed against writing, empty, huge. Made by a C program's means. */
function makeForeign(): [number, number, number, number, number] {
  const maker = path.join(checkout, 'build/sandboxees/memory');
  const wanted = ['unsealed', 'read-only', 'frozen', 'empty', 'large'] as const;
  return wanted.map((kind) => {
    const [own, theirs] = addon().socketPair();
    execFileSync(maker, [kind], { stdio: ['ignore', 'inherit', 'inherit', theirs] });
    closeSync(theirs);
    const fds: number[] = [];
    const socket = new (addon().Socket)(own);
    socket.defineCalls();
    assert.ok(socket.receive(new Uint8Array(12), 0, 12, fds, true, hangMs) > 0);
    socket.close();
    return fds[0] ?? -1;
  }) as [number, number, number, number, number];
}

test('after dispose() use throws, and twice is fine', async () => {
  const before = countFds();
  const buffer = Buffer.create(4096);
  buffer.dispose();
  buffer.dispose();
  for (const use of [
    () => buffer.data,
    () => buffer.size,
    () => buffer.fd,
    () => buffer.expand(1),
    () => buffer.load(),
    () => buffer.store(),
  ]) {
    assert.throws(use, /disposed/);
  }
  await fdsBecome(before);
});

test('dispose() unmaps at once: every view is empty then, but not the other Buffer of the memory', () => {
  const countMappings = watchMappings();
  const buffer = Buffer.create(4096);
  using mirror = other(buffer);
  const early = buffer.data;
  buffer.expand(8192);
  buffer.expand(1 << 20);
  const late = buffer.data;
  const part = late.subarray(1000, 2000);
  const view = new DataView(late.buffer, 16);
  assert.is(countMappings(), 4);
  buffer.dispose();
  assert.is(countMappings(), 1);
  for (const empty of [early, late, part]) {
    assert.is(empty.length, 0);
    empty[0] = 1;
    assert.is(empty[0], undefined);
  }
  assert.is(late.buffer.byteLength, 0);
  assert.throws(() => view.getUint8(0), TypeError);
  mirror.data[4095] = 5;
  assert.is(mirror.data[4095], 5);
});

test('views of a copy stay good', () => {
  const buffer = Buffer.create(new Uint8Array([1, 2, 3]), { shared: false });
  const view = buffer.data;
  buffer.dispose();
  assert.equal([...view], [1, 2, 3]);
});

test('without a turn of the event loop, too, nothing piles up', () => {
  const mappingsOfAll = () => readFileSync('/proc/self/maps', 'utf8').split('\n').length;
  const sharedKiB = () => Number(/RssShmem:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
  const countMappings = watchMappings();
  const [before, shared] = [mappingsOfAll(), sharedKiB()];
  for (let i = 0; i < 3000; i++) {
    const buffer = Buffer.create(i % 100 === 0 ? 16 << 20 : 4096);
    buffer.data.fill(1);
    if (i % 10 === 0) buffer.expand(32 << 20);
    buffer.dispose();
  }
  // One whose garbage was collected between expand() and dispose() waits for a turn.
  assert.ok(countMappings() <= 30, `${countMappings()} are mapped`);
  assert.ok(mappingsOfAll() < before + 1000, `${mappingsOfAll()} mappings, ${before} before`);
  assert.ok(sharedKiB() < shared + (32 << 10), `${sharedKiB()} KiB are shared, ${shared} before`);
});

test('a call that is still using the memory of a disposed Buffer harms nobody', async () => {
  const random = openSync('/dev/urandom', 'r');
  const size = 4 << 20;
  const calls: Promise<unknown>[] = [];
  for (let i = 0; i < 10; i++) {
    using buffer = Buffer.create(size);
    using other = Buffer.create(size);
    calls.push(promisify(read)(random, buffer.data, 0, size, null), promisify(deflate)(other.data));
  }
  // What would be mapped in their places.
  const later = Array.from({ length: 20 }, () => new Uint8Array(size));
  await Promise.all(calls);
  assert.ok(later.every((bytes) => bytes.every((byte) => byte === 0)));
  closeSync(random);
});

test('memory of a Buffer that was forgotten is mapped as long as it can be reached, and no longer', async () => {
  await collect();
  const countMappings = watchMappings();
  let view: Uint8Array | undefined;
  const fd = (() => {
    const buffer = Buffer.create(1 << 20);
    view = buffer.data.subarray(1000, 2000);
    view.fill(8);
    return buffer.fd;
  })();
  await collect();
  assert.is(countMappings(), 1);
  assert.is(view?.[999], 8);
  view = undefined;
  await collect();
  await eventually('the mapping is gone', () => {
    collectGarbage();
    return countMappings() === 0;
  });
  addon().closeFd(fd);
});

/** Moves it to another ArrayBuffer, as ECMAScript 2024 can: Node 22 and later. */
function transfer(buffer: Buffer): Uint8Array | undefined {
  const memory = buffer.data.buffer as ArrayBuffer & { transfer?: () => ArrayBuffer };
  return memory.transfer === undefined ? undefined : new Uint8Array(memory.transfer());
}

test('memory that was moved to another ArrayBuffer is mapped as long as that can be reached', async () => {
  await collect();
  const countMappings = watchMappings();
  const buffer = Buffer.create(1 << 20);
  buffer.data.fill(7);
  let moved = transfer(buffer);
  if (moved === undefined) skip('moved memory', 'this Node has no ArrayBuffer.prototype.transfer');
  else {
    assert.is(buffer.size, 0);
    buffer.dispose();
    await collect();
    assert.is(moved[5], 7);
    assert.is(countMappings(), 1);
    moved = undefined;
    await eventually('the mapping is gone', () => {
      collectGarbage();
      return countMappings() === 0;
    });
  }
  buffer.dispose();
});

test('buffers do not pile up over many turns of the event loop', async () => {
  await collect();
  const countMappings = watchMappings();
  for (let i = 0; i < 300; i++) {
    const buffer = Buffer.create(8 << 20); // 2.4 GiB, were they all kept
    buffer.data[0] = 1;
    buffer.dispose();
    if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await collect();
  await eventually('the mappings are gone', () => {
    collectGarbage();
    return countMappings() === 0;
  });
});

test('a copy, where there is no ArrayBuffer over foreign memory', () => {
  using buffer = Buffer.create(new Uint8Array([1, 2, 3]), { shared: false });
  using shared = other(buffer);
  assert.not(buffer.isShared);
  assert.equal([...shared.data], [1, 2, 3]);
  shared.data[0] = 9;
  assert.is(buffer.data[0], 1, 'nothing changes under the reader');
  buffer.load();
  assert.is(buffer.data[0], 9);
  buffer.data[1] = 8;
  assert.is(shared.data[1], 2);
  buffer.store();
  assert.is(shared.data[1], 8);
  buffer.data[2] = 7;
  buffer.expand(10);
  assert.equal([...buffer.data], [9, 8, 7, 0, 0, 0, 0, 0, 0, 0]);
});

test('its memory can be read and written by fs', () => {
  using buffer = Buffer.create(16);
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  const file = path.join(folder, 'file');
  writeFileSync(file, 'from a file');
  const fd = openSync(file, 'r');
  assert.is(readSync(fd, buffer.data, 0, 16, 0), 11);
  closeSync(fd);
  rmSync(folder, { recursive: true });
  assert.is(buffer.data[0], 'f'.charCodeAt(0));
  assert.is(fstatSync(buffer.fd).size, 16);
});

const worker = (buffer: Buffer, how: string) =>
  new Worker(path.join(checkout, 'dist/test/native/fixtures/buffer-worker.js'), {
    stderr: true,
    workerData: { fd: addon().duplicate(buffer.fd), how },
  });

test('worker threads: each maps the fd it is told, and ends as it likes', async () => {
  await collect();
  const countMappings = watchMappings();
  using buffer = Buffer.create(1 << 16);
  const run = (how: string) =>
    new Promise<number>((resolve, reject) => {
      const thread = worker(buffer, how);
      thread.on('error', reject);
      thread.stderr.on('data', (text) => reject(new Error(String(text))));
      thread.on('exit', resolve);
      thread.on('message', () => void thread.terminate());
    });
  assert.is(await run('end'), 0);
  assert.is(buffer.data[0], 11);
  await run('be-terminated');
  assert.is(buffer.data[0], 12);
  await run('keep');
  assert.is(buffer.data[0], 13);
  await run('forget');
  assert.is(buffer.data[0], 14);
  await eventually('the mappings of the workers are gone', () => countMappings() === 1);
});

for (const how of ['move', 'move-and-forget', 'move-and-dispose']) {
  test(`memory that a worker thread has moved to this one outlives the worker: ${how}`, async () => {
    using buffer = Buffer.create(1 << 16);
    if (transfer(Buffer.create(1)) === undefined) {
      skip(how, 'this Node has no ArrayBuffer.prototype.transfer');
      return;
    }
    const thread = worker(buffer, how);
    const moved = await new Promise<ArrayBuffer>((resolve, reject) => {
      thread.on('error', reject);
      thread.on('message', resolve);
    });
    await thread.terminate();
    const view = new Uint8Array(moved);
    assert.is(view[0], 15);
    buffer.data[1] = 16;
    assert.is(view[1], 16);
  });
}

test.run();
