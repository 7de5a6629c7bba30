// SandboxMeHere conversations with a C sandboxee: those recorded from sandbox2, with the recorded policy really in
// force (it allows little more than read and write on fd 1023), and hosts that break the protocol.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { skip } from '../support/skip.js';
import { build, root, type Variant, whyNotBuilt } from './build.js';

interface Message {
  readonly from: 'host' | 'sandboxee';
  readonly what: string;
  readonly bytes: string;
  readonly fds?: number;
}
interface Conversation {
  readonly name: string;
  readonly messages: Message[];
}

const test = suite('SandboxMeHere in C');
const conversations = JSON.parse(
  readFileSync(join(root, 'test', 'data', 'handshake.json'), 'utf8'),
) as Conversation[];

interface Replay {
  readonly end: string;
  readonly output: string;
  readonly errors: string;
}

function replayIn(folder: string, lines: string[], clientArgs: string[], hostArgs: string[]): Replay {
  const result = spawnSync(
    join(folder, 'replay_host'),
    [...hostArgs, join(folder, 'crc4_client'), ...clientArgs],
    { input: `${lines.join('\n')}\n`, encoding: 'utf8', timeout: 60_000, env: {} },
  );
  const lastLine = result.stdout.trimEnd().split('\n').at(-1) ?? '';
  return { end: lastLine, output: result.stdout, errors: result.stderr };
}

// ---- What messages are made of ----

const littleEndian32 = (value: number): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes.toString('hex');
};
const message = (tag: number, payload: string): string =>
  `${littleEndian32(tag)}${littleEndian32(payload.length / 2)}00000000${payload}`;
const text = (value: string): string => Buffer.from(value, 'utf8').toString('hex');
const version = (value: string): string => message(0x80000104, text(value));
const uint32 = (value: number): string => message(0x80000007, littleEndian32(value));
const int32 = (value: number): string => message(0x80000006, littleEndian32(value));
const string = (value: string): string => message(0x80000100, text(value));
const fdHeader = message(0x80000201, '');
const noUpgrade = message(0x80000204, '');
const ready = uint32(0x0a0b0c01);
const goPtrace = uint32(0x0a0b0c02);
const goUnotify = uint32(0x0a0b0c03);
const limitsApplied = uint32(0x0a0b0c04);
const speculationBit = 0x10000000;
const exchange = [`host ${message(0x80000101, text('hello'))}`, `sandboxee ${uint32(0x6c6c6507)}`];
const plainVersion = version('V20260702');
const ownVersion = version('73616e6477697265000000000000000000000000000000000000000000000001V20260702');

const varint = (value: bigint): string => {
  let rest = BigInt.asUintN(64, value);
  const bytes: number[] = [];
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes).toString('hex');
};
const field = (number: number, payload: string): string =>
  `${varint(BigInt((number << 3) | 2))}${varint(BigInt(payload.length / 2))}${payload}`;
interface Mapping {
  readonly requestedFd?: number;
  readonly name: string;
}
const config = (cwd: string, policy: string, mappings: Mapping[] = []): string =>
  message(
    0x80000102,
    field(1, text(cwd)) +
      (policy ? field(2, policy) : '') +
      mappings
        .map(({ requestedFd, name }) =>
          field(
            5,
            (requestedFd === undefined ? '' : `08${varint(BigInt(requestedFd))}`) + field(2, text(name)),
          ),
        )
        .join(''),
  );

/** One BPF instruction: load a word of seccomp_data, jump if equal, return. */
const load = (offset: number): string => `20000000${littleEndian32(offset)}`;
const jumpIfEqual = (value: number, ifSo: number, ifNot: number): string =>
  `1500${Buffer.from([ifSo, ifNot]).toString('hex')}${littleEndian32(value)}`;
