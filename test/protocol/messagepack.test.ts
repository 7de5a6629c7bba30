// Structured values: which values keep their type, which bytes are a value, and that no bytes cost more than they may.
// Early: hostile bytes take their time.
import { inspect, isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { Packr } from 'msgpackr/pack';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Comms, CommsError, encodeMessageBytes, Tag } from '../../protocol/index.js';
import { decodeValue, encodeValue } from '../../protocol/messagepack.js';
import { ValueDecoder } from '../../protocol/messagepack-decode.js';
import { BadPayload } from '../../protocol/receiving.js';
import { FakeTransport, makePair } from './fake-transport.js';
import { arrayOf, bytesOf, chosenBigInts, chosenNumbers, laughs } from './hostile-values.js';

const test = suite('MessagePack values');
const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** The error that decoding these bytes throws. */
function failureOf(bytes: Uint8Array, valueLimit?: number): BadPayload {
  try {
    decodeValue(bytes, valueLimit);
  } catch (error) {
    assert.instance(error, BadPayload, String(error));
    return error as BadPayload;
  }
  return assert.unreachable(`${toHex(bytes.subarray(0, 40))} is a value`) as never;
}

function assertSame(actual: unknown, expected: unknown, what: string): void {
  assert.ok(isDeepStrictEqual(actual, expected), `${what}: ${inspect(actual)}, not ${inspect(expected)}`);
  assert.is(Object.prototype.toString.call(actual), Object.prototype.toString.call(expected), what);
}

// ---- The forms ----

const own = (key: string, value: unknown): object =>
  Object.defineProperty({}, key, { value, writable: true, enumerable: true, configurable: true });

const golden: [hex: string, value: unknown][] = [
  ['c0', null],
  ['c2', false],
  ['c3', true],
  ['d40000', undefined],
  ['00', 0],
  ['3f', 63],
  ['cc40', 64],
  ['ccff', 255],
  ['cd0100', 256],
  ['ce00010000', 65_536],
  ['ceffffffff', 2 ** 32 - 1],
  ['ff', -1],
  ['e0', -32],
  ['d0df', -33],
  ['d1ff7f', -129],
  ['d2ffff7fff', -32_769],
  ['cb41f0000000000000', 2 ** 32],
  ['cb4340000000000000', 2 ** 53],
  ['cb3ff8000000000000', 1.5],
  ['cb7ff8000000000000', Number.NaN],
  ['cbfff0000000000000', Number.NEGATIVE_INFINITY],
  ['d30000000000000000', 0n],
  ['d30000000000000005', 5n],
  ['d30020000000000000', 2n ** 53n],
  ['d38000000000000000', -(2n ** 63n)],
  ['cf8000000000000000', 2n ** 63n],
  ['cfffffffffffffffff', 2n ** 64n - 1n],
  ['d8420000000000000001 0000000000000000', 2n ** 64n],
  ['d842fffffffffffffffe ffffffffffffffff', -(2n ** 64n) - 1n],
  ['a0', ''],
  ['a3616263', 'abc'],
  ['a9c3bcefbbbff09f93a6', 'ü\ufeff📦'],
  [`d920${'78'.repeat(32)}`, 'x'.repeat(32)],
  [`da0100${'79'.repeat(256)}`, 'y'.repeat(256)],
  ['90', []],
  ['930102a161', [1, 2, 'a']],
  ['80', new Map()],
  [
    '8201a36f6e65 c3c0',
    new Map<unknown, unknown>([
      [1, 'one'],
      [true, null],
    ]),
  ],
  ['d4730092 01 02', new Set([1, 2])],
  ['d4724090', {}],
  ['d4724092 a161 a162 01 02', { a: 1, b: 2 }],
  ['92 d4724091a161 01 4002', [{ a: 1 }, { a: 2 }]],
  ['d4724091 a95f5f70726f746f5f5f 01', own('__proto__', 1)],
  ['d4724092 a130 a131 c3 d4724191a161c0', { 0: true, 1: { a: null } }],
  ['d6ff 65544f80', new Date(1_700_024_192_000)],
  ['d7ff 1d535300 65544f80', new Date(1_700_024_192_123)],
  ['c70cff 00000000 ffffffffffffffff', new Date(-1000)],
  ['c7047400 0102ff', new Int8Array([1, 2, -1])],
  ['c7027401 07', new Uint8Array([7])],
  ['c7097408 000000000000f83f', new Float64Array([1.5])],
  ['c7097409 ffffffffffffffff', new BigInt64Array([-1n])],
  ['c7027410 09', new Uint8Array([9]).buffer],
  ['c7027411 09', new DataView(new Uint8Array([9]).buffer)],
];

