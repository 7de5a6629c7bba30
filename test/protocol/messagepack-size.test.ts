// What a structured value may take of the heap is bounded before any of it is made.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Comms, CommsError, encodeMessageBytes, Tag } from '../../protocol/index.js';
import { decodeValue, encodeValue } from '../../protocol/messagepack.js';
import { hasAtMostValues } from '../../protocol/messagepack-size.js';
import { FakeTransport, makePair } from './fake-transport.js';

const test = suite('size of MessagePack values');

/** Not a typed array, and not the one object that stands for the unused byte 0xc1. */
const isMade = (value: object): boolean =>
  [Object.prototype, Array.prototype, Map.prototype, Set.prototype, null].includes(
    Object.getPrototypeOf(value),
  );

/** Values in what was decoded, without keys. */
function countValues(root: unknown): number {
  const seen = new Set<object>();
  const open: unknown[] = [root];
  let count = 0;
  for (let value = open.pop(); count === 0 || value !== undefined || open.length > 0; value = open.pop()) {
    count += 1;
    if (typeof value !== 'object' || value === null || !isMade(value) || seen.has(value)) continue;
    seen.add(value);
    const parts =
      value instanceof Map ? [...value].flat() : value instanceof Set ? [...value] : Object.values(value);
    for (const part of parts) open.push(part ?? null);
  }
  return count;
}

/** An array of so many times this byte. */
function bomb(byte: number, count: number): Uint8Array {
  const bytes = new Uint8Array(5 + count).fill(byte);
  bytes[0] = 0xdd;
  new DataView(bytes.buffer).setUint32(1, count);
  return bytes;
}

const sample = fc.anything({ withBigInt: false, withDate: true, withMap: true, withSet: true, maxDepth: 4 });

test('no bytes stand for more values than are counted', () => {
  const encoded = fc
    .array(fc.oneof(sample, fc.record({ a: fc.nat(), b: fc.string(), c: sample })), { maxLength: 20 })
    .map((values) => {
      try {
        return encodeValue(values);
      } catch {
        return new Uint8Array([0x90]); // it has a form of its own that MessagePack has not
      }
    });
  const changed = fc
    .tuple(encoded, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }))
    .map(([bytes, changes]) => {
      const copy = bytes.slice();
      for (const [at, byte] of changes) copy[at % copy.length] = byte;
      return copy;
    });
  let decoded = 0;
  fc.assert(
    fc.property(fc.oneof(changed, fc.uint8Array({ minLength: 1, maxLength: 64 })), (bytes) => {
      let value: unknown;
      try {
        value = decodeValue(bytes);
      } catch {
        return true;
      }
      decoded += 1;
      const count = countValues(value);
      return !hasAtMostValues(bytes, count - 1);
    }),
    { numRuns: 20_000 },
  );
  assert.ok(decoded > 5000, `${decoded} of them were values`);
});

test('what is cut off, and the last byte of each kind of head', () => {
  for (let head = 0; head < 256; head++) {
    for (const tail of [0, 1, 2, 5, 20]) {
      const bytes = new Uint8Array(1 + tail).fill(head);
      assert.type(hasAtMostValues(bytes, 0), 'boolean', `0x${head.toString(16)} with ${tail} more`);
    }
  }
});

test('what is large without being many', () => {
  const bulk = encodeValue({
    pixels: new Float64Array(300_000),
    text: 'x'.repeat(2_000_000),
    at: new Date(0),
  });
  assert.ok(hasAtMostValues(bulk, 16));
});

for (const byte of [0x80, 0x90, 0xa0, 0xc0, 0x01]) {
  test(`an array of four million times 0x${byte.toString(16)}`, async () => {
    const bytes = bomb(byte, 4 << 20);
    const transport = new FakeTransport('in');
    transport.push(encodeMessageBytes(Tag.MessagePack, bytes));
    const receiver = new Comms(transport);
    const before = process.memoryUsage().heapUsed;
    try {
      await receiver.recvValue();
      assert.unreachable('it was decoded');
    } catch (error) {
      assert.instance(error, CommsError);
      assert.match(String(error), /more than 1048576 values \(valueLimit\) \(TOO_LARGE\)/);
    }
    assert.ok(process.memoryUsage().heapUsed - before < 32 << 20);
    // Unread, and there for who takes it as bytes.
    assert.is((await receiver.recvMessage()).payload.length, bytes.length);
  });
}

test('an extension hides nothing', () => {
  const inside = bomb(0x90, 2 << 20);
  const bytes = new Uint8Array(6 + inside.length);
  bytes.set([0xc9, 0, 0, 0, 0, 0x73]); // a Set
  new DataView(bytes.buffer).setUint32(1, inside.length);
  bytes.set(inside, 6);
  assert.not.ok(hasAtMostValues(bytes, 1 << 20));
});

test('the limit can be set', async () => {
  const [left, right] = makePair();
  const sender = new Comms(left);
  const receiver = new Comms(right);
  receiver.valueLimit = 3;
  await sender.sendValue([1, 2, 3]);
  await receiver.recvValue().then(
    () => assert.unreachable('four values'),
    (error: unknown) => assert.is(error instanceof CommsError && error.code, 'TOO_LARGE'),
  );
  receiver.valueLimit = 4;
  assert.equal(await receiver.recvValue(), [1, 2, 3]);
  for (const wrong of [0, -1, 1.5, Number.NaN, '5' as never]) {
    assert.throws(() => {
      receiver.valueLimit = wrong;
    }, RangeError);
  }
});

test('a status has an end too', async () => {
  const [left, right] = makePair();
  const sender = new Comms(left);
  const receiver = new Comms(right);
  await sender.sendProtobufBytes(new Uint8Array((4 << 20) + 1));
  await receiver.recvStatus().then(
    () => assert.unreachable(),
    (error: unknown) => assert.is(error instanceof CommsError && error.code, 'TOO_LARGE'),
  );
});

test.run();
