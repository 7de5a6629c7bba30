// The libraries of a program: with programs made for the test, which run in a sandbox that shows what was found, and
// with files that must not be opened.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, PolicyBuilder, PolicyError, Sandbox2 } from '../../host/index.js';
import { findLibraries, LibraryError } from '../../host/policy/elf/libraries.js';
import { loaderFiles, loaderKind } from '../../host/policy/elf/loaders.js';
import { parseElf } from '../../host/policy/elf/parser.js';
import { bytesOf, ElfError } from '../../host/policy/elf/source.js';
import { skip } from '../support/skip.js';

const test = suite('libraries');
const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-libraries-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

function compile(compiler: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(compiler, args, { encoding: 'utf8', cwd: folder });
  if (status !== 0) throw new Error(stderr);
}

function place(name: string): string {
  const full = path.join(folder, name);
  mkdirSync(path.dirname(full), { recursive: true });
  return full;
}

/** Builds a library with one function that returns a number, linked against others. */
function library(file: string, name: string, number: number, ...link: string[]): string {
  const source = place(`${file}.c`);
  writeFileSync(source, `int ${name}(void) { return ${number}; }\n`);
  const soname = path.basename(file);
  compile(
    'cc',
    '-shared',
    '-fPIC',
    '-o',
    place(file),
    source,
    `-Wl,-soname,${soname}`,
    '-Wl,--no-as-needed',
    ...link,
  );
  return place(file);
}

/** Builds a program that exits with what the function returns. */
function program(file: string, name: string, ...link: string[]): string {
  const source = place(`${file}.c`);
  writeFileSync(source, `int ${name}(void);\nint main(void) { return ${name}(); }\n`);
  compile('cc', '-o', place(file), source, '-Wl,--no-as-needed', ...link);
  return place(file);
}

const inFolder = (found: ReturnType<typeof findLibraries>) =>
  found.libraries.map((one) => path.relative(folder, one.path)).filter((name) => !name.startsWith('..'));

/** The exit code in a sandbox that shows the program and the libraries found, and nothing else. */
async function exitCode(
  file: string,
  envs: Record<string, string> = {},
  extend: (builder: PolicyBuilder) => PolicyBuilder = (builder) => builder,
): Promise<number | undefined> {
  const policy = extend(new PolicyBuilder())
    .allowDynamicStartup()
    .allowSystemMalloc()
    .allowExit()
    .addFile(file)
    .addLibrariesForBinary(file, envs['LD_LIBRARY_PATH'])
    .build();
  await using sandbox = new Sandbox2(new Executor(file, [file], { envs }), policy);
  const result = await sandbox.run();
  assert.is(result.finalStatus, 'OK', String(result));
  return result.exitCode;
}

test('RUNPATH with $ORIGIN, for the program’s own libraries', async () => {
  library('a/lib/libone.so', 'one', 11);
  const file = program(
    'a/bin/main',
    'one',
    '-La/lib',
    '-lone',
    '-Wl,-rpath,$ORIGIN/../lib',
    '-Wl,--enable-new-dtags',
  );
  assert.equal(inFolder(findLibraries(file)), ['a/lib/libone.so']);
  assert.is(await exitCode(file), 11);
});

test('RPATH counts for what the libraries need, RUNPATH does not', async () => {
  library('b/lib/libinner.so', 'inner', 12);
  const source = place('b/outer.c');
  writeFileSync(source, 'int inner(void);\nint outer(void) { return inner(); }\n');
  compile(
    'cc',
    '-shared',
    '-fPIC',
    '-o',
    'b/lib/libouter.so',
    source,
    '-Lb/lib',
    '-linner',
    '-Wl,-soname,libouter.so',
  );
  const link = ['-Lb/lib', '-louter', '-Wl,-rpath-link,b/lib', `-Wl,-rpath,$\{ORIGIN}/lib`];
  const old = program('b/old', 'outer', ...link, '-Wl,--disable-new-dtags');
  assert.equal(inFolder(findLibraries(old)), ['b/lib/libouter.so', 'b/lib/libinner.so']);
  assert.is(await exitCode(old), 12);
  const recent = program('b/recent', 'outer', ...link, '-Wl,--enable-new-dtags');
  assert.throws(
    () => findLibraries(recent),
    (error: unknown) =>
      error instanceof LibraryError &&
      error.message.startsWith(
        `libinner.so, needed by ${path.join(folder, 'b/lib/libouter.so')}, is in none of `,
      ),
  );
  // The dynamic loader agrees.
  assert.is(spawnSync(recent).status, 127);
  assert.equal(inFolder(findLibraries(recent, path.join(folder, 'b/lib'))), [
    'b/lib/libouter.so',
    'b/lib/libinner.so',
  ]);
  assert.is(await exitCode(recent, { LD_LIBRARY_PATH: path.join(folder, 'b/lib') }), 12);
});