for (const [hex, value] of golden) {
  test(`${hex}`, () => {
    assert.is(toHex(encodeValue(value)), hex.replaceAll(' ', ''));
    assertSame(decodeValue(fromHex(hex)), value, hex);
  });
}

test('an invalid Date', () => {
  assert.is(toHex(encodeValue(new Date(Number.NaN))), 'd4ffff');
  assert.is(String(decodeValue(fromHex('d4ffff'))), 'Invalid Date');
});

test('forms that only other libraries write', () => {
  const table: [string, unknown][] = [
    ['40', 64], // no record with that number
    ['7f', 127],
    ['ca3fc00000', 1.5],
    ['d300000000000000ff', 255n],
    ['d9026869', 'hi'],
    ['db000000026869', 'hi'],
    ['dd0000000101', [1]],
    ['df000000010102', new Map([[1, 2]])],
    ['c403010203', new Uint8Array([1, 2, 3])],
    ['d47401', new Uint8Array()],
    ['d67401010203', new Uint8Array([1, 2, 3])],
    ['d44280', -128n],
    ['92 d4724090 d4724091a16101', [{}, { a: 1 }]], // a number that is defined again
  ];
  for (const [hex, value] of table) assertSame(decodeValue(fromHex(hex)), value, hex);
});

test('bytes that are not a value', () => {
  const table: [string, RegExp][] = [
    ['', /byte 0: the value is cut off/],
    ['c1', /0xc1 begins no value/],
    ['c0c0', /1 bytes follow the value/],
    ['91', /cut off/],
    ['a2ff', /cut off/],
    ['a1ff', /not valid UTF-8/],
    ['a3eda080', /not valid UTF-8/], // half a surrogate pair
    [`d980${'c3'.repeat(128)}`, /not valid UTF-8/],
    ['d40001', /0 was expected/],
    ['d4730190', /0 was expected/],
    ['d47300c0', /members of a Set are not an array/],
    ['d47240c0', /keys of a record are not an array/],
    ['d472409101 01', /not a string/],
    ['d4723f90', /from 0x40 to 0x7f/],
    ['d572407f90', /extension 0x72/],
    ['d472 4091a161', /cut off/],
    ['d66200000001', /extension 0x62/], // bundled strings
    ['d66900000001 90', /extension 0x69/], // references
    ['d67000000001', /extension 0x70/],
    ['d46500 93a0a0c0', /extension 0x65/], // Error
    ['d47800 92a0a0', /extension 0x78/], // RegExp
    ['d4740b', /extension 0x74/],
    ['d47401c0', /1 bytes follow/],
    ['c7047403 010203', /extension 0x74/], // not a whole number of elements
    ['c70042', /extension 0x42/],
    ['d4ff00', /extension 0xff/],
    ['d7ff ffffffff 00000000', /extension 0xff/], // more nanoseconds than a second has
    ['c70cff 00000000 7fffffffffffffff', /extension 0xff/],
    ['c6ffffffff', /cut off/],
    ['c9ffffffff74', /cut off/],
    ['dbffffffff', /cut off/],
    ['d40e', /cut off/],
  ];
  for (const [hex, words] of table) {
    const failure = failureOf(fromHex(hex));
    assert.is(failure.code, 'INVALID_VALUE', hex);
    assert.match(failure.message, /not a MessagePack value/, hex);
    assert.match(failure.message, words, hex);
  }
});

