// Sandboxees that turn against the host over comms: it goes on with bounded memory and fds, and says what happened.
import { fstatSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Buffer, type Comms, CommsError, Executor, Sandbox2 } from '../../host/index.js';
import { addon } from '../../native/addon.js';
import { countFds } from '../support/fds.js';
import { eventually, isAlive, lenientPolicy, runToEnd, sandboxee } from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { hangMs } from '../support/time.js';

const test = suite('hostile sandboxees');
const policy = lenientPolicy();
const MiB = 1 << 20;

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof CommsError ? error.code : String(error)),
  );
}

/** Talks with a sandboxee; checks that nothing of it is left, and that the host has not grown. */
async function withSandboxee(
  program: string,
  how: string,
  talk: (comms: Comms, sandbox: Sandbox2) => Promise<void>,
  growthLimit = 48 * MiB,
): Promise<void> {
  const fdsBefore = countFds();
  const rssBefore = process.memoryUsage.rss();
  let pid = -1;
  {
    await using sandbox = new Sandbox2(sandboxee(program, [how]), policy);
    assert.ok(await sandbox.runAsync(), how);
    pid = sandbox.pid;
    await talk(sandbox.comms, sandbox);
    const growth = process.memoryUsage.rss() - rssBefore;
    assert.ok(growth < growthLimit, `${how}: the host has grown by ${growth} bytes`);
  }
  await eventually('the sandboxee is gone', () => !isAlive(pid));
  await eventually(`${how}: no fd is left`, () => countFds() <= fdsBefore);
}

test('warm up the supervisor and the event loop', async () => {
  await using sandbox = new Sandbox2(sandboxee('echo'), policy);
  assert.ok(await sandbox.runAsync());
  await sandbox.comms.sendUint32(1);
  assert.is(await sandbox.comms.recvUint32(), 1);
});

for (const [how, receive, code, words] of [
  ['length-bomb', 'recvBytes', 'TOO_LARGE', /Bytes message longer than 268435456 bytes was announced/],
  ['close-in-mid-message', 'recvBytes', 'TRUNCATED', /in the middle of a message/],
  ['fd-in-a-payload', 'recvBytes', 'SURPLUS_FD', /no message announced/],
  ['fd-with-a-number', 'recvUint32', 'SURPLUS_FD', /no message announced/],
  ['fd-with-a-payload', 'recvFd', 'BAD_LENGTH', /with a payload/],
  ['fd-without-fd', 'recvFd', 'NO_FD', /without a descriptor/],
  ['garbage', 'recvString', 'TOO_LARGE', /0x20544547 message longer than/],
] as const) {
  test(`${how}: ${code}, for good`, () =>
    withSandboxee('trick', how, async (comms) => {
      try {
        await comms[receive]();
        assert.unreachable();
      } catch (error) {
        assert.instance(error, CommsError);
        const failure = error as CommsError;
        assert.is(failure.code, code);
        assert.is(failure.operation, receive);
        assert.match(failure.message, words);
      }
      assert.is(await codeOf(comms.recvMessage()), code);
      assert.is(await codeOf(comms.sendUint32(1)), code);
      assert.not(comms.isConnected);
    }));
}

for (const [how, code, size] of [
  ['value-bomb', 'TOO_LARGE', 5 + 16 * MiB],
  ['value-bypass', 'TOO_LARGE', 7 + 16 * MiB],
  ['value-bundle', 'INVALID_VALUE', 5 + 80_000 + 6 + MiB],
  ['value-laughs', 'INVALID_VALUE', 771],
] as const) {
  test(`${how}: few bytes that stand for much are not decoded`, () =>
    withSandboxee(
      'trick',
      how,
      async (comms) => {
        const begun = performance.now();
        assert.is(await codeOf(comms.recvValue()), code);
        assert.ok(performance.now() - begun < hangMs, 'to decode it would take longer');
        assert.is((await comms.recvMessage()).payload.length, size, 'unread, and there to be taken as bytes');
      },
      128 * MiB,
    ));
}

for (const how of ['half-a-header', 'promise', 'never-read'] as const) {
  test(`${how}, then silence: the receive is given up, the host is not held up`, () =>
    withSandboxee('trick', how, async (comms, sandbox) => {
      assert.is(await codeOf(comms.recvBytes({ timeoutMs: 50 })), 'TIMEOUT');
      assert.is(await codeOf(comms.recvMessage({ signal: AbortSignal.timeout(20) })), 'ABORTED');
      sandbox.kill();
      const cut = how === 'never-read' ? 'CLOSED' : 'TRUNCATED';
      assert.is(await codeOf(comms.recvMessage()), cut);
    }));
}

