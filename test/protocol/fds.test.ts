// Fds among the bytes of a stream, wherever its reads are cut: a stream that keeps the rules is never refused, a stream
// that breaks them always is, and in the end every fd has an owner.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Comms, CommsError, encodeMessageBytes, Tag } from '../../protocol/index.js';
import { FakeTransport } from './fake-transport.js';

const test = suite('fds in a stream');

/** One send of the other end; fd -1: none. */
interface Sent {
  readonly bytes: Uint8Array;
  readonly fd: number;
}

interface Outcome {
  readonly code: string;
  /** Sizes of the received payloads, with the fds in their places. */
  readonly taken: readonly (number | string)[];
  readonly fds: readonly number[];
  readonly closed: readonly number[];
}

const none = new Uint8Array();
const bytesMessage = (size: number): Sent => ({
  bytes: encodeMessageBytes(Tag.Bytes, new Uint8Array(size)),
  fd: -1,
});
const fdMessage = (fd: number): Sent => ({ bytes: encodeMessageBytes(Tag.Fd, none), fd });

/** The stream for these messages: a number is the size of a Bytes message, 'fd' an Fd message. */
function streamOf(shape: readonly (number | 'fd')[], firstFd = 100): Sent[] {
  return shape.map((part, i) => (part === 'fd' ? fdMessage(firstFd + i) : bytesMessage(part)));
}

const tookAll = (stream: readonly Sent[]): (number | string)[] =>
  stream.map(({ bytes, fd }) => (fd < 0 ? bytes.length - 12 : `fd ${fd}`));

/** Receives everything, first with reads of at most the given sizes, then of any size. */
function receiveAll(stream: readonly Sent[], cuts: Iterable<number>): Outcome {
  const transport = new FakeTransport('cut');
  for (const { bytes, fd } of stream) transport.push(bytes, fd);
  transport.end();
  const sizes = cuts[Symbol.iterator]();
  transport.longestReceive = () => sizes.next().value ?? Number.POSITIVE_INFINITY;
  const comms = new Comms(transport);
  const taken: (number | string)[] = [];
  const fds: number[] = [];
  for (;;) {
    try {
      const { payload, fd } = comms.recvMessageSync();
      taken.push(fd < 0 ? payload.length : `fd ${fd}`);
      if (fd >= 0) fds.push(fd);
    } catch (error) {
      if (!(error instanceof CommsError)) throw error;
      return { code: error.code, taken, fds, closed: transport.closedFds };
    }
  }
}

const shapes: readonly (number | 'fd')[][] = [
  ['fd'],
  ['fd', 'fd', 'fd'],
  [5, 'fd', 0, 'fd', 'fd', 30, 'fd'],
  ['fd', 40, 'fd', 0, 0, 'fd', 'fd'],
];

test('small streams, cut at any two places', () => {
  for (const shape of shapes) {
    const stream = streamOf(shape);
    const size = stream.reduce((sum, { bytes }) => sum + bytes.length, 0);
    for (let first = 1; first <= size; first++) {
      for (let second = 1; second <= size - first; second++) {
        const { code, taken } = receiveAll(stream, [first, second]);
        assert.is(code, 'CLOSED', `${shape.join()} cut after ${first} and ${second} more`);
        assert.equal(taken, tookAll(stream));
      }
    }
  }
});

test('the end of the receive buffer, at every place within the messages', () => {
  for (const shape of shapes) {
    for (let place = -12; place < 150; place++) {
      const stream = [bytesMessage((64 << 10) - 12 - place), ...streamOf(shape)];
      const { code, taken } = receiveAll(stream, []);
      assert.is(code, 'CLOSED', `${shape.join()} with ${place} bytes left in the buffer`);
      assert.equal(taken, tookAll(stream));
    }
  }
});

test('an fd, more bytes than the buffer holds, and another fd', () => {
  for (let place = 0; place < 12; place++) {
    const stream = [bytesMessage((64 << 10) - 12 - place), ...streamOf(['fd', 70_000, 'fd', 'fd'])];
    assert.equal(receiveAll(stream, []).taken, tookAll(stream));
  }
});

const somePart = fc.oneof(
  fc.constant('fd' as const),
  fc.nat(40),
  fc.nat(40),
  fc.integer({ min: 65_000, max: 66_000 }),
);
const someCuts = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 });

test('random streams that keep the rules', () => {
  fc.assert(
    fc.property(fc.array(somePart, { maxLength: 20 }), someCuts, (shape, cuts) => {
      const stream = streamOf(shape);
      const { code, taken, closed } = receiveAll(stream, cuts);
      assert.is(code, 'CLOSED');
      assert.equal(taken, tookAll(stream));
      assert.equal(closed, []);
    }),
    { numRuns: 300 },
  );
});

/** Breaks the rules at one message of a stream. */
const offences: Record<string, (message: Sent, at: number) => Sent[]> = {
  SURPLUS_FD: ({ bytes, fd }, at) => [
    { bytes: bytes.subarray(0, at), fd },
    { bytes: bytes.subarray(at), fd: 999 },
  ],
  NO_FD: ({ bytes }) => [{ bytes, fd: -1 }],
};

test('random streams that break them: always refused, and no fd is lost', () => {
  fc.assert(
    fc.property(
      fc.array(somePart, { maxLength: 12 }),
      somePart,
      fc.array(somePart, { maxLength: 6 }),
      fc.integer({ min: 1, max: 11 }),
      someCuts,
      (before, wrong, after, at, cuts) => {
        const [message] = streamOf([wrong], 200);
        assert.ok(message);
        const codes = wrong === 'fd' ? ['SURPLUS_FD', 'NO_FD'] : ['SURPLUS_FD'];
        for (const code of codes) {
          const bad = offences[code]?.(message, at) ?? [];
          const stream = [...streamOf(before), ...bad, ...streamOf(after, 300)];
          const outcome = receiveAll(stream, cuts);
          assert.is(outcome.code, code);
          assert.equal(outcome.taken, tookAll(streamOf(before)));
          const given = stream.map(({ fd }) => fd).filter((fd) => fd >= 0);
          const owned = [...outcome.fds, ...outcome.closed];
          assert.is(new Set(owned).size, owned.length, 'each fd has one owner');
          assert.ok(owned.every((fd) => given.includes(fd)));
          if (code === 'SURPLUS_FD') assert.ok(outcome.closed.includes(999));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test.run();