test('each kind of head, cut off everywhere', () => {
  for (let head = 0; head < 256; head++) {
    for (const tail of [0, 1, 2, 5, 20]) {
      for (const fill of [0, head, 0xff]) {
        const bytes = new Uint8Array(1 + tail).fill(fill);
        bytes[0] = head;
        try {
          decodeValue(bytes);
        } catch (error) {
          assert.instance(error, BadPayload, `0x${head.toString(16)} with ${tail} more`);
        }
      }
    }
  }
});

test('as deep as allowed, and no deeper', () => {
  for (const open of ['91', '8100', 'd47300 91', 'd47240 91a0']) {
    const [fits, deeper] = [512, 513].map((depth) => fromHex(`${open.repeat(depth)}01`)) as [
      Uint8Array,
      Uint8Array,
    ];
    decodeValue(fits);
    assert.match(failureOf(deeper).message, /nested deeper than 512/);
    failureOf(fromHex(open.repeat(200_000)));
  }
  const nest = (depth: number): unknown => (depth === 0 ? [] : [nest(depth - 1)]);
  assert.equal(decodeValue(encodeValue(nest(511))), nest(511));
  assert.throws(() => encodeValue(nest(512)), /deeper than 512, or inside itself/);
});

// ---- What cannot be sent ----

test('what cannot be sent is refused with an error that says where it is', () => {
  const itself: unknown[] = [];
  itself.push(itself);
  class Point {
    x = 1;
  }
  const table: [unknown, RegExp][] = [
    [() => 1, /^a function cannot be sent as a structured value$/],
    [Symbol('x'), /a symbol/],
    [new Point(), /a Point cannot/],
    [{ list: [1, { done: () => 1 }] }, /a function .*\(at \.list\[1\]\.done\)/],
    [new Map([['k', new Point()]]), /a Point .*\(at \.get\(k\)\)/],
    [new Set([Symbol('x')]), /a symbol .*\(at \[0\]\)/],
    [new (class extends Map {})(), /cannot/],
    [new (class Numbers extends Array {})(), /a Numbers/],
    [new (class Day extends Date {})(), /a Day/],
    [new (class Bytes extends Uint8Array {})(), /a Bytes/],
    [new Error('x'), /a Error/],
    [/x/, /a RegExp/],
    [new URL('file:///'), /a URL/],
    [Promise.resolve(), /a Promise/],
    [new SharedArrayBuffer(1), /a SharedArrayBuffer/],
    [new String('x'), /a String/],
    [{ toJSON: () => 1 }, /a function .*\(at \.toJSON\)/],
    [{ __keys__: 1 }, /the key "__keys__"/],
    [Object.create(Object.create(null)), /an object of a class/],
    [itself, /inside itself/],
  ];
  for (const [value, words] of table) {
    assert.throws(
      () => encodeValue(value),
      (error: unknown) => error instanceof TypeError && words.test(error.message),
    );
  }
  // Nothing of the refused value is left in the encoder.
  assert.equal(decodeValue(encodeValue([{ a: 1 }])), [{ a: 1 }]);
});

test('sendValue rejects with it, and the channel goes on', async () => {
  const [left, right] = makePair();
  const sender = new Comms(left);
  const refusal = await sender.sendValue({ f() {} }).catch((error: unknown) => error);
  assert.instance(refusal, TypeError);
  assert.throws(() => sender.sendValueSync({ f() {} }), TypeError);
  await sender.sendValue(1);
  assert.is(await new Comms(right).recvValue(), 1);
});

// ---- Random values and random bytes ----