test('never-read: what waits to be sent is bounded, and told', () =>
  withSandboxee('trick', 'never-read', async (comms, sandbox) => {
    comms.highWaterMark = 4 * MiB;
    const piece = new Uint8Array(MiB);
    const codes = Array.from({ length: 50 }, () => codeOf(comms.sendBytes(piece)));
    assert.ok(comms.pendingBytes <= 6 * MiB, `${comms.pendingBytes} pending`);
    sandbox.kill();
    const outcomes = await Promise.all(codes);
    assert.is(outcomes.filter((code) => code === 'BUSY').length, 46);
    assert.is(outcomes.filter((code) => code === 'CLOSED').length, 4);
    assert.is(comms.pendingBytes, 0);
  }));

test('never-read: a synchronous send that waits ends with the wall-time limit', async () => {
  await using sandbox = new Sandbox2(sandboxee('trick', ['never-read']), policy);
  assert.ok(await sandbox.runAsync());
  sandbox.setWalltimeLimitMs(300);
  assert.throws(() => sandbox.comms.sendBytesSync(new Uint8Array(4 * MiB)), /CLOSED/);
  assert.match(String(await sandbox.awaitResult()), /TIMEOUT/);
});

test('flood: what is not asked for is not taken', () =>
  withSandboxee(
    'trick',
    'flood',
    async (comms) => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      for (let i = 0; i < 2000; i++) assert.is((await comms.recvBytes()).length, 64 << 10);
      assert.is(await codeOf(comms.recvUint32()), 'TAG_MISMATCH');
    },
    200 * MiB,
  ));

test('fd-flood: one at a time, and those that nobody took are closed', () =>
  withSandboxee('trick', 'fd-flood', async (comms) => {
    const before = countFds();
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (let i = 0; i < 3000; i++) addon().closeFd(await comms.recvFd());
    assert.is(await codeOf(comms.recvUint32()), 'TAG_MISMATCH');
    assert.is(await codeOf(comms.recvString()), 'TAG_MISMATCH');
    await eventually('the fds are closed', () => countFds() <= before + 1);
  }));

test('dribble: a byte at a time is messages all the same', () =>
  withSandboxee('trick', 'dribble', async (comms) => {
    for (let i = 0; i < 3000; i++) assert.is(await comms.recvUint8(), 0);
  }));

test('hold-its-own-socket: a received end of the channel does not keep it alive', () =>
  withSandboxee('trick', 'hold-its-own-socket', async (comms, sandbox) => {
    const fd = await comms.recvFd();
    sandbox.kill();
    await sandbox.awaitResult();
    assert.is(await codeOf(comms.recvMessage({ timeoutMs: 50 })), 'CLOSED'); // the host itself holds the other end
    addon().closeFd(fd);
    assert.is(await codeOf(comms.recvMessage()), 'CLOSED');
  }));

// ---- Shared memory ----

test('its end of comms under way, and nobody takes it: the channel ends all the same', () =>
  withSandboxee('trick', 'leave-its-socket-under-way', async (comms, sandbox) => {
    const pending = codeOf(comms.sendBytes(new Uint8Array(16 * MiB)));
    assert.is((await sandbox.awaitResult()).finalStatus, 'OK');
    assert.is(await pending, 'CLOSED');
    assert.is(await codeOf(comms.sendUint32(1)), 'CLOSED');
    const fd = await comms.recvFd(); // sent before the end, and there
    addon().closeFd(fd);
    assert.is(await codeOf(comms.recvFd()), 'CLOSED');
  }));

test('the same, and the host waits where it stands', () =>
  withSandboxee('trick', 'leave-its-socket-under-way', async (comms) => {
    const codeOfSync = (call: () => unknown) => {
      try {
        call();
        return undefined;
      } catch (error) {
        return error instanceof CommsError ? error.code : String(error);
      }
    };
    assert.is(
      codeOfSync(() => comms.sendBytesSync(new Uint8Array(16 * MiB))),
      'CLOSED',
    );
    addon().closeFd(comms.recvFdSync());
    assert.is(
      codeOfSync(() => comms.recvFdSync()),
      'CLOSED',
    );
  }));

