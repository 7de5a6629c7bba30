// Requests that cannot be taken: each ends its own run with words, and no other one. Most come from a host that does not
// look at what it sends, so the tests speak to a supervisor themselves.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, Sandbox2 } from '../../host/index.js';
import { addon, supervisorPath } from '../../native/addon.js';
import { Comms } from '../../native/comms.js';
import { decodeMessage, encodeMessage } from '../../protocol/index.js';
import { EndKind, type Event, LaunchMode } from '../../protocol/messages.generated.js';
import { Tag, WireFd, WireLimit } from '../../protocol/wire.generated.js';
import { countFds } from '../support/fds.js';
import {
  eventually,
  lenientPolicy,
  runToEnd,
  sandboxee,
  sandboxeePath,
  startForkServer,
} from '../support/sandbox.js';
import { hangMs } from '../support/time.js';

const test = suite('requests');
const policy = lenientPolicy();

/** A supervisor of our own, which has nothing to do with the host's. */
class Peer implements AsyncDisposable {
  readonly process: ChildProcess;
  readonly comms: Comms;
  readonly fd: number;

  constructor() {
    const [ours, theirs] = addon().socketPair();
    this.process = spawn(supervisorPath(), [], {
      env: {},
      stdio: ['ignore', 'ignore', 'ignore', theirs],
      detached: true,
    });
    addon().closeFd(theirs);
    this.fd = ours;
    this.comms = new Comms(ours);
  }

  async send(bytes: Uint8Array, ...fds: number[]): Promise<void> {
    await this.comms.sendProtobufBytes(bytes);
    for (const fd of fds) await this.comms.sendFd(fd);
  }

  async event(): Promise<Event> {
    return decodeMessage('Event', await this.comms.recvProtobufBytes({ timeoutMs: hangMs }));
  }

  /** The reason, for exactly this run. */
  async refusal(run: bigint): Promise<string> {
    const { refused, ...other } = await this.event();
    assert.equal(Object.keys(other), []);
    assert.is(refused?.run ?? 0n, run);
    return new TextDecoder().decode(refused?.reason);
  }

  get fdCount(): number {
    return readdirSync(`/proc/${this.process.pid}/fd`).length;
  }

  /** That it still does its work: a program runs to its end. */
  async checkIsWell(run = 1000n): Promise<void> {
    const program = openSync(sandboxeePath('exit_with'), 'r');
    const [ours, theirs] = addon().socketPair();
    await this.send(startRequest({ run, args: ['exit_with', '7'] }), program, theirs);
    closeSync(program);
    addon().closeFd(ours);
    addon().closeFd(theirs);
    for (;;) {
      const { ended, refused } = await this.event();
      assert.is(refused, undefined);
      if (ended === undefined) continue;
      assert.is(ended.run, run);
      assert.is(ended.exitCode, 7, JSON.stringify(ended.setupStep));
      return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.process, 'exit');
    this.comms.close();
    assert.equal(await exited, [0, null]);
  }
}

interface Start {
  readonly run: bigint;
  readonly args?: readonly string[];
  readonly mode?: LaunchMode;
  readonly fdTargets?: readonly number[];
  readonly policyBytes?: Uint8Array;
}

function startRequest({ run, args = ['x'], mode, fdTargets, policyBytes }: Start): Uint8Array {
  return encodeMessage('Request', {
    start: {
      run,
      mode: mode ?? LaunchMode.SANDBOXED_BEFORE_EXEC,
      args: args.map((arg) => new TextEncoder().encode(arg)),
      policyBytes: policyBytes ?? policy.program,
      sandbox: { hostname: new TextEncoder().encode('sandbox') },
      fdTargets: fdTargets ?? [WireFd.COMMS_FD],
      spares: 0,
    },
  });
}

const badStarts: readonly (readonly [string, Partial<Start>, number, RegExp])[] = [
  ['more fds than can be', { fdTargets: [...Array(300).keys()] }, 301, /too many fds/],
  ['an fd for a number of the launch’s', { fdTargets: [WireFd.EXEC_FD] }, 2, /fd target/],
  ['two fds for one number', { fdTargets: [5, 5] }, 3, /two fds/],
  ['no policy', { policyBytes: new Uint8Array() }, 2, /no policy/],
  ['a policy that is none', { policyBytes: new Uint8Array(7) }, 2, /instructions/],
  ['an unknown mode', { mode: 99 as LaunchMode }, 2, /LaunchMode has no value 99/],
  ['an argument that holds a NUL', { args: ['a\0b'] }, 2, /NUL/],
];
for (const [name, start, fds, reason] of badStarts) {
  test(`refused: ${name}`, async () => {
    await using peer = new Peer();
    await peer.checkIsWell(1n);
    const before = peer.fdCount;
    for (let i = 0; i < 20; i++) {
      await peer.send(startRequest({ run: 9n, ...start }), ...Array<number>(fds).fill(0));
      assert.match(await peer.refusal(9n), reason);
    }
    await peer.checkIsWell();
    await eventually('the fds are closed', () => peer.fdCount <= before + 5);
  });
}