const key = fc.string({ maxLength: 12 }).filter((name) => name !== '__keys__');
const typedArray = fc.oneof(
  ...[fc.int8Array(), fc.uint8Array(), fc.uint8ClampedArray(), fc.int16Array(), fc.uint16Array()],
  ...[
    fc.int32Array(),
    fc.uint32Array(),
    fc.float32Array(),
    fc.float64Array(),
    fc.bigInt64Array(),
    fc.bigUint64Array(),
  ],
);
const leaf = fc.oneof(
  fc.constantFrom(null, undefined, true, false, Number.NaN, Number.POSITIVE_INFINITY),
  fc.integer(),
  fc.double().map((value) => value + 0), // -0 arrives as 0
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
  fc.bigInt({ min: -(2n ** 2000n), max: 2n ** 2000n }),
  fc.string({ unit: 'grapheme', maxLength: 100 }),
  fc.date({ noInvalidDate: true }),
  typedArray,
);
const { structured } = fc.letrec<{ structured: unknown }>((tie) => {
  const inner = tie('structured');
  return {
    structured: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      leaf,
      fc.array(inner, { maxLength: 6 }),
      fc.dictionary(key, inner, { maxKeys: 6, noNullPrototype: true }),
      fc.array(fc.record({ id: fc.nat(), name: fc.string(), more: inner }, { noNullPrototype: true }), {
        maxLength: 6,
      }),
      fc.array(fc.tuple(inner, inner), { maxLength: 6 }).map((entries) => new Map(entries)),
      fc.array(inner, { maxLength: 6 }).map((members) => new Set(members)),
    ),
  };
});
const recordsOptions = { useRecords: true, moreTypes: true, copyBuffers: true } as const;

/** msgpackr's encoding, with its mistakes corrected: small BigInts, and one key. */
const msgpackr = (bytes: Uint8Array): unknown =>
  new Packr({ ...recordsOptions, int64AsType: 'bigint' } as never).unpack(bytes);

test('what is encoded is decoded to the same value, as by msgpackr', () => {
  fc.assert(
    fc.property(structured, (value) => {
      const bytes = encodeValue(value);
      const decoded = decodeValue(bytes);
      assertSame(decoded, value, 'decoded');
      assert.is(toHex(encodeValue(decoded)), toHex(bytes));
      if (!toHex(bytes).includes('5f5f70726f746f5f5f')) assertSame(msgpackr(bytes), decoded, 'msgpackr');
    }),
    { numRuns: 3000 },
  );
});

/** The number of values in a decoded value, keys of Maps included. */
function countValues(root: unknown): number {
  const open: unknown[] = [root];
  let count = 0;
  while (open.length > 0) {
    const value = open.pop();
    count++;
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) continue;
    const parts =
      value instanceof Map ? [...value].flat() : value instanceof Set ? [...value] : Object.values(value);
    for (const part of parts) open.push(part);
  }
  return count;
}

test('random bytes throw nothing else, and never decode to more values than are counted', () => {
  const changed = fc
    .tuple(structured.map(encodeValue), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
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
      } catch (error) {
        return error instanceof BadPayload && error.code === 'INVALID_VALUE';
      }
      decoded += 1;
      const count = countValues(value);
      assert.ok(count <= bytes.length);
      return count === 1 || failureOf(bytes, count - 1).code === 'TOO_LARGE';
    }),
    { numRuns: 10_000 },
  );
  assert.ok(decoded > 2500, `${decoded} of them were values`);
});

// ---- How many ----

test('the count is exact: keys of Maps, of records once, a typed array as one', () => {
  const table: [unknown, number][] = [
    [1, 1],
    [[1, 2, 3], 4],
    [new Map([[1, [2]]]), 4],
    [new Set([1, 2]), 3],
    [{ a: 1, b: 2 }, 5],
    [[{ a: 1 }, { a: 2 }], 6],
    [
      { pixels: new Float64Array(300_000), text: 'x'.repeat(2_000_000), at: new Date(0), big: 2n ** 5000n },
      9,
    ],
  ];
  for (const [value, count] of table) {
    const bytes = encodeValue(value);
    assert.equal(decodeValue(bytes, count), value);
    const { code, message } = failureOf(bytes, count - 1);
    assert.is(code, 'TOO_LARGE');
    assert.is(message, `it holds more than ${count - 1} values (valueLimit)`);
  }
});

