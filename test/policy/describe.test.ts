// Syscalls as text.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { describeSyscall } from '../../host/index.js';

const test = suite('syscalls in words');

const encode = (text: string) => new TextEncoder().encode(text);
const memory = (entries: Record<number, Uint8Array>) =>
  new Map(Object.entries(entries).map(([index, bytes]) => [Number(index), bytes]));

const AT_FDCWD = BigInt.asUintN(64, -100n);

for (const [number, args, pointedAt, text] of [
  [
    257,
    [AT_FDCWD, 0x1000n, 0x80241n, 0o644n],
    { 1: encode('/etc/passwd\0rest') },
    '[X86-64] openat [257](AT_FDCWD, "/etc/passwd", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0644)',
  ],
  [257, [3n, 0x1000n, 0x410002n, 0n], {}, '[X86-64] openat [257](3, 0x1000, O_RDWR|O_TMPFILE, 00)'],
  [2, [0n, 0n, 0n], {}, '[X86-64] open [2](NULL, O_RDONLY, 00)'],
  [
    9,
    [0n, 4096n, 3n, 0x22n, 0xffffffffn, 0n],
    {},
    '[X86-64] mmap [9](NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)',
  ],
  [10, [0x5000n, 4096n, 0n], {}, '[X86-64] mprotect [10](0x5000, 4096, PROT_NONE)'],
  [
    10,
    [0x5000n, 4096n, 0x47n],
    {},
    '[X86-64] mprotect [10](0x5000, 4096, PROT_READ|PROT_WRITE|PROT_EXEC|0x40)',
  ],
  [41, [2n, 0x80001n, 0n], {}, '[X86-64] socket [41](AF_INET, SOCK_STREAM|SOCK_CLOEXEC, 0)'],
  [41, [77n, 99n, 0n], {}, '[X86-64] socket [41](77, SOCK_RAW|0x60, 0)'],
  [
    42,
    [4n, 0x1000n, 16n],
    { 1: Uint8Array.of(2, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0) },
    '[X86-64] connect [42](4, {AF_INET, 127.0.0.1, port 80}, 16)',
  ],
  [
    42,
    [4n, 0x1000n, 28n],
    { 1: Uint8Array.of(10, 0, 1, 187, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 1, 0, 0, 0, 0) },
    '[X86-64] connect [42](4, {AF_INET6, 2001:db8::1, port 443}, 28)',
  ],
  [
    42,
    [4n, 0x1000n, 28n],
    { 1: Uint8Array.of(10, 0, 0, 1, ...Array(24).fill(0)) },
    '[X86-64] connect [42](4, {AF_INET6, ::, port 1}, 28)',
  ],
  [
    49,
    [4n, 0x1000n, 110n],
    { 1: Uint8Array.of(1, 0, ...encode('/run/socket\0')) },
    '[X86-64] bind [49](4, {AF_UNIX, "/run/socket"}, 110)',
  ],
  [
    49,
    [4n, 0x1000n, 8n],
    { 1: Uint8Array.of(1, 0, 0, ...encode('abcdefghi')) },
    '[X86-64] bind [49](4, {AF_UNIX, abstract "abcde"…}, 8)',
  ],
  [42, [4n, 0x1000n, 1n], { 1: Uint8Array.of(2) }, '[X86-64] connect [42](4, 0x1000, 1)'],
  [56, [0x11n, 0n, 0n, 0n, 0n], {}, '[X86-64] clone [56](SIGCHLD, NULL, NULL, NULL, NULL)'],
  [272, [0x10020000n], {}, '[X86-64] unshare [272](CLONE_NEWNS|CLONE_NEWUSER)'],
  [62, [1n, 9n], {}, '[X86-64] kill [62](1, SIGKILL)'],
  [16, [1n, 0x5401n, 0n], {}, '[X86-64] ioctl [16](1, TCGETS, NULL)'],
  [16, [1n, 0x9999n, 0n], {}, '[X86-64] ioctl [16](1, 0x9999, NULL)'],
  [72, [1n, 4n, 2048n], {}, '[X86-64] fcntl [72](1, F_SETFL, 2048)'],
  [
    202,
    [0x10n, 129n, 1n, 0n, 0n, 0n],
    {},
    '[X86-64] futex [202](0x10, FUTEX_WAKE|FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0)',
  ],
  [21, [0x1000n, 4n], { 0: encode('/x\0') }, '[X86-64] access [21]("/x", R_OK)'],
  [1, [1n, 0x1000n, 6n], { 1: encode('hello\nworld') }, '[X86-64] write [1](1, "hello\\n", 6)'],
  [
    1,
    [1n, 0x1000n, 1000n],
    { 1: encode('x'.repeat(256)) },
    `[X86-64] write [1](1, "${'x'.repeat(32)}"…, 1000)`,
  ],
  [1, [1n, 0x1000n, 0n], { 1: encode('x') }, '[X86-64] write [1](1, 0x1000, 0)'],
  [0, [5n, 0xbadbeefn, 5n], {}, '[X86-64] read [0](5, 0xbadbeef, 5)'],
  [39, [1n, 2n, 3n], {}, '[X86-64] getpid [39]()'],
  [
    999,
    [1n, 2n, 3n, 4n, 5n, 6n],
    {},
    '[X86-64] UNKNOWN[999/0x3e7](0x1 [1], 0x2 [2], 0x3 [3], 0x4 [4], 0x5 [5], 0x6 [6])',
  ],
] as const) {
  test(text, () => {
    assert.is(describeSyscall(number, args, 'X86-64', memory(pointedAt)).text, text);
  });
}