test('a missing library is an error of the builder that names it and what needs it', () => {
  library('c/libgone.so', 'gone', 1);
  const file = program('c/main', 'gone', '-Lc', '-lgone');
  assert.throws(
    () => new PolicyBuilder().addLibrariesForBinary(file),
    (error: unknown) =>
      error instanceof PolicyError &&
      error.message.startsWith(
        `PolicyBuilder.addLibrariesForBinary: libgone.so, needed by ${file}, is in none of `,
      ),
  );
});

test('$ORIGIN/../lib, and .. after a symlink: the path exists as the loader takes it', async () => {
  const inner = library('k/app/lib/libup.so', 'up', 15);
  const link = ['-Lk/app/lib', '-lup'];
  const up = program('k/app/bin/main', 'up', ...link, '-Wl,-rpath,$ORIGIN/../lib');
  const mounts = new PolicyBuilder().addLibrariesForBinary(up).build().mounts;
  const kinds = mounts
    .filter(({ inside }) => inside.startsWith(folder))
    .map((mount) => [mount.kind, mount.inside]);
  assert.equal(kinds.sort(), [
    ['emptyDirectory', path.dirname(up)],
    ['file', inner],
  ]);
  assert.is(await exitCode(up), 15);
  // A symlink to the program: the kernel gives the loader its real path.
  mkdirSync(place('k/other'), { recursive: true });
  symlinkSync('../app/bin/main', place('k/other/main'));
  assert.is(await exitCode(place('k/other/main')), 15);
  // "..", after a link to a directory, is the parent of the link's target.
  symlinkSync('../app/bin', place('k/other/binlink'));
  const behind = program(
    'k/behind',
    'up',
    ...link,
    `-Wl,-rpath,${path.join(folder, 'k/other/binlink')}/../lib`,
  );
  assert.is(spawnSync(behind).status, 15);
  assert.is(await exitCode(behind), 15);
});

test('a program is not a library, and neither is a file in /proc', () => {
  program('l/libpie.so', 'getpid', '-pie');
  const source = place('l/main.c');
  writeFileSync(source, 'int main(void) { return 0; }\n');
  compile('cc', '-o', 'l/main', source, '-Wl,--no-as-needed', '-lm');
  const text = readFileSync(place('l/main'));
  const at = text.indexOf('libm.so.6\0');
  assert.ok(at > 0);
  text.write('libpie.so\0', at); // as long as "libm.so.6"
  writeFileSync(place('l/wants-program'), text, { mode: 0o755 });
  assert.throws(
    () => findLibraries(place('l/wants-program'), path.join(folder, 'l')),
    /libpie\.so \(needed by .*\) is a program, not a library/,
  );
  const through = program('l/through', 'getpid', `-Wl,-rpath,/proc/${process.pid}/cwd`);
  const { libraries } = findLibraries(through);
  assert.not.ok(libraries.some(({ path: file }) => file.startsWith('/proc')));
});

test('libraries that the loader prefers on a more capable CPU are shown as well', () => {
  library('d/lib/libfast.so', 'fast', 1);
  library('d/lib/glibc-hwcaps/x86-64-v2/libfast.so', 'fast', 2);
  library('d/lib/glibc-hwcaps/x86-64-v3/libfast.so', 'fast', 3);
  const file = program('d/main', 'fast', '-Ld/lib', '-lfast', '-Wl,-rpath,$ORIGIN/lib');
  if (process.arch !== 'x64') {
    skip('glibc-hwcaps', 'this CPU has none');
    return;
  }
  assert.equal(inFolder(findLibraries(file)), [
    'd/lib/glibc-hwcaps/x86-64-v3/libfast.so',
    'd/lib/glibc-hwcaps/x86-64-v2/libfast.so',
    'd/lib/libfast.so',
  ]);
  return exitCode(file).then((code) => assert.is(code, spawnSync(file).status));
});