test('many elements take no more memory than they need', () => {
  for (const [count, make] of [
    [100_000, (i: number) => new Uint8Array(30).fill(i)],
    [1000, () => new Float64Array(1000).fill(-1e300)],
    [700_000, () => 'x'.repeat(32)],
    [100_000, (i: number) => Buffer.alloc(20, i)],
  ] as const) {
    assert.is(
      (decodeValue(encodeValue(Array.from({ length: count }, (_, i) => make(i)))) as []).length,
      count,
    );
  }
});

for (const byte of [0x80, 0x90, 0xa0, 0xc0, 0x01]) {
  test(`an array of four million times 0x${byte.toString(16)}`, async () => {
    const bytes = arrayOf(4 << 20, [byte]);
    const transport = new FakeTransport('in');
    transport.push(encodeMessageBytes(Tag.MessagePack, bytes));
    const receiver = new Comms(transport);
    const before = process.memoryUsage().heapUsed;
    try {
      await receiver.recvValue();
      assert.unreachable('it was decoded, but should not be');
    } catch (error) {
      assert.instance(error, CommsError);
      assert.match(String(error), /more than 1048576 values \(valueLimit\) \(TOO_LARGE\)/);
    }
    assert.ok(process.memoryUsage().heapUsed - before < 32 << 20);
    // The message is still unread, and can be received as bytes.
    assert.is((await receiver.recvMessage()).payload.length, bytes.length);
  });
}

test('lengths that are announced again and again take no memory', () => {
  const before = process.memoryUsage().heapUsed;
  // 512 nested arrays each announce a million elements; then many arrays announce 65,535 each.
  failureOf(
    bytesOf(Array.from({ length: 512 }, () => [0xdd, 0, 0x0f, 0xff, 0xff]).flat(), new Uint8Array(1 << 20)),
  );
  failureOf(bytesOf(Array.from({ length: 512 }, () => [0xdc, 0xff, 0xff]).flat(), new Uint8Array(1 << 20)));
  assert.ok(process.memoryUsage().heapUsed - before < 64 << 20);
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

test('a status has a limit too', async () => {
  const [left, right] = makePair();
  const sender = new Comms(left);
  const receiver = new Comms(right);
  await sender.sendProtobufBytes(new Uint8Array((4 << 20) + 1));
  await receiver.recvStatus().then(
    () => assert.unreachable(),
    (error: unknown) => assert.is(error instanceof CommsError && error.code, 'TOO_LARGE'),
  );
});

// ---- What hostile bytes cost ----

/** Milliseconds of CPU time. */
function costOf(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** What is too long: many times as long as honest values of this size take here. Without a guard it would be far longer. */
const allowedMs = (() => {
  const honest = encodeValue(new Set(Array.from({ length: 200_000 }, (_, i) => i)));
  return (
    200 *
    Math.max(
      10,
      costOf(() => decodeValue(honest)),
    )
  );
})();

test('strings that refer to other bytes, and trees of references', () => {
  for (const bytes of [laughs(40, 0), laughs(40, 200)]) {
    const cost = costOf(() => {
      assert.match(failureOf(bytes).message, /extension 0x69/);
    });
    assert.ok(cost < allowedMs, `${cost} ms`);
  }
});

test('one byte too many after a large value: the message is short', () => {
  const bytes = bytesOf(encodeValue(Array.from({ length: 200_000 }, (_, i) => ({ i }))), [0xc0]);
  const { message } = failureOf(bytes);
  assert.match(message, /1 bytes follow the value/);
  assert.ok(message.length < 200);
});

for (const [what, keys] of [
  ['numbers', chosenNumbers(200_000)],
  ['BigInts', chosenBigInts(200_000)],
  ['long strings', Array.from({ length: 4000 }, (_, i) => 'x'.repeat(20_000) + String(i).padStart(5, '0'))],
] as const) {
  for (const kind of ['Map', 'Set'] as const) {
    test(`a ${kind} of ${what} that were chosen to collide`, () => {
      const head = kind === 'Map' ? [0xdf] : [0xd4, 0x73, 0, 0xdd];
      const size = new Uint8Array(4);
      new DataView(size.buffer).setUint32(0, keys.length);
      const parts = keys.map((one) => bytesOf(encodeValue(one), kind === 'Map' ? [0xc0] : []));
      const bytes = bytesOf(head, size, Buffer.concat(parts));
      const cost = costOf(() => {
        const { code, message } = failureOf(bytes);
        assert.is(code, 'INVALID_VALUE');
        assert.match(message, /keys before this byte take far too long to compare/);
      });
      assert.ok(cost < allowedMs, `${cost} ms`);
    });
  }
}

test('records of long names that were chosen to collide, a few in each record', () => {
  const names = Array.from({ length: 4800 }, (_, i) => 'x'.repeat(16_380) + String(i).padStart(5, '0'));
  for (const each of [60, 1]) {
    // Short names in between hide nothing.
    const record = (i: number) => [...names.slice(i * each, (i + 1) * each), 'a', 'b'];
    const records = Array.from({ length: names.length / each }, (_, i) => [
      [0xd4, 0x72, 0x40],
      encodeValue(record(i)),
      new Uint8Array(each + 2).fill(0xc0),
    ]).flat();
    const head = [0xdd, 0, 0, (names.length / each) >> 8, (names.length / each) & 255];
    const bytes = bytesOf(head, ...records);
    const cost = costOf(() => {
      const { code, message } = failureOf(bytes);
      assert.is(code, 'INVALID_VALUE');
      assert.match(message, /keys before this byte take far too long to compare/);
    });
    assert.ok(cost < allowedMs, `${cost} ms`);
  }
});

test('honest keys are never refused', () => {
  const count = 400_000;
  for (const make of [(i: number) => i, (i: number) => i * Math.PI, (i: number) => BigInt(i) << 3n, String]) {
    const set = new Set(Array.from({ length: count }, (_, i) => make(i)));
    assert.is((decodeValue(encodeValue(set)) as Set<unknown>).size, count);
  }
  const object = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`key ${i}`, i]));
  assert.is(Object.keys(decodeValue(encodeValue(object)) as object).length, 100_000);
  const longNames = Array.from({ length: 2000 }, (_, i) => ({ [`${i}${'x'.repeat(8000)}`]: i, value: i }));
  assert.equal(decodeValue(encodeValue(longNames)), longNames);
});