test('refused: a request of more bytes than are taken, in one piece and in many', async () => {
  await using peer = new Peer();
  const long = startRequest({ run: 77n, args: ['x', 'y'.repeat(WireLimit.REQUEST_LIMIT)] });
  await peer.send(long, 0, 1, 2);
  assert.match(await peer.refusal(77n), /more bytes than are taken/);
  await peer.checkIsWell();
  // Byte by byte at its beginning, where the number of the run is.
  const header = Buffer.alloc(WireLimit.HEADER_SIZE);
  header.writeUInt32LE(Tag.Proto2);
  header.writeBigUInt64LE(BigInt(long.length), 4);
  const socket = new (addon().Socket)(addon().duplicate(peer.fd));
  socket.defineCalls();
  const stream = Buffer.concat([header, long]);
  for (let i = 0; i < 60; i++) socket.send(stream, i, 1, -1, true);
  for (let at = 60; at < stream.length; ) at += socket.send(stream, at, stream.length - at, -1, true);
  socket.close();
  assert.match(await peer.refusal(77n), /more bytes than are taken/);
  await peer.checkIsWell();
});

test('refused: not all fds come, none is asked for, and none is awaited', async () => {
  await using peer = new Peer();
  await peer.checkIsWell(1n);
  const before = peer.fdCount;
  for (let i = 0; i < 20; i++) {
    await peer.send(startRequest({ run: 3n }), 0);
    await peer.send(encodeMessage('Request', { kill: { run: 3n } }), 0, 1, 2);
    assert.match(await peer.refusal(3n), /not all of its file descriptors came/);
    await peer.send(encodeMessage('Request', { attachListener: { run: 12n } }));
    await peer.send(encodeMessage('Request', { attachListener: { run: 12n } }), 0, 0);
  }
  await peer.checkIsWell();
  await eventually('the fds are closed', () => peer.fdCount <= before + 5);
});

test('refused: requests of another kind, and what is none', async () => {
  await using peer = new Peer();
  // Field 99 of Request, a message whose field 1 is 5.
  await peer.send(Uint8Array.of(0x9a, 0x06, 2, 0x08, 5), 0, 0);
  assert.match(await peer.refusal(5n), /Request has no field 99/);
  for (const nonsense of [
    [],
    [0x08, 1],
    [0x0a, 200],
    [255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
  ]) {
    await peer.send(Uint8Array.from(nonsense), 0);
    assert.match(await peer.refusal(0n), /malformed/);
  }
  await peer.checkIsWell();
});

/** A field of a message within others: the field numbers of those around it, then its own; with a value. */
function nested(path: readonly number[], inner: Uint8Array): Uint8Array {
  return path.reduceRight((content, number) => {
    const tag = Buffer.from([((number << 3) & 0x7f) | 2 | (number > 15 ? 0x80 : 0)]);
    const rest = number > 15 ? Buffer.from([number >> 4]) : Buffer.alloc(0);
    return Buffer.concat([tag, rest, Buffer.from([content.length]), content]);
  }, Buffer.from(inner));
}

/** The varint field 1000, of value 1. */
const unknownField = Uint8Array.of(0xc0, 0x3e, 1);
const runSeven = Uint8Array.of(0x08, 7);
const startField = 1;

const unknowns: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['a field of StartRequest', nested([startField], Buffer.concat([runSeven, unknownField])), /StartRequest/],
  ...(
    [
      [12, /Limit/],
      [40, /StackTraceSwitches/],
      [112, /CgroupLimits/],
    ] as const
  ).map(([number, message]) => {
    const inside = Buffer.concat([runSeven, nested([number], unknownField)]);
    return [`a field of ${message.source}`, nested([startField], inside), message] as const;
  }),
  ['a field of KillRequest', nested([2], Buffer.concat([runSeven, unknownField])), /KillRequest/],
  [
    'a field of SetWalltimeRequest',
    nested([3], Buffer.concat([runSeven, unknownField])),
    /SetWalltimeRequest/,
  ],
  [
    'a field of AttachListenerRequest',
    nested([4], Buffer.concat([runSeven, unknownField])),
    /AttachListener/,
  ],
  ['a field of AnswerRequest', nested([110], Buffer.concat([runSeven, unknownField])), /AnswerRequest/],
];
for (const [name, request, message] of unknowns) {
  test(`refused, with its number: ${name}`, async () => {
    await using peer = new Peer();
    await peer.send(request);
    const reason = await peer.refusal(7n);
    assert.match(reason, message);
    assert.match(reason, /has no field 1000$/);
    await peer.checkIsWell();
  });
}

