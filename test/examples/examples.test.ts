// The examples do what their README says.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../support/command.js';
import { checkout } from '../support/sandbox.js';

const test = suite('examples');
const example = (name: string, ...args: string[]) =>
  run(process.execPath, [path.join(checkout, 'dist/examples', name, 'host.js'), ...args]);
const tool = (...args: string[]) => example('tool', ...args);

function crc4(bytes: Uint8Array): string {
  let result = 0;
  bytes.forEach((byte, index) => {
    result ^= byte << (8 * (index % 4));
  });
  return `0x${(result >>> 0).toString(16).padStart(8, '0')}`;
}

test('crc4 of a file', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  try {
    for (const content of [
      Buffer.from('ABCD'),
      Buffer.from('hello'),
      Buffer.alloc(0),
      Buffer.alloc(5 << 20, 'xyz'),
    ]) {
      const file = path.join(folder, 'input');
      writeFileSync(file, content);
      const { code, stdout } = await example('crc4', file);
      assert.equal(stdout.split('\n'), [crc4(content), 'Final execution status: OK - Exit code: 0', '']);
      assert.is(code, 0);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  assert.is(crc4(Buffer.from('hello')), '0x6c6c6507', 'as sandbox2’s crc4 answers');
});

test('crc4 of a file that is not there', async () => {
  const { code, stderr } = await example('crc4', '/no/such/file');
  assert.is(code, 1);
  assert.match(stderr, /ENOENT/);
});

test('crc4 that violates its policy', async () => {
  const { code, stdout } = await example('crc4', '--violate', path.join(checkout, 'package.json'));
  assert.is(code, 1);
  assert.match(
    stdout,
    /^Final execution status: SYSCALL VIOLATION - Violating Syscall \[.*\] sendfile \[\d+\]\(1, 0, NULL, 4096\) IP: 0x[0-9a-f]+, PID: \d+, PROG: '.*\/crc4' Stack: /m,
  );
});

test('a command line that is wrong', async () => {
  for (const [name, args, said] of [
    ['crc4', ['--foo'], /^crc4: Unknown option '--foo'.*\nusage: npm run demo -- \[FILE\] \[--violate\]\n$/],
    ['custom_fork', ['x'], /^custom_fork: a number of children is needed, not x\n$/],
    ['tool', ['--foo'], /^tool: Unknown option '--foo'/],
    ['untrusted-js', ['--foo'], /^untrusted-js: Unknown option '--foo'/],
  ] as const) {
    const { code, stderr } = await example(name, ...args);
    assert.match(stderr, said);
    assert.not.match(stderr, /\n {4}at /);
    assert.ok(code !== 0);
  }
});

test('custom_fork: ten children return 0 to 9', async () => {
  const { code, stdout, stderr } = await example('custom_fork');
  const statuses = stdout.split('\n').filter((line) => line.startsWith('Final'));
  assert.equal(
    statuses,
    Array.from({ length: 10 }, (_, number) => `Final execution status: OK - Exit code: ${number}`),
    stderr,
  );
  assert.match(stdout, /^9 squared is 81 \(/m);
  assert.is(code, 0);
});

test('node-sandboxee', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  try {
    const file = path.join(folder, 'input');
    writeFileSync(file, 'the cat and the dog\nand the bird\n');
    const { code, stdout, stderr } = await example('node-sandboxee', file, 'cat', 'caterpillar');
    assert.is(stderr, '');
    assert.is(
      stdout,
      'Final execution status: OK - Exit code: 0\nthe: 3, and: 2, cat: 1\nthe caterpillar and the dog\n',
    );
    assert.is(code, 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
  assert.match((await example('node-sandboxee', '/no/such/file')).stderr, /ENOENT/);
});

/** Code that leaves its context, as any can, and has Node's modules. */
const escaped = (code: string) =>
  `import('node:fs').catch((error) => {
    const outer = error.constructor.constructor('return process')().getBuiltinModule;
    return ${code};
  })`;

/** The addon, which a script that has escaped finds among Node's modules. */
const addonOf = (outer: string) =>
  `((modules) => modules[Object.keys(modules).find((name) => name.endsWith('sandwire.node'))].exports)(${outer}('module')._cache)`;

for (const [what, args, expected, code] of [
  ['a value', ['numbers.map((n) => n * 2)', '{ "numbers": [1, 2, 3] }'], /^\[2,4,6\]\n$/, 0],
  ['a promise', ['Promise.resolve({ a: text })', '{ "text": "b" }'], /^\{"a":"b"\}\n$/, 0],
  ['no value', ['undefined'], /^undefined\n$/, 0],
  [
    'nothing of Node',
    ['typeof process + typeof require + typeof fetch'],
    /^"undefinedundefinedundefined"\n$/,
    0,
  ],
  ['an exception', ['throw new TypeError("no")'], /^TypeError: no\n$/, 1],
  ['no JavaScript', ['numbers ='], /^(SyntaxError|ReferenceError): /, 1],
  ['time', ['--wall', '300', 'for (;;);'], /^Process TIMEOUT/, 2],
  ['CPU', ['--cpu', '1', '--wall', '120000', 'for (;;);'], /^Process terminated with a SIGNAL/, 2],
  ...[
    ['the heap', 'const a = []; for (;;) a.push([a])'],
    ['the heap, in one array that grows', 'const a = []; for (let i = 0; ; i++) a.push(i + 0.5)'],
    [
      'the heap, in strings',
      'const a = []; for (let i = 0; ; i++) a.push(("x" + i).repeat(1000).toUpperCase())',
    ],
  ].map(([what = '', code = '']) => {
    const limits = ['--memory', '32', '--cpu', '60', '--wall', '120000'];
    return [what, [...limits, code], /SIGABRT|SIGTRAP/, 2] as const;
  }),
  ['memory outside of the heap', ['new Uint8Array(4e8).length'], /^RangeError: /, 1],
  ['files', [escaped('outer("fs").readdirSync("/").join()')], /^""\n$/, 0],
  ['a file', [escaped('outer("fs").readFileSync("/etc/passwd", "utf8")')], /ENOENT/, 1],
  [
    'the network',
    [escaped('new Promise(() => outer("net").connect(80, "127.0.0.1"))')],
    /VIOLATION.*socket/,
    2,
  ],
  ['processes', [escaped('outer("child_process").execSync("id")')], /VIOLATION/, 2],
  [
    'a memory file',
    [escaped(`${addonOf('outer')}.createBufferFd(4096)`)],
    /memfd_create.*not permitted|EPERM/,
    1,
  ],
  [
    'an exception without words',
    ['throw Object.create(null)'],
    /^an exception that cannot be converted to text\n$/,
    1,
  ],
  ['a long answer', ['"x".repeat(2 ** 21)'], /^the answer is too large: /, 1],
  [
    'an answer of many values',
    ['"[],".repeat(150000).split(",").map(() => [])'],
    /^the answer is too large: /,
    1,
  ],
] as const) {
  test(`untrusted-js: ${what}`, async () => {
    const { stdout, stderr, code: exit } = await example('untrusted-js', ...args);
    assert.match(stdout, expected, stderr);
    assert.is(exit, code);
  });
}

test('static', async () => {
  const { code, stdout } = await example('static');
  assert.is(
    stdout,
    `${readFileSync('/proc/version', 'utf8').toUpperCase()}Final execution status: OK - Exit code: 0\n`,
  );
  assert.is(code, 0);
});

test('tool: ls of the sandbox’s root', async () => {
  const { code, stdout, stderr } = await tool('--', 'ls', '-l', '/');
  assert.is(code, 0, stderr);
  assert.not.match(stdout, /home|root|tmp/);
  assert.match(stdout, /lib/);
});

test('tool: sort of standard input', async () => {
  const { stdout } = await run(
    process.execPath,
    [path.join(checkout, 'dist/examples/tool/host.js'), '--', 'sort'],
    'b\nc\na\n',
  );
  assert.is(stdout, 'a\nb\nc\n');
});

test('tool: a file only where it was named', async () => {
  assert.is((await tool('--', 'cat', '/etc/passwd')).code, 1);
  const { code, stdout } = await tool('--file', '/etc/passwd', '--', 'cat', '/etc/passwd');
  assert.is(code, 0);
  assert.is(stdout, readFileSync('/etc/passwd', 'utf8'));
});

test('tool: limits', async () => {
  const wall = await tool('--wall', '300', '--', 'sleep', '60');
  assert.is(wall.code, 2);
  assert.match(wall.stderr, /Process TIMEOUT/);
  const memory = await tool('--memory', '1', '--', 'sleep', '0');
  assert.is.not(memory.code, 0);
  const size = await tool(
    '--tmp',
    '--file-size',
    '1',
    '--',
    'dd',
    'if=/dev/zero',
    'of=/tmp/x',
    'bs=1M',
    'count=4',
  );
  assert.is.not(size.code, 0);
  const cpu = await tool('--cpu', '1', '--', 'sha256sum', '/dev/zero');
  assert.is.not(cpu.code, 0);
});

test('tool: a command that is not there', async () => {
  const { code, stderr } = await tool('--', 'no-such-command-here');
  assert.is(code, 2);
  assert.match(stderr, /no command no-such-command-here/);
});

test.run();
