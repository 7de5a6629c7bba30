// libsandwire's fork server under a host that is sandbox2: without the extension, without a prewarmed sandbox. The test
// plays the host.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { addon } from '../../native/addon.js';
import { Comms } from '../../native/comms.js';
import { SocketTransport } from '../../native/socket-transport.js';
import { encodeMessage, performHostHandshake } from '../../protocol/index.js';
import { ForkMode, ForkMonitor } from '../../protocol/messages.generated.js';
import { Handshake, Tag } from '../../protocol/wire.generated.js';
import { eventually, isAlive, sandboxeePath } from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { hangMs } from '../support/time.js';

const test = suite('fork server under sandbox2');
const CLONE_UNTRACED = 0x00800000;
/** What an executor of sandbox2 requests by default: all namespaces. */
const ALL_NAMESPACES = 0x7c820000;
/** One instruction: BPF_RET with SECCOMP_RET_ALLOW. */
const allowAll = Uint8Array.of(6, 0, 0, 0, 0, 0, 0xff, 0x7f);

interface Server {
  readonly process: ChildProcess;
  readonly comms: Comms;
}

function start(name = 'behave', ...how: string[]): Server {
  const [own, theirs] = addon().socketPair();
  const child = spawn(sandboxeePath(name), how.length === 0 ? ['fork'] : how, {
    env: { SANDBOX2_COMMS_FD: '3' },
    stdio: ['ignore', 'ignore', 'inherit', theirs],
  });
  closeSync(theirs);
  return { process: child, comms: new Comms(new SocketTransport(own)) };
}

async function request(
  server: Server,
  cloneFlags: number,
  mode: ForkMode = ForkMode.FORK,
  sandwireEntrance?: boolean,
): Promise<Comms> {
  await server.comms.sendProtobufBytes(
    encodeMessage('ForkRequest', {
      mode,
      cloneFlags,
      monitorType: ForkMonitor.FORK_MONITOR_PTRACE,
      sandwireEntrance,
    }),
  );
  assert.is(await server.comms.peekTag(), Tag.Fd, 'no version, which sandbox2 does not expect');
  return new Comms(new SocketTransport(await server.comms.recvFd()));
}

test('without namespaces: comms fd, credentials, handshake, work', async () => {
  const server = start();
  for (let round = 0; round < 3; round++) {
    const setup = await request(server, CLONE_UNTRACED);
    setup.enableCredentials();
    const [own, theirs] = addon().socketPair();
    const comms = new Comms(new SocketTransport(own));
    await setup.sendFd(theirs);
    closeSync(theirs);
    const { pid } = await setup.recvCredentials();
    assert.ok(pid > 1 && pid !== server.process.pid && isAlive(pid));
    const peer = await performHostHandshake(
      comms,
      { policyBytes: allowAll, cwd: '/', mappings: [], allowSpeculation: true, goFlag: Handshake.GO_PTRACE },
      { attachListener: async () => {} },
    );
    assert.equal(peer, { kind: 'sandbox2', version: Handshake.VERSION });
    await comms.sendBytes(new TextEncoder().encode('exit_with\x003\0'));
    await comms.recvBarrier();
    await eventually('the child is gone, and no zombie', () => !isAlive(pid));
    setup.close();
    comms.close();
  }
  server.comms.close();
  assert.equal(await once(server.process, 'exit'), [0, null]);
});

test('a request that needs sandbox2’s namespaces is refused, and the next request is served', async () => {
  const server = start();
  for (const setup of [
    await request(server, ALL_NAMESPACES),
    await request(server, 0, ForkMode.FORK_EXECVE),
  ]) {
    await setup.recvMessage().then(
      () => assert.unreachable(),
      (error: { code: string }) => assert.is(error.code, 'CLOSED'),
    );
    setup.close();
  }
  const setup = await request(server, CLONE_UNTRACED);
  setup.close(); // given up by the host: the child ends
  server.comms.close();
  assert.equal(await once(server.process, 'exit'), [0, null]);
});

test('our request to a fork server of sandbox2’s own kind: it ignores what it does not know', async () => {
  const server = start('lie', 'sandbox2');
  const setup = await request(server, CLONE_UNTRACED, ForkMode.FORK, true);
  setup.enableCredentials();
  const [own, theirs] = addon().socketPair();
  const comms = new Comms(new SocketTransport(own));
  await setup.sendFd(theirs);
  closeSync(theirs);
  const { pid } = await setup.recvCredentials();
  assert.ok(isAlive(pid));
  let listener = -1;
  const attachListener = async (fd: number) => {
    listener = fd;
  };
  const config = { policyBytes: allowAll, cwd: '/', mappings: [], allowSpeculation: true };
  await performHostHandshake(comms, { ...config, goFlag: Handshake.GO_UNOTIFY }, { attachListener });
  assert.ok(listener > 2, 'its seccomp listener came');
  assert.is(await comms.recvUint32(), 9);
  closeSync(listener);
  for (const each of [setup, comms, server.comms]) each.close();
  assert.equal(await once(server.process, 'exit'), [0, null]);
});

test('a fork server that has a ring of io_uring is refused its children', async () => {
  for (const [how, expected] of [
    ['ring', /has a ring or a device mapped, .*\(anon_inode:\[io_uring\]\)/],
    ['ring+', /has a ring or a device mapped, .*\(anon_inode:\[io_uring\]\)/],
    ['ring-fd', /has a ring or a userfaultfd open \(fd \d+, anon_inode:\[io_uring\]\)/],
    ['ring-fd+', /has a ring or a userfaultfd open \(fd \d+, anon_inode:\[io_uring\]\)/],
    ['ring-alone', /has memory that all its children could write to/],
    ['ring-alone+', /has a ring of io_uring without an fd/],
  ] as const) {
    const server = start('behave', 'fork', how);
    const asked = request(server, CLONE_UNTRACED).catch(() => undefined); // it may have no ring, and end
    const ended = once(server.process, 'exit');
    const setup = await Promise.race([asked, ended.then(() => undefined)]);
    if (setup === undefined) {
      const [code] = await ended;
      assert.ok(Number(code) > 100 && code !== 115, `it ended with ${code}`);
      skip(`a ring (${how})`, `this kernel makes none: errno ${Number(code) - 100}`);
      server.comms.close();
      continue;
    }
    const { payload } = await setup.recvMessage({ timeoutMs: hangMs });
    assert.match(Buffer.from(payload).toString('latin1'), expected, how);
    setup.close();
    server.comms.close();
    await ended;
  }
});

test('nonsense in the place of a request ends it', async () => {
  for (const send of [
    (comms: Comms) => comms.sendUint32(1),
    (comms: Comms) => comms.sendProtobufBytes(Uint8Array.of(0xff)),
  ]) {
    const server = start();
    await send(server.comms);
    const [code] = await once(server.process, 'exit');
    assert.ok(Number(code) > 10, String(code));
    server.comms.close();
  }
});

test.run();