test('text of the sandboxee stays text', () => {
  const path = encode('/a"b\\c\n\x1b[31m\u00e9\0');
  const { text } = describeSyscall(2, [1n, 0n, 0n], 'X86-64', memory({ 0: path }));
  assert.is(text, String.raw`[X86-64] open [2]("/a\"b\\c\n\x1b[31m\xc3\xa9", O_RDONLY, 00)`);
  const long = describeSyscall(2, [1n, 0n, 0n], 'X86-64', memory({ 0: encode('y'.repeat(256)) }));
  assert.is(long.args[0]?.text, `"${'y'.repeat(200)}"…`);
});

test('the 32-bit interface has numbers and arguments of its own', () => {
  const path = memory({ 0: encode('/etc/shadow\0') });
  assert.is(
    describeSyscall(5, [0x1000n, 0n, 0n], 'X86-32', path).text,
    '[X86-32] open [5]("/etc/shadow", O_RDONLY, 00)',
  );
  assert.is(describeSyscall(20, [], 'X86-32').text, '[X86-32] getpid [20]()');
  assert.is(describeSyscall(11, [0x1000n, 0n, 0n], 'X86-32').name, 'execve');
  assert.is(describeSyscall(90, [0x1000n, 7n], 'X86-32').text, '[X86-32] mmap [90](0x1000)');
  assert.is(
    describeSyscall(192, [0n, 4096n, 1n, 2n, 0xffffffffn, 0n], 'X86-32').text,
    '[X86-32] mmap2 [192](NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0)',
  );
  assert.is(describeSyscall(102, [3n, 0x1000n], 'X86-32').text, '[X86-32] socketcall [102](3, 0x1000)');
  assert.is(describeSyscall(19, [3n, 0xffffffffn, 0n], 'X86-32').args[1]?.text, '-1');
});

test('the x32 interface too', () => {
  assert.is(describeSyscall(0x40000000 + 39, [], 'X32').name, 'getpid');
  assert.is(describeSyscall(0x40000000 + 514, [1n, 0x5401n, 0n], 'X32').name, 'ioctl');
  assert.match(describeSyscall(0x40000000 + 9999, [], 'X32').name, /^UNKNOWN/);
});

test('flags of open() are those of the architecture', () => {
  const flags = (arch: string, number: number, value: bigint) =>
    describeSyscall(number, [0n, 0n, value, 0n], arch).args[2]?.text;
  assert.is(flags('X86-64', 257, 0x10000n), 'O_RDONLY|O_DIRECTORY');
  assert.is(flags('AARCH64', 56, 0x4000n), 'O_RDONLY|O_DIRECTORY');
  assert.is(flags('AARCH64', 56, 0x10000n), 'O_RDONLY|O_DIRECT');
});

test('an unknown architecture shows numbers', () => {
  assert.is(describeSyscall(1, [2n], 'ARM-32').text, '[ARM-32] UNKNOWN[1/0x1](0x2 [2])');
});

test.run();