test('a call that waits where it stands waits on for a sandboxee that is slow', () =>
  withSandboxee('echo', 'slowly', async (comms) => {
    const started = performance.now();
    comms.sendUint32Sync(1600);
    assert.is(comms.recvUint32Sync(), 1600);
    assert.ok(performance.now() - started > 1500);
  }));

test('its output under way, and nobody takes it: a capture ends with what was written', async () => {
  const fdsBefore = countFds();
  const sandbox = new Sandbox2(sandboxee('trick', ['leave-its-output-under-way']), policy);
  const { result, stdout } = await sandbox.run({ capture: {} });
  assert.is(String(result), 'OK - Exit code: 0');
  assert.is(stdout.toString(), 'said');
  await eventually('no fd is left', () => countFds() <= fdsBefore);
});

test('comms of a start that failed is closed', async () => {
  for (const isAsked of [true, false]) {
    await using sandbox = new Sandbox2(new Executor('/no/such', ['x']), policy);
    if (isAsked) assert.ok(sandbox.comms.isConnected);
    assert.is((await sandbox.run()).finalStatus, 'SETUP_ERROR');
    assert.is(await codeOf(sandbox.comms.recvUint32()), 'CLOSED');
    assert.is(await codeOf(sandbox.comms.sendBytes(new Uint8Array(16 * MiB))), 'CLOSED');
  }
});

test('a buffer that a sandboxee fills, without a copy', () =>
  withSandboxee('share', 'fill', async (comms) => {
    using buffer = Buffer.create(MiB);
    await comms.sendFd(buffer);
    await comms.recvBarrier();
    assert.ok(buffer.isShared);
    assert.ok(buffer.data.every((byte) => byte === 0x58));
  }));

test('a buffer that a sandboxee makes, and one that it expands', async () => {
  await withSandboxee('share', 'make', async (comms) => {
    using buffer = Buffer.setup(await comms.recvFd());
    assert.match(new TextDecoder().decode(buffer.data.slice(0, 20)), /^from the sandboxee\0/);
  });
  await withSandboxee('share', 'expand', async (comms) => {
    using buffer = Buffer.create(10_000);
    await comms.sendFd(buffer);
    await comms.recvBarrier();
    assert.is(buffer.size, 10_000);
    buffer.expand(0);
    assert.equal([buffer.size, buffer.data[19_999]], [20_000, 0x21]);
  });
});

test('a sandboxee cannot shrink a buffer under its reader', async () => {
  const executor = sandboxee('share', ['shrink']);
  await using sandbox = new Sandbox2(executor, policy);
  using buffer = Buffer.create(MiB);
  assert.ok(await sandbox.runAsync());
  await sandbox.comms.sendFd(buffer);
  assert.is(String(await sandbox.awaitResult()), 'OK - Exit code: 0');
  assert.is(buffer.data[MiB - 1], 0);
});

test('memory that a sandboxee changes while it is read: a copy stands still', () =>
  withSandboxee('share', 'race', async (comms) => {
    using buffer = Buffer.create(4096);
    await comms.sendFd(buffer);
    await comms.recvBarrier();
    const first = buffer.data[0];
    await eventually('it changes', () => buffer.data[0] !== first);
    using copy = Buffer.fromFd(addon().duplicate(buffer.fd), { shared: false });
    const seen = copy.data[0];
    for (let i = 0; i < 1000; i++) assert.is(copy.data[0], seen);
  }));

for (const [kind, code] of [
  ['unsealed', 'NOT_SEALED'],
  ['shrunk', 'NOT_SEALED'],
  ['frozen', 'NOT_SEALED'],
  ['empty', 'NOT_MEMORY'],
  ['huge-pages', 'NOT_MEMORY'],
] as const) {
  test(`memory that is ${kind} is refused, and the host lives`, async () => {
    await withSandboxee('memory', kind, async (comms) => {
      let fd: number;
      try {
        fd = await comms.recvFd({ timeoutMs: hangMs });
      } catch (error) {
        if (kind !== 'huge-pages') throw error;
        return skip(`memory that is ${kind} is refused`, 'no memfd of huge pages can be made here');
      }
      assert.throws(
        () => Buffer.fromFd(fd),
        (error: Error & { code?: string }) => error.code === code,
      );
      fstatSync(fd); // still the caller's
      addon().closeFd(fd);
    });
  });
}

test('after all that, a run is fine', async () => {
  assert.is((await runToEnd(sandboxee('exit_with', ['3']))).result.exitCode, 3);
});

test.run();
