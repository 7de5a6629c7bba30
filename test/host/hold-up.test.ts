// Sandboxees that send what makes whoever closes, copies or looks at it wait: the host's event loop goes on, the walltime ends
// the run, and the result comes. What lingers does so for an hour (test/sandboxees/hold_up.c).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  Comms,
  CommsError,
  closeFd,
  type Executor,
  Sandbox2,
  Buffer as SharedMemory,
} from '../../host/index.js';
import { addon } from '../../native/addon.js';
import { type Blocked, cpuMs, watchBlockedCalls, whyUnwatchable } from '../support/blocked-calls.js';
import { countFds } from '../support/fds.js';
import { eventually, lenientPolicy, runToEnd, sandboxee, sandboxeePath } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('hold-ups');

/** The event loop may stand still in a system call for as long. */
const limitMs = 10;

const unwatchable = whyUnwatchable(process.pid);

const holdUp = (how: string, options = {}): Executor =>
  sandboxee('hold_up', [how], options).setEnableSandboxBeforeExec(false);

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof CommsError) return error.code;
    throw error;
  }
  return 'no error';
}

/** How long the event loop stood still meanwhile, and in which call. */
async function measure(use: () => Promise<void>): Promise<Blocked> {
  const stop = await watchBlockedCalls();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  try {
    await use();
  } finally {
    delay.disable();
  }
  const blocked = await stop();
  const late = Math.round(delay.max / 1e6);
  process.stdout.write(`  (${blocked.ms} ms in ${blocked.call}; a timer was up to ${late} ms late) `);
  return blocked;
}

/** A run whose sandboxee does that; use() is called as soon as it is under its policy. */
function add(how: string, use: (sandbox: Sandbox2) => Promise<void>, options = {}): void {
  test(how, async () => {
    if (unwatchable !== undefined) return skip(how, unwatchable);
    const before = countFds();
    const blocked = await measure(async () => {
      await using sandbox = new Sandbox2(holdUp(how, options), lenientPolicy());
      assert.ok(await sandbox.runAsync(), 'it is under its policy');
      await use(sandbox);
      sandbox.setWalltimeLimitMs(1);
      assert.is((await sandbox.awaitResult()).finalStatus, 'TIMEOUT');
    });
    assert.ok(blocked.looks > 0);
    assert.ok(blocked.ms < limitMs, `${blocked.ms} ms in ${blocked.call}`);
    await eventually('nothing is left open', () => countFds() <= before, 20_000);
  });
}