test('honest keys are not refused on a loaded machine, nor beside busy threads', () => {
  const bytes = encodeValue(new Set(Array.from({ length: 5000 }, (_, i) => i)));
  for (const slow of ['cpuUs', 'wallUs'] as const) {
    let time = 0;
    const spent = { cpuUs: 0, wallUs: 0 };
    const clock = () => {
      time += 10_000_000;
      return { ...spent, [slow]: time };
    };
    assert.is((new ValueDecoder(bytes, 10_000, clock).decode() as Set<unknown>).size, 5000);
  }
  let time = 0;
  const clock = () => {
    time += 100_000;
    return { cpuUs: time, wallUs: time };
  };
  assert.throws(() => new ValueDecoder(bytes, 10_000, clock).decode(), /chosen to collide/);
});

test('objects with a few large indices take no room for the missing ones', () => {
  for (const keys of [['1023'], ['300'], ['1000', '2400'], ['20', '5']]) {
    const names = keys.flatMap((name) => [...encodeValue(name)]);
    const body = [0x40, ...keys.map(() => 7)];
    const count = 100_000;
    const first = [0xd4, 0x72, 0x40, 0x90 | keys.length, ...names, ...keys.map(() => 7)];
    const bytes = bytesOf(arrayOf(count + 1, []), first, arrayOf(count, body).subarray(5));
    const before = process.memoryUsage().heapUsed;
    const objects = decodeValue(bytes) as Record<string, number>[];
    const each = (process.memoryUsage().heapUsed - before) / count;
    assert.ok(each < 1500, `${each} bytes for each with the keys ${keys}`);
    assert.equal(objects[count], Object.fromEntries(keys.map((name) => [name, 7])));
    const { [count]: last } = objects;
    if (last !== undefined) last['1'] = 1;
    assert.equal(Object.keys(last ?? {}).sort(), [...keys, '1'].sort());
  }
});

test.run();