const give = (action: number): string => `06000000${littleEndian32(action)}`;
const allow = give(0x7fff0000);
const allowAll = allow;
/** Each program of our own host begins like this; then everything is allowed. */
const ownPolicy = [
  load(0),
  jumpIfEqual(436, 0, 3), // close_range
  load(56), // its sixth argument
  jumpIfEqual(0x53570002, 0, 3),
  give(0x7fc00000), // USER_NOTIF
  jumpIfEqual(0x2f000fdb, 0, 1),
  give(0x00050000 | 4060), // ERRNO
  allow,
].join('');

// ---- Recorded conversations ----

function recorded(name: string): Message[] {
  const found = conversations.find((conversation) => conversation.name === name);
  assert.ok(found, `handshake.json has no "${name}"`);
  return found.messages;
}

/** The configuration, which was recorded only once and replaces "(SandboxingConfig as above …)". */
const recordedConfig = recorded('executor, versioned handshake').find(({ what }) => what === 'config')?.bytes;

function toLines(messages: Message[], changes: Record<string, string> = {}): string[] {
  return messages.map(({ from, what, bytes, fds }) => {
    const replaced = changes[`${from} ${what}`] ?? (bytes.startsWith('(') ? (recordedConfig ?? '') : bytes);
    return `${from} ${replaced}${fds ? ` ${fds}` : ''}`;
  });
}

// The recorded policies are x86-64 programs.
const isRecordedArchitecture = process.arch === 'x64';
if (isRecordedArchitecture) {
  // Not under the sanitizers, whose own syscalls these policies do not know.
  const folder = build('plain');
  const replay = (lines: string[], clientArgs: string[] = []): Replay =>
    replayIn(folder, lines, clientArgs, []);
  for (const name of [
    'executor, versioned handshake',
    'sandboxee, versioned handshake, ptrace go',
    'sandboxee, versioned handshake, unotify',
  ]) {
    test(`recorded: ${name}`, () => {
      assert.is(replay(toLines(recorded(name))).end, 'exit 0');
    });
    test(`recorded, then a forbidden syscall: ${name}`, () => {
      const lines = toLines(recorded(name).filter(({ what }) => what !== 'data' && what !== 'crc4 result'));
      assert.is(replay(lines, ['violate']).end, 'signal 31');
    });
  }

  // Recorded with a sandboxee of an older version; ours is new, so here the host is the old one.
  const legacy = recorded('executor, legacy handshake');
  const sandboxeeVersion = { 'sandboxee version': plainVersion };
  test('recorded: legacy handshake, host of an older version', () => {
    const lines = toLines(legacy, { ...sandboxeeVersion, 'host version': version('V20250101') });
    assert.is(replay(lines).end, 'exit 0');
  });
  test('recorded: legacy handshake, host without versions', () => {
    const lines = toLines(
      legacy.filter(({ from, what }) => !(from === 'host' && what === 'version')),
      sandboxeeVersion,
    );
    assert.is(replay(lines).end, 'exit 0');
  });
  test('recorded: legacy handshake, host that only names its identity', () => {
    const lines = toLines(legacy, { ...sandboxeeVersion, 'host version': version('ab'.repeat(32)) });
    assert.is(replay(lines).end, 'exit 0');
  });
} else {
  test('recorded handshakes', () =>
    skip('recorded handshakes', `their policies are for x86-64, this is ${process.arch}`));
}