test('the watch sees a system call that waits', async () => {
  if (unwatchable !== undefined) return skip('the watch', unwatchable);
  // Opens a FIFO that nobody reads, and waits.
  const { mkdtempSync, openSync, closeSync, rmSync } = await import('node:fs');
  const { spawn, spawnSync } = await import('node:child_process');
  const folder = mkdtempSync('/tmp/sandwire-test-');
  try {
    spawnSync('mkfifo', [`${folder}/fifo`]);
    const stop = await watchBlockedCalls();
    const reader = spawn('sh', ['-c', `sleep 0.5; exec cat ${folder}/fifo`], { stdio: 'ignore' });
    await new Promise((resolve) => reader.once('spawn', resolve));
    closeSync(openSync(`${folder}/fifo`, 'w'));
    const { ms, looks } = await stop();
    assert.ok(ms >= 100, `${ms} ms were seen, in ${looks} looks`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('warm up the supervisor and the event loop', async () => {
  await runToEnd(sandboxee('exit_with', ['0']));
  createWriteStream('/dev/null').destroy();
});

add('announced', async ({ comms }) => {
  closeFd(await comms.recvFd());
  assert.is(await comms.recvString(), 'done');
});

add('both-ends', async ({ comms }) => {
  for (let end = 0; end < 2; end++) closeFd(await comms.recvFd());
  assert.is(await comms.recvString(), 'done');
});

add('nested', async ({ comms }) => {
  closeFd(await comms.recvFd());
  assert.is(await comms.recvString(), 'done');
});

for (const count of [1, 2, 253]) {
  add(`unannounced-${count}`, async ({ comms }) => {
    assert.is(await codeOf(comms.recvString()), 'SURPLUS_FD');
  });
}

add('payload', async ({ comms }) => {
  assert.is(await codeOf(comms.recvBytes()), 'SURPLUS_FD');
});

add('urgent', async ({ comms }) => {
  // The byte becomes a part of the stream, which makes no sense then.
  assert.not.equal(await codeOf(comms.recvString()), 'no error');
});

add(
  'unread',
  async ({ comms, stdout }) => {
    if (stdout === undefined) throw new Error('stdout is a stream');
    assert.is(String((await once(stdout, 'data'))[0]), 'all are under way');
    assert.is(await codeOf(comms.recvString()), 'TAG_MISMATCH');
    comms.close();
  },
  { stdio: { stdout: 'pipe' } },
);

add(
  'stdout',
  async (sandbox) => {
    assert.is(await sandbox.comms.recvString(), 'done');
    if (sandbox.stdout === undefined) throw new Error('stdout is a stream');
    const output = text(sandbox.stdout).catch((error: Error) => error.message);
    sandbox.setWalltimeLimitMs(1);
    // Linux 6.16 lets none be sent; before that they end the stream.
    assert.match(await output, /^before after$|file descriptors came/);
  },
  { stdio: { stdout: 'pipe' } },
);

add(
  'stdin',
  async (sandbox) => {
    assert.is(await sandbox.comms.recvString(), 'done');
    sandbox.stdin?.end('input');
  },
  { stdio: { stdin: 'pipe' } },
);

test('captured', async () => {
  if (unwatchable !== undefined) return skip('captured', unwatchable);
  const blocked = await measure(async () => {
    const sandbox = new Sandbox2(holdUp('stdout'), lenientPolicy());
    sandbox.setWalltimeLimitMs(3000);
    const { result, stdout } = await sandbox.run({ capture: {} });
    assert.is(result.finalStatus, 'TIMEOUT');
    assert.match(stdout.toString(), /^before /);
  });
  assert.ok(blocked.ms < limitMs, `${blocked.ms} ms in ${blocked.call}`);
});

for (const how of ['handshake-announced', 'handshake-unannounced']) {
  test(how, async () => {
    if (unwatchable !== undefined) return skip(how, unwatchable);
    const blocked = await measure(async () => {
      await using sandbox = new Sandbox2(holdUp(how), lenientPolicy());
      assert.not.ok(await sandbox.runAsync());
      assert.is((await sandbox.awaitResult()).finalStatus, 'SETUP_ERROR');
    });
    assert.ok(blocked.ms < limitMs, `${blocked.ms} ms in ${blocked.call}`);
  });
}

add('pipe-to-read', async ({ comms }) => {
  const stream = await comms.recvReadable();
  const read = text(stream).catch((error: Error) => error.message);
  await sleep(50);
  stream.destroy(new Error('enough'));
  assert.is(await read, 'enough');
});

add('pipe-to-write', async ({ comms }) => {
  const stream = await comms.recvWritable();
  stream.on('error', () => {});
  stream.write(Buffer.alloc(1 << 20));
  await sleep(50);
  stream.destroy();
});

add('memory', async ({ comms }) => {
  // Its pages go with its last descriptor, or its last mapping.
  const memory = SharedMemory.fromFd(await comms.recvFd());
  assert.is(await comms.recvString(), 'done');
  let sum = 0;
  for (let at = 0; at < 64 << 20; at += 4096) sum += memory.data[at] ?? 0;
  assert.is(sum, (64 << 20) / 4096);
  const before = cpuMs();
  memory.dispose();
  assert.ok(cpuMs() - before < limitMs, 'its pages are freed by others');
});

add('memory-being-written', async ({ comms }) => {
  using copy = await SharedMemory.fromFdAsync(await comms.recvFd(), { shared: false });
  assert.is(copy.data[copy.size - 1], 1);
  await copy.loadAsync();
  await copy.expandAsync(copy.size + 4096);
});

add('epoll', async ({ comms }) => {
  const fd = await comms.recvFd();
  assert.is(await comms.recvString(), 'done');
  const before = cpuMs();
  closeFd(fd);
  assert.ok(cpuMs() - before < limitMs, 'what it watches is forgotten by others');
});

/** A file of a file system that answers nothing (FUSE), as if a peer had sent it; undefined: there can be none here. */
async function stallingFile(): Promise<
  { readonly comms: Comms; readonly end: () => Promise<void> } | undefined
> {
  const [own, theirs] = addon().socketPair();
  const server = spawn(sandboxeePath('stalling_files'), ['3'], {
    stdio: ['ignore', 'ignore', 'inherit', theirs],
  });
  const ended = once(server, 'exit');
  addon().closeFd(theirs);
  const comms = new Comms(own);
  try {
    await comms.peekTag();
  } catch {
    const [code] = await ended;
    comms.close();
    assert.is(code, 77);
    return undefined;
  }
  const end = async () => {
    comms.close();
    await ended;
  };
  return { comms, end };
}

const usesOfStalling: Record<string, (comms: Comms) => Promise<void>> = {
  'its descriptor is closed': async (comms) => closeFd(await comms.recvFd()),
  'it is received as a FileHandle': async (comms) => {
    await Promise.race([comms.recvFileHandle().catch(() => {}), sleep(50)]);
  },
  'it is received as a stream': async (comms) => {
    await Promise.race([comms.recvReadable().catch(() => {}), sleep(50)]);
  },
  'it is copied': async (comms) => {
    const fd = await comms.recvFd();
    await Promise.race([SharedMemory.fromFdAsync(fd, { shared: false }).catch(() => {}), sleep(50)]);
    closeFd(fd);
  },
  'it is sent on': async (comms) => {
    const fd = await comms.recvFd();
    await using sandbox = new Sandbox2(sandboxee('wait_forever'), lenientPolicy());
    assert.ok(await sandbox.runAsync());
    // In the queue of the sandboxee, which never looks, and ends with what is in it.
    await sandbox.comms.sendFd(fd);
    closeFd(fd);
  },
};

for (const [what, use] of Object.entries(usesOfStalling)) {
  test(`a file system that does not answer: ${what}`, async () => {
    if (unwatchable !== undefined) return skip(what, unwatchable);
    const before = countFds();
    const stalling = await stallingFile();
    if (stalling === undefined) return skip(what, 'no file system can be made here (/dev/fuse)');
    const blocked = await measure(async () => {
      await use(stalling.comms);
      await sleep(50);
    });
    await stalling.end();
    assert.ok(blocked.ms < limitMs, `${blocked.ms} ms in ${blocked.call}`);
    await eventually('nothing is left open', () => countFds() <= before, 20_000);
  });
}

test.run();