test('refused, with its number: a limit, a network, a mount, an answer of an unknown kind', async () => {
  await using peer = new Peer();
  for (const [request, words] of [
    [{ start: { run: 7n, limits: [{ resource: 77, value: 1n }] } }, /Limit.resource has no value 77$/],
    [
      { start: { run: 7n, limits: [1, 1].map((value) => ({ resource: 9, value: BigInt(value) })) } },
      /two limits/,
    ],
    [{ answer: { run: 7n, question: 1n, kind: 9 as never } }, /AnswerKind has no value 9$/],
  ] as const) {
    await peer.send(encodeMessage('Request', request));
    assert.match(await peer.refusal(7n), words);
  }
  await peer.checkIsWell();
});

test('a sandbox described with what is not known comes to nothing, with its number', async () => {
  await using peer = new Peer();
  const described = (sandbox: object) => ({
    run: 7n,
    mode: LaunchMode.SANDBOXED_BEFORE_EXEC,
    policyBytes: policy.program,
    sandbox,
    fdTargets: [WireFd.COMMS_FD],
  });
  const endOf = async (request: Uint8Array) => {
    const program = openSync('/dev/null', 'r');
    await peer.send(request, program, program);
    closeSync(program);
    const { ended } = await peer.event();
    assert.is(ended?.run, 7n);
    assert.is(ended?.kind, EndKind.SETUP_FAILED);
    return new TextDecoder().decode(ended?.setupDetail);
  };
  const inside = new TextEncoder().encode('/x');
  for (const [sandbox, words] of [
    [{ network: 9 }, /Network has no value 9$/],
    [{ mounts: [{ kind: 99, inside }] }, /MountKind has no value 99$/],
  ] as const) {
    assert.match(await endOf(encodeMessage('Request', { start: described(sandbox) })), words);
  }
  const start = encodeMessage('StartRequest', described({}));
  for (const [path, words] of [
    [[8], /SandboxDescription has no field 1000$/],
    [[8, 1], /Mount has no field 1000$/],
  ] as const) {
    const whole = Buffer.concat([start, nested(path, unknownField)]);
    const length = Buffer.from([(whole.length & 0x7f) | 0x80, whole.length >> 7]);
    assert.match(await endOf(Buffer.concat([Buffer.from([0x0a]), length, whole])), words);
  }
  await peer.checkIsWell();
});

test('a stream that makes no sense ends it', async () => {
  const peer = new Peer();
  const exited = once(peer.process, 'exit');
  await peer.comms.sendUint32(1);
  assert.equal(await exited, [0, null]);
  peer.comms.close();
});

// --- by the host's own API ------------------------------------------------------------------------------------

/** The result of a run beside which another goes on as if nothing had happened. */
async function resultBeside(make: () => ReturnType<typeof sandboxee>): Promise<string> {
  await using innocent = new Sandbox2(sandboxee('wait_forever'), policy);
  await innocent.runAsync();
  const before = countFds();
  const careless = new Sandbox2(make(), policy);
  const result = await careless.run();
  await careless[Symbol.asyncDispose]();
  assert.is(result.finalStatus, 'SETUP_ERROR', String(result));
  assert.is((await runToEnd(sandboxee('exit_with', ['4']))).result.exitCode, 4);
  assert.is(innocent.isTerminated, false);
  await eventually('no fd is left open', () => countFds() <= before);
  return String(result);
}

test('arguments, or an environment, of 9 MiB', async () => {
  const long = 'x'.repeat(9 << 20);
  const words = /are \d+ bytes, and at most 8388608 are accepted; send large data/;
  assert.match(await resultBeside(() => sandboxee('exit_with', [long])), words);
  assert.match(await resultBeside(() => sandboxee('exit_with', [], { envs: { LONG: long } })), words);
});

function withFds(count: number) {
  const executor = sandboxee('exit_with');
  for (let fd = 3; fd < 3 + count; fd++) executor.ipc.mapDupedFd(1, fd);
  return executor;
}

test('as many mapped fds as can be, and one more', async () => {
  assert.is((await new Sandbox2(withFds(251), policy).run()).finalStatus, 'OK');
  assert.match(
    await resultBeside(() => withFds(252)),
    /252 file descriptors are mapped, of which a sandboxee can be given 251 at its start/,
  );
});

test('an fd that was mapped, and then closed', async () => {
  const result = await resultBeside(() => {
    const executor = sandboxee('exit_with');
    // A number that nobody else gets meanwhile: lower ones are free.
    const fds = Array.from({ length: 30 }, () => openSync('/dev/null', 'r'));
    executor.ipc.mapFd(fds.at(-1) ?? -1, 5);
    for (const fd of fds) closeSync(fd);
    return executor;
  });
  assert.match(result, /fd \d+ cannot be sent: .*EBADF/);
});

test('a fork server: the same words, in its result', async () => {
  const server = await startForkServer({ envs: { LONG: 'x'.repeat(9 << 20) } });
  assert.match(String(await server.awaitResult()), /^SETUP_ERROR.*send large data/);
  assert.match(
    String(await new Sandbox2(new Executor(server), policy).run()),
    /^SETUP_ERROR.*send large data/,
  );
});

test.run();