test('a library of another machine is skipped', async () => {
  const right = library('e/right/libone.so', 'one', 14);
  const wrong = readFileSync(right);
  wrong.writeUInt16LE(243, 18); // RISC-V
  writeFileSync(place('e/wrong/libone.so'), wrong);
  const bits32 = readFileSync(right);
  bits32[4] = 1;
  writeFileSync(place('e/small/libone.so'), bits32);
  const runpath = '-Wl,-rpath,$ORIGIN/wrong:$ORIGIN/small:$ORIGIN/right';
  const file = program('e/main', 'one', '-Le/right', '-lone', runpath);
  assert.equal(inFolder(findLibraries(file)), ['e/right/libone.so']);
  assert.is(await exitCode(file), 14);
});

test('through links, which exist in the sandbox too', async () => {
  library('f/lib/libone.so.1.2', 'one', 15, '-Wl,-soname,libone.so.1');
  symlinkSync('libone.so.1.2', place('f/lib/libone.so.1'));
  symlinkSync('libone.so.1', place('f/lib/libone.so'));
  symlinkSync('lib', place('f/lib64'));
  const source = place('f/main.c');
  writeFileSync(source, 'int one(void);\nint main(void) { return one(); }\n');
  compile('cc', '-o', 'f/main', source, '-Lf/lib', '-lone', '-Wl,-rpath,$ORIGIN/lib64');
  const policy = new PolicyBuilder().addLibrariesForBinary(place('f/main')).build();
  const kinds = Object.fromEntries(
    policy.mounts
      .filter(({ inside }) => inside.startsWith(folder))
      .map(({ inside, kind }) => [path.relative(folder, inside), kind]),
  );
  assert.is(kinds['f/lib64'], 'symlink');
  assert.ok(Object.keys(kinds).some((name) => name.startsWith('f/lib/') && kinds[name] === 'file'));
  assert.is(await exitCode(place('f/main')), 15);
});

test('a static program needs nothing', () => {
  const source = place('static.c');
  writeFileSync(source, 'int main(void) { return 0; }\n');
  compile('cc', '-static', '-o', 'static', source);
  assert.equal(findLibraries(place('static')), { libraries: [], configuration: undefined });
  assert.equal(new PolicyBuilder().addLibrariesForBinary(place('static')).build().mounts, []);
});

test('musl: its loader is its C library, and it has its own directories', async () => {
  if (spawnSync('musl-gcc', ['--version']).error !== undefined) {
    skip('musl', 'musl-gcc is not installed (Debian: musl-tools)');
    return;
  }
  writeFileSync(place('m/one.c'), 'int one(void) { return 16; }\n');
  writeFileSync(place('m/main.c'), '#include <math.h>\nint one(void);\nint main(void) { return one(); }\n');
  compile('musl-gcc', '-shared', '-fPIC', '-o', 'm/libone.so', 'm/one.c');
  const link = ['-Lm', '-lone', '-lm', '-lpthread', '-Wl,-rpath,$ORIGIN'];
  compile('musl-gcc', '-o', 'm/main', 'm/main.c', ...link);
  const { libraries } = findLibraries(place('m/main'));
  assert.equal(
    libraries.map((one) => path.basename(one.path)),
    ['ld-musl-x86_64.so.1', 'libone.so'],
  );
  // For $ORIGIN musl reads /proc/self/exe, and nothing else.
  const withProc = (builder: PolicyBuilder) => builder.allowReadlink().addDirectory('/proc');
  assert.is(await exitCode(place('m/main'), {}, withProc), 16);
  assert.is(await exitCode(place('m/main'), { LD_LIBRARY_PATH: place('m') }), 16);
});

test('which loaders are known', () => {
  const known = [
    ...['/lib64/ld-linux-x86-64.so.2', '/lib/ld-linux-aarch64.so.1', '/nix/store/x/lib/ld-linux-x86-64.so.2'],
    '/lib64/ld64.so.2',
  ];
  for (const name of known) assert.is(loaderKind(name), 'glibc', name);
  assert.is(loaderKind('/lib/ld-musl-aarch64.so.1'), 'musl');
  for (const name of ['/etc/passwd', '/bin/sh', '', '/lib/ld-linux-x86-64.so.2/x'])
    assert.is(loaderKind(name), undefined);
  const machine = { cpu: 'x86_64', capabilities: [] };
  const files = loaderFiles('musl', '/nowhere/lib/ld-musl-x86_64.so.1', machine);
  assert.equal(files.directories, ['/lib', '/usr/local/lib', '/usr/lib']);
  assert.is(files.configuration, '/nowhere/etc/ld-musl-x86_64.path');
  assert.ok(
    loaderFiles('glibc', '/lib64/ld-linux-x86-64.so.2', machine).directories.includes(
      '/usr/lib/x86_64-linux-gnu',
    ),
  );
});

