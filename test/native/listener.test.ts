// Named sockets.
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Comms, connect, connectSync, Listener, listen } from '../../host/index.js';
import type { CommsError } from '../../protocol/index.js';
import { run } from '../support/command.js';
import { countFds } from '../support/fds.js';
import { checkout, eventually, isRoot } from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { hangMs } from '../support/time.js';

const test = suite('named sockets');
const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
const socketPath = path.join(folder, 'socket');
const name = `@sandwire-test-${process.pid}`;

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: Error & { code?: string }) => error.code ?? error.message,
  );
}

test.after(() => rmSync(folder, { recursive: true }));

test('bad addresses', async () => {
  for (const address of ['', '@', 'a\0b', 5, undefined]) {
    assert.throws(() => listen(address as never), /a path, or "@name"/);
    assert.match(await codeOf(connect(address as never)), /a path, or "@name"/);
    assert.throws(() => connectSync(address as never), /a path, or "@name"/);
  }
  assert.throws(() => listen(`@${'x'.repeat(108)}`), /ENAMETOOLONG/);
  assert.throws(() => listen(`/${'x'.repeat(107)}`), /ENAMETOOLONG/);
  assert.throws(() => listen('/nowhere/socket'), /ENOENT.*\(\/nowhere\/socket\)/);
  assert.is(await codeOf(connect('/nowhere/socket')), 'ENOENT');
  assert.is(await codeOf(connect(`${name}-nobody`)), 'ECONNREFUSED');
  writeFileSync(socketPath, '');
  assert.throws(() => listen(socketPath), /EADDRINUSE/);
  assert.is(await codeOf(connect(socketPath)), 'ECONNREFUSED');
  rmSync(socketPath);
});

for (const [kind, address] of [
  ['abstract', name],
  ['path', socketPath],
] as const) {
  test(`${kind}: connections are taken one by one, and say who made them`, async () => {
    const before = countFds();
    await using listener = listen(address);
    assert.is(listener.address, address);
    assert.throws(() => listen(address), /EADDRINUSE/);
    const accepted = listener.accept();
    const client = await connect(address);
    const server = await accepted;
    assert.equal(server.peerCredentials(), {
      pid: process.pid,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
    });
    await client.sendString('hello');
    assert.is(await server.recvString(), 'hello');
    const second = connectSync(address);
    const secondServer = listener.acceptSync();
    second.sendUint32Sync(5);
    assert.is(secondServer.recvUint32Sync(), 5);
    listener.close();
    await server.sendUint32(6); // connections go on
    assert.is(await client.recvUint32(), 6);
    for (const comms of [client, server, second, secondServer]) comms.close();
    assert.is(existsSync(socketPath), false);
    assert.is(await codeOf(connect(address)), kind === 'path' ? 'ENOENT' : 'ECONNREFUSED');
    await eventually('fds are closed (the event loop keeps its own)', () => countFds() <= before + 3);
  });
}

test('accept can be given up, and the listener be closed under it', async () => {
  const listener = new Listener(name);
  assert.is(await codeOf(listener.accept({ timeoutMs: 5 })), 'TIMEOUT');
  assert.throws(() => listener.acceptSync({ timeoutMs: 5 }), /TIMEOUT/);
  const aborter = new AbortController();
  const aborted = codeOf(listener.accept({ signal: aborter.signal }));
  assert.throws(() => listener.acceptSync(), /BUSY/);
  aborter.abort();
  assert.is(await aborted, 'ABORTED');
  assert.is(await codeOf(listener.accept({ signal: AbortSignal.abort() })), 'ABORTED');
  const pending = [codeOf(listener.accept()), codeOf(listener.accept())];
  listener.close();
  listener.close();
  assert.equal(await Promise.all(pending), ['CLOSED', 'CLOSED']);
  assert.is(await codeOf(listener.accept()), 'CLOSED');
  assert.throws(() => listener.acceptSync(), /CLOSED/);
  const again = listen(name); // the name is free again
  again.close();
});

test('for await, until it is closed', async () => {
  const listener = listen(name);
  const texts: string[] = [];
  const serving = (async () => {
    for await (const comms of listener) {
      texts.push(await comms.recvString());
      comms.close();
    }
  })();
  for (const text of ['a', 'b', 'c']) {
    const comms = await connect(name);
    await comms.sendString(text);
    await codeOf(comms.recvMessage());
    comms.close();
  }
  listener.close();
  await serving;
  assert.equal(texts, ['a', 'b', 'c']);
});

test('a full queue: connect waits in turn, and no longer than it is told', async () => {
  const listener = listen(name);
  const waiting: Comms[] = [];
  let code = 'no error';
  while (code === 'no error' && waiting.length < 1000) {
    code = await connect(name, { timeoutMs: 0 }).then(
      (comms) => {
        waiting.push(comms);
        return 'no error';
      },
      (error: CommsError) => error.code,
    );
  }
  assert.is(code, 'TIMEOUT');
  assert.throws(() => connectSync(name, { timeoutMs: 10 }), /TIMEOUT/);
  assert.is(await codeOf(connect(name, { signal: AbortSignal.timeout(20) })), 'ABORTED');
  const late = connect(name, { timeoutMs: hangMs });
  await new Promise((resolve) => setTimeout(resolve, 10));
  (await listener.accept()).close();
  (await late).close();
  for (const comms of waiting) comms.close();
  listener.close();
});

test('whoever may not write to a path may not connect', async () => {
  if (isRoot) return skip('whoever may not write to a path may not connect', 'root may');
  const listener = listen(socketPath);
  chmodSync(socketPath, 0o000);
  assert.is(await codeOf(connect(socketPath)), 'EACCES');
  listener.close();
});

test('an idle listener does not keep the process alive', async () => {
  const module = JSON.stringify(`${checkout}dist/host/index.js`);
  const script = `import { listen } from ${module};
    globalThis.kept = listen(${JSON.stringify(`${name}-idle`)}); console.log('up');`;
  const { stdout, code } = await run(process.execPath, ['--input-type=module', '-e', script]);
  assert.equal([stdout, code], ['up\n', 0]);
});

test.run();