function addTests(variant: Variant): void {
  const reason = whyNotBuilt(variant);
  if (reason !== undefined) {
    test(`handshakes, ${variant}`, () => skip(`handshakes, ${variant}`, reason));
    return;
  }
  const folder = build(variant);
  const replay = (lines: string[], clientArgs: string[] = [], hostArgs: string[] = []): Replay =>
    replayIn(folder, lines, clientArgs, hostArgs);

  // ---- Our own host ----

  test(`${variant}: our own host takes the listener at the rendezvous`, () => {
    for (const bit of [0, speculationBit]) {
      const lines = [
        `sandboxee ${ownVersion}`,
        `host ${plainVersion}`,
        `host ${config('/', ownPolicy)}`,
        `host ${noUpgrade}`,
        `sandboxee ${ready}`,
        `host ${uint32(0x0a0b0c03 + bit)}`,
        'rendezvous',
        ...exchange,
      ];
      assert.is(replay(lines, [], ['--rendezvous']).end, 'exit 0');
      assert.is(replay(lines, ['second-client'], ['--rendezvous']).end, 'exit 0');
    }
  });

  // ---- Fds and the working directory ----

  const openWith = (configuration: string, ...afterwards: string[]): string[] => [
    `sandboxee ${plainVersion}`,
    `host ${plainVersion}`,
    `host ${configuration}`,
    ...afterwards,
  ];
  const finishWith = (go: string): string[] => [`host ${noUpgrade}`, `sandboxee ${ready}`, `host ${go}`];

  test(`${variant}: fds are mapped by number and by name`, () => {
    const mappings = [
      { requestedFd: -1, name: 'any' },
      { requestedFd: 77, name: 'fixed' },
      { requestedFd: 4, name: 'in the way of any' },
      { requestedFd: 3, name: '' },
      { requestedFd: 5, name: 'five' },
    ];
    const lines = openWith(config('/tmp', allowAll, mappings), ...mappings.map(() => `host-fd ${fdHeader}`));
    const { output, end } = replay(
      [...lines, ...finishWith(goPtrace)],
      ['report', 'any', 'fixed', 'in the way of any', 'five', 'none'],
    );
    assert.is(end, 'exit 0');
    assert.match(output, /^cwd=\/tmp comms=1023 any=\d+ fixed=77 in the way of any=4 five=5 none=-1$/m);
  });

  test(`${variant}: comms moves if an fd is mapped to its number`, () => {
    const lines = openWith(config('/', allowAll, [{ requestedFd: 1023, name: 'x' }]), `host-fd ${fdHeader}`);
    const { output } = replay([...lines, ...finishWith(goPtrace)], ['report', 'x']);
    assert.match(output, /^cwd=\/ comms=\d{1,2} x=1023$/m);
  });

  test(`${variant}: fds are mapped in the legacy form`, () => {
    const lines = [
      `sandboxee ${plainVersion}`,
      `host ${uint32(2)}`,
      `host ${int32(-1)}`,
      `host-fd ${fdHeader}`,
      `host ${string('a')}`,
      `host ${int32(40)}`,
      `host-fd ${fdHeader}`,
      `host ${string('b')}`,
      `host ${string('/usr')}`,
      `host ${noUpgrade}`,
      `host ${message(0x80000101, allowAll)}`,
      `sandboxee ${ready}`,
      `host ${goPtrace}`,
    ];
    const { output, errors } = replay(lines, ['report', 'a', 'b']);
    assert.match(output, /^cwd=\/usr comms=1023 a=\d+ b=40$/m, errors);
  });

  test(`${variant}: a working directory that does not exist`, () => {
    const lines = [...openWith(config('/nowhere', allowAll)), ...finishWith(goPtrace)];
    assert.match(replay(lines, ['report'], ['--cwd', '/usr']).output, /^cwd=\/ /m);
    const own = [`sandboxee ${ownVersion}`, `host ${plainVersion}`, `host ${config('/nowhere', ownPolicy)}`];
    const { end, errors } = replay(own, [], ['--rendezvous']);
    assert.is(end, 'exit 11');
    assert.match(errors, /working directory/);
  });

  // ---- Hosts that break the protocol ----

  const wrongs: [name: string, lines: string[], end: string, words: RegExp][] = [
    ['hangs up at once', ['hang-up'], 'exit 11', /CLOSED/],
    ['a malformed version', [`host ${version('Vabc')}`], 'exit 11', /INVALID_VALUE.*version/],
    ['version 0', [`host ${version('V0')}`], 'exit 11', /INVALID_VALUE.*version/],
    ['an endless version', [`host ${version(`V${'1'.repeat(200)}`)}`], 'exit 11', /TOO_LARGE/],
    ['another message first', [`host ${string('hello')}`], 'exit 11', /expected|TAG_MISMATCH/],
    ['a length bomb', [`host ${littleEndian32(0x80000104)}${'00'.repeat(7)}80`], 'exit 11', /TOO_LARGE/],
    ['half a config', ['half'], 'exit 11', /TRUNCATED/],
    [
      'a malformed config',
      openWith(message(0x80000102, 'ff')).slice(1),
      'exit 11',
      /configuration is malformed/,
    ],
    ['no policy', [...openWith(config('/', '')).slice(1), `host ${noUpgrade}`], 'exit 11', /no policy/],
    ['half an instruction', openWith(config('/', '06000000')).slice(1), 'exit 11', /BAD_LENGTH.*policy/],
    ['too long a policy', openWith(config('/', allow.repeat(4097))).slice(1), 'exit 11', /TOO_LARGE.*policy/],
    [
      'a name twice',
      openWith(
        config('/', allow, [{ name: 'a' }, { name: 'a' }]),
        `host-fd ${fdHeader}`,
        `host-fd ${fdHeader}`,
      ).slice(1),
      'exit 11',
      /INVALID_VALUE.*mapping/,
    ],
    [
      'a number twice',
      openWith(
        config('/', allow, [
          { requestedFd: 50, name: 'a' },
          { requestedFd: 50, name: 'b' },
        ]),
        `host-fd ${fdHeader}`,
        `host-fd ${fdHeader}`,
      ).slice(1),
      'exit 11',
      /INVALID_VALUE.*one number/,
    ],
    [
      'a mapping without its fd',
      [...openWith(config('/', allow, [{ name: 'a' }])).slice(1), `host ${fdHeader}`],
      'exit 11',
      /NO_FD/,
    ],
    [
      'comms in shared memory',
      [...openWith(config('/', allow)).slice(1), `host-fd ${message(0x80000203, '')}`],
      'exit 11',
      /UNSUPPORTED.*shared memory/,
    ],
    [
      // Past the point of no return: the process ends by itself, not with an error that it could ignore.
      'hangs up instead of go',
      [...openWith(config('/', allow)).slice(1), `host ${noUpgrade}`, `sandboxee ${ready}`, 'hang-up'],
      'exit 1',
      /^$/,
    ],
    [
      'an unknown go',
      [...openWith(config('/', allow)).slice(1), ...finishWith(uint32(0x0a0b0c05))],
      'exit 1',
      /^$/,
    ],
    [
      'a policy the kernel refuses',
      [...openWith(config('/', load(0))).slice(1), ...finishWith(goPtrace)],
      'exit 1',
      /^$/,
    ],
    [
      'not the word that limits are applied',
      [
        ...openWith(config('/', allow)).slice(1),
        ...finishWith(goUnotify),
        `sandboxee ${fdHeader} 1`,
        `host ${uint32(7)}`,
      ],
      'exit 1',
      /^$/,
    ],
    [
      'hangs up instead of that word',
      [
        ...openWith(config('/', allow)).slice(1),
        ...finishWith(goUnotify),
        `sandboxee ${fdHeader} 1`,
        'hang-up',
      ],
      'exit 1',
      /^$/,
    ],
  ];

  for (const [name, afterVersion, end, words] of wrongs) {
    test(`${variant}: a host that sends ${name}`, () => {
      const lines =
        name === 'half a config'
          ? [`host ${plainVersion}`, `host ${config('/', allow).slice(0, 30)}`, 'hang-up']
          : afterVersion;
      const result = replay([`sandboxee ${plainVersion}`, ...lines]);
      assert.is(result.end, end, result.errors);
      assert.match(result.errors, words);
    });
  }

  test(`${variant}: the unotify form works without a policy that prevents it`, () => {
    const lines = [
      ...openWith(config('/', allow)),
      ...finishWith(goUnotify),
      `sandboxee ${fdHeader} 1`,
      `host ${limitsApplied}`,
      ...exchange,
    ];
    assert.is(replay(lines).end, 'exit 0');
  });
}

addTests('plain');
addTests('sanitized');
test.run();
