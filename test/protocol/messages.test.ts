// Messages between programs that ship together: nothing of them is passed over in silence.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeMessage, encodeMessage } from '../../protocol/index.js';
import { EndKind } from '../../protocol/messages.generated.js';
import { decodeMessageStrictly } from '../../protocol/messages.js';

const test = suite('messages');

const ended = {
  ended: {
    run: 7n,
    kind: EndKind.EXITED,
    violation: { syscall: 3n, args: [1n, 2n], program: new Uint8Array([1]) },
  },
};

/** The bytes with a varint field behind them: unknown is a number that no message has. */
const withField = (bytes: Uint8Array, number: number, value: number) =>
  Buffer.from([...bytes, ((number << 3) & 0x7f) | 0x80, number >> 4, value]);

test('what is known is decoded as ever', () => {
  const bytes = encodeMessage('Event', ended);
  assert.equal(decodeMessageStrictly('Event', bytes), decodeMessage('Event', bytes));
});

test('an unknown field is named, at the top and inside', () => {
  const bytes = withField(encodeMessage('Event', ended), 1000, 1);
  assert.equal(decodeMessage('Event', bytes), decodeMessage('Event', encodeMessage('Event', ended)));
  assert.throws(() => decodeMessageStrictly('Event', bytes), /Event has no field 1000/);
  const inner = withField(encodeMessage('StartRequest', { run: 1n }), 1001, 1);
  const outer = Buffer.from([(1 << 3) | 2, inner.length, ...inner]);
  assert.throws(() => decodeMessageStrictly('Request', outer), /StartRequest has no field 1001/);
});

test('an unknown value of an enum is named', () => {
  const bytes = encodeMessage('Event', { ended: { run: 7n, kind: 99 as never } });
  assert.throws(() => decodeMessageStrictly('Event', bytes), /EndKind has no value 99/);
});

test('bytes that end within a field are an error', () => {
  const bytes = encodeMessage('Event', ended);
  for (let length = 1; length < bytes.length; length++) {
    assert.throws(() => decodeMessageStrictly('Event', bytes.subarray(0, length)));
  }
});

test.run();