test('a program cannot have other files shown to it than libraries', () => {
  const secret = place('g/secret');
  writeFileSync(secret, 'the key\n');
  library('g/libm_.so', 'main_', 0);
  const made = (loader: string) =>
    program('g/main', 'main_', '-Lg', '-lm_', '-Wl,-rpath,$ORIGIN', `-Wl,--dynamic-linker=${loader}`);
  assert.throws(() => findLibraries(made(secret)), /which is not a known dynamic loader/);
  // A file with a loader's name that is not ELF, and a directory with that name.
  const named = place('g/ld-linux-x86-64.so.2');
  writeFileSync(named, 'the key, and it is long enough for an ELF header, which it is not: ............\n');
  assert.throws(() => findLibraries(made(named)), /it is not an ELF file/);
  rmSync(named);
  mkdirSync(named);
  assert.throws(() => findLibraries(made(named)), /it is not a regular file|EISDIR/);
  // The secret as a library given by path.
  const good = made('/lib64/ld-linux-x86-64.so.2');
  const bytes = readFileSync(good);
  const at = bytes.indexOf('libm_.so\0');
  bytes.write('/../x\0', at);
  writeFileSync(place('g/patched'), bytes);
  assert.throws(() => findLibraries(place('g/patched')), /needed by/);
});

test('a FIFO, a device and an endless file do not block the host', () => {
  if (spawnSync('mkfifo', [place('h/fifo')]).status !== 0) throw new Error('mkfifo');
  for (const file of [place('h/fifo'), '/dev/zero', '/proc/self/mem', '/proc/kmsg', '/', place('h/none')]) {
    assert.throws(
      () => findLibraries(file),
      (error: unknown) => error instanceof LibraryError,
      file,
    );
  }
  assert.throws(() => new PolicyBuilder().addLibrariesForBinary(place('h/fifo')), /it is not a regular file/);
  writeFileSync(place('h/script'), '#!/bin/sh\nexit 0\n');
  assert.throws(() => new PolicyBuilder().addLibrariesForBinary(place('h/script')), /it is a script/);
});

test('the search gives up on a program that needs very much', () => {
  // Every name of the string table becomes a needed library, searched in as many directories as fit into a path.
  const source = place('i/main.c');
  writeFileSync(source, 'int main(void) { return 0; }\n');
  const rpath = Array.from({ length: 600 }, (_, index) => `/${index}`).join(':');
  compile('cc', '-o', 'i/main', source, `-Wl,-rpath,${rpath}`);
  assert.throws(() => findLibraries(place('i/main')), /a search path of 600 directories/);
});

test('a file broken in any way is refused with a message, at once', () => {
  library('j/libone.so', 'one', 1);
  const original = readFileSync(program('j/main', 'one', '-Lj', '-lone', '-Wl,-rpath,$ORIGIN'));
  const target = place('j/mutant');
  const headers = Math.min(original.length, 4096);
  const mutation = fc.record({
    at: fc.oneof(fc.nat(63), fc.nat(headers - 1), fc.nat(original.length - 1)),
    bytes: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 8 }),
      fc.constantFrom(
        new Uint8Array(8).fill(0xff),
        new Uint8Array(8),
        new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0x80]),
      ),
    ),
  });
  const dynamicAt = original.indexOf(Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]), 0x2000);
  const inDynamic = fc.record({
    at: fc.nat(400).map((offset) => Math.min(original.length - 8, Math.max(0, dynamicAt) + offset)),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
  });
  fc.assert(
    fc.property(
      fc.array(fc.oneof(mutation, inDynamic), { minLength: 1, maxLength: 10 }),
      fc.option(fc.nat(original.length), { nil: undefined }),
      (mutations, length) => {
        const mutant = Buffer.from(original);
        for (const { at, bytes } of mutations) mutant.set(bytes.subarray(0, mutant.length - at), at);
        const cut = length === undefined ? mutant : mutant.subarray(0, length);
        try {
          parseElf(bytesOf(cut));
        } catch (error) {
          assert.instance(error, ElfError);
        }
        writeFileSync(target, cut);
        try {
          findLibraries(target);
        } catch (error) {
          assert.instance(error, LibraryError);
        }
      },
    ),
    { numRuns: 1500 },
  );
  copyFileSync(place('j/main'), target);
  assert.equal(inFolder(findLibraries(target)), ['j/libone.so']);
});

test.run();
