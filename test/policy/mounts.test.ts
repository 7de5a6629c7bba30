// The tree of mounts: which paths it accepts, what contradicts, how symlinks are handled, and how it is shown.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, type MountEntry, Policy, PolicyBuilder, PolicyError } from '../../host/index.js';
import { lenientPolicy, runToEnd, sandboxee, sandboxeePath } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('mounts');
const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'sandwire-mounts-')));
// A sandboxee with nobody's uid must be able to enter it.
chmodSync(folder, 0o755);
test.after(() => rmSync(folder, { recursive: true, force: true }));

/**
 * real/file, real/other, real/deep/file; link → real, absolute → …/real, file-link → real/file, up → link/../real/deep,
 * loop → loop, gone → nowhere, chain → file-link
 */
const at = (name: string) => path.join(folder, name);
mkdirSync(at('real/deep'), { recursive: true });
for (const name of ['real/file', 'real/other', 'real/deep/file']) writeFileSync(at(name), name);
symlinkSync('real', at('link'));
symlinkSync(at('real'), at('absolute'));
symlinkSync('real/file', at('file-link'));
symlinkSync('link/../real/deep', at('up'));
symlinkSync('loop', at('loop'));
symlinkSync('nowhere', at('gone'));
symlinkSync('file-link', at('chain'));

const mountsOf = (build: (builder: PolicyBuilder) => PolicyBuilder): readonly MountEntry[] =>
  build(new PolicyBuilder()).build().mounts;

/** "file real/file", "symlink link", … relative to the folder. */
function shown(build: (builder: PolicyBuilder) => PolicyBuilder): string[] {
  return mountsOf(build).map(({ kind, inside }) => `${kind} ${path.relative(folder, inside)}`);
}

function refused(build: (builder: PolicyBuilder) => unknown, pattern: RegExp): void {
  assert.throws(
    () => build(new PolicyBuilder()),
    (error: unknown) => error instanceof PolicyError && pattern.test(error.message),
    String(pattern),
  );
}

test('invalid paths', () => {
  const bad: [string, RegExp][] = [
    ['', /the path is empty/],
    ['..', /an absolute path is needed/],
    ['..a', /an absolute path is needed/],
    ['a/b', /an absolute path is needed/],
    ['/a/../d', /canonical/],
    ['/./a', /canonical/],
    ['//a', /canonical/],
    ['/a/', /canonical/],
    ['/a\0b', /contains a NUL/],
    [`/${'a'.repeat(256)}`, /too long/],
    [`/${'ä'.repeat(128)}`, /too long/],
    [`${'/a'.repeat(2100)}`, /too long/],
  ];
  for (const [name, pattern] of bad) {
    refused((b) => b.addFile(name), pattern);
    refused((b) => b.addFileAt(name, '/a'), pattern);
    refused((b) => b.addFileAt('/etc/hosts', name), pattern);
    refused((b) => b.addDirectory(name), pattern);
    refused((b) => b.addDirectoryAt(name, '/a'), pattern);
    refused((b) => b.addDirectoryAt('/usr', name), pattern);
    refused((b) => b.addTmpfs(name, 4096), pattern);
  }
  for (const none of [undefined, null, 5, new URL('file:///etc/hosts'), Buffer.from('/etc/hosts')]) {
    refused((b) => b.addFile(none as never), /a path must be a string/);
    refused((b) => b.addDirectoryAt('/usr', none as never), /a path must be a string/);
  }
  refused((b) => b.addFile(undefined as never), /a path must be a string, not /);
  refused(
    (b) => b.addFile(new URL('file:///etc/hosts') as never),
    /a path must be a string: fileURLToPath\(\) of node:url/,
  );
  refused((b) => b.addDirectory('/'), /nothing can be mounted over the root itself/);
  refused((b) => b.addTmpfs('/', 4096), /nothing can be mounted over the root itself/);
  refused((b) => b.addTmpfs('/a', 0), /a size in bytes is needed/);
  refused((b) => b.addTmpfs('/a', 1.5), /a size in bytes is needed/);
});

test('a relative path is anchored, and cannot climb', () => {
  const anchor = PolicyBuilder.anchorPathAbsolute;
  assert.is(anchor('data', '/srv/app'), '/srv/app/data');
  assert.is(anchor('data/in', '/'), '/data/in');
  assert.is(anchor('..data/.hidden', '/srv'), '/srv/..data/.hidden');
  assert.is(anchor('/etc/hosts', '/srv'), '/etc/hosts');
  assert.is(anchor('/etc/hosts', 'not used'), '/etc/hosts');
  assert.is(anchor('data'), path.join(process.cwd(), 'data'));
  for (const [relative, base] of [
    ...[
      ['', '/srv'],
      ['.', '/srv'],
      ['..', '/srv'],
      ['../etc', '/srv'],
      ['a/../b', '/srv'],
      ['a//b', '/srv'],
    ],
    ...[
      ['a/', '/srv'],
      ['./a', '/srv'],
      ['a\0', '/srv'],
      ['/a/../b', '/srv'],
      ['/a/', '/srv'],
      ['a', 'srv'],
    ],
    ...[
      ['a', ''],
      ['a', '/srv/'],
      ['a', '/srv/..'],
      ['a', '//srv'],
      ['a', './'],
    ],
  ] as [string, string][]) {
    assert.throws(
      () => anchor(relative, base),
      (error: unknown) => error instanceof PolicyError,
      `${relative} ${base}`,
    );
  }
});

test('files that do not exist or are of another kind', () => {
  refused((b) => b.addFile(at('nothing')), /ENOENT \(there is none; addFileIfExists\(\) would skip it\)/);
  refused((b) => b.addLibrariesForBinary(at('nothing')), /ENOENT \(there is none\)$/);
  refused((b) => b.addFile(at('gone')), /ENOENT/);
  refused((b) => b.addFile(at('loop')), /ELOOP/);
  refused((b) => b.addFile(at('real')), /is a directory; addDirectory\(\) shows one/);
  refused((b) => b.addDirectory(at('real/file')), /is not a directory; addFile\(\) shows a file/);
  refused((b) => b.addFile(at('real/file/x')), /ENOTDIR/);
  for (const name of ['nothing', 'gone', 'loop']) {
    assert.equal(
      shown((b) => b.addFileIfExists(at(name)).addDirectoryIfExists(at(name))),
      [],
    );
  }
  assert.equal(
    shown((b) => b.addFileIfExists(at('real')).addDirectoryIfExists(at('real/file'))),
    [],
  );
  assert.equal(
    shown((b) => b.addFileIfExists(at('real/file')).addDirectoryIfExists(at('real/deep'))),
    ['file real/file', 'directory real/deep'],
  );
});

test('files that belong to one process', () => {
  for (const name of ['/proc/self/environ', `/proc/${process.pid}/maps`, '/proc/thread-self/status']) {
    refused((b) => b.addFile(name), /belongs to a process/);
  }
  refused((b) => b.addDirectory('/proc/self'), /belongs to a process/);
  refused((b) => b.addDirectoryAt('/proc/self/fd', '/fds'), /belongs to a process/);
  symlinkSync('/proc/self/environ', at('mine'));
  refused((b) => b.addFile(at('mine')), /leads to \/proc\/\d+\/environ, which belongs to a process/);
  refused((b) => b.addFileAt(at('mine'), '/mine'), /belongs to a process/);
  symlinkSync('/proc/self/fd', at('fds'));
  refused((b) => b.addDirectory(at('fds')), /belongs to a process/);
});

test('the host’s /proc and /sys, by whatever name', () => {
  const other = String(process.ppid);
  symlinkSync('/proc', at('p'));
  symlinkSync('/sys', at('s'));
  symlinkSync(`/proc/${other}`, at('other'));
  symlinkSync('/proc/sys', at('ps'));
  assert.equal(
    shown((b) => b.addDirectory(at('p')).addDirectoryAt(at('s'), at('z'))),
    ['proc p', 'sysfs z'],
  );
  refused((b) => b.addDirectory(at('p'), false), /always read-only/);
  refused((b) => b.addDirectoryAt(at('p'), '/p', false), /always read-only/);
  refused((b) => b.addDirectoryAt('/proc/sys', '/s', false), /always read-only/);
  refused((b) => b.addDirectoryAt(at('ps'), '/s', false), /always read-only/);
  refused((b) => b.addFile('/proc/sys/vm/overcommit_memory', false), /always read-only/);
  refused((b) => b.addDirectoryAt('/sys/devices', '/d', false), /always read-only/);
  refused((b) => b.addDirectory(`/proc/${other}`), /belongs to a process/);
  refused((b) => b.addFile(`/proc/${other}/status`), /belongs to a process/);
  refused((b) => b.addDirectoryAt(at('other'), '/o'), /leads to .* belongs to a process/);
  refused((b) => b.addDirectoryAt('/', '/host'), /contains the host’s \/(proc|sys)/);
  refused((b) => b.addDirectoryAt('/', '/host', false), /contains the host’s/);
  // Files about the machine alone can be shown.
  assert.is(mountsOf((b) => b.addFile('/proc/cpuinfo').addDirectory('/proc/sys/kernel')).length, 2);
});

test('true or false is a boolean', () => {
  for (const not of [null, 0, 1, 'true', {}]) {
    refused((b) => b.addFile('/etc/hosts', not as never), /isReadOnly is true or false/);
    refused((b) => b.addDirectoryAt('/usr', '/u', not as never), /isReadOnly is true or false/);
  }
});

/** A policy as it may be in a file, or as it was before something on the host changed. */
function policyShowing(mounts: readonly object[]): Policy {
  return Policy.fromJSON({ ...JSON.parse(JSON.stringify(lenientPolicy())), mounts });
}

/** A policy with a mount that builder and reader would both refuse. */
function policyWith(mount: MountEntry): Policy {
  const policy = lenientPolicy((b) => b.addLibrariesForBinary(sandboxeePath('exit_with')));
  Object.defineProperty(policy, 'mounts', { value: [...policy.mounts, mount] });
  return policy;
}

test('in a sandbox: no part of the host’s /proc, because the process that mounts checks once more', async () => {
  const places: [string, boolean][] = [
    ['/proc', false],
    ['/sys', false],
    [`/proc/${process.ppid}`, false],
    ['/proc/sys/vm', true],
    ['/sys/devices', true],
  ];
  for (const [outside, writable] of places) {
    const policy = policyWith({ kind: 'directory', inside: '/x', outside, writable, executable: !writable });
    const { result } = await runToEnd(sandboxee('exit_with', ['0']), policy);
    assert.match(String(result), /SETUP_ERROR.*EPERM.*sandbox’s own/, outside);
  }
});

test('a link is followed when the policy is made; a link made later is not followed', async () => {
  const place = at('turned');
  const start = [
    ...JSON.parse(JSON.stringify(lenientPolicy((b) => b.addLibrariesForBinary(sandboxeePath('exit_with')))))
      .mounts,
  ];
  const showing = () => policyShowing([...start, { directory: place, at: '/x' }]);
  const building = () =>
    lenientPolicy((b) => b.addDirectoryAt(place, '/x').addLibrariesForBinary(sandboxeePath('exit_with')));
  for (const [target, message] of [
    ['/proc', /leads to the host’s \/proc/],
    [`/proc/${process.ppid}`, /belongs to a process/],
  ] as const) {
    symlinkSync(target, place);
    assert.throws(showing, message);
    rmSync(place);
  }
  for (const make of [showing, building]) {
    // The target at the time when the policy is made counts.
    symlinkSync(at('real'), place);
    const policy = make();
    assert.is(policy.resolvePath('/x/file'), at('real/file'));
    rmSync(place);
    symlinkSync('/etc', place);
    assert.ok((await runToEnd(sandboxee('exit_with', ['0']), policy)).result.isOk);
    rmSync(place);
    // A directory that is replaced by a link afterwards.
    mkdirSync(place);
    const turned = make();
    assert.ok((await runToEnd(sandboxee('exit_with', ['0']), turned)).result.isOk);
    rmSync(place, { recursive: true });
    symlinkSync('/etc', place);
    const { result } = await runToEnd(sandboxee('exit_with', ['0']), turned);
    assert.match(String(result), /SETUP_ERROR.*(ELOOP|ENOTDIR).*not followed/);
    rmSync(place);
  }
});

test('in a sandbox: the size of a tmpfs also limits the number of its files', async () => {
  const busybox = ['/bin/busybox', '/usr/bin/busybox'].find(existsSync);
  if (busybox === undefined) {
    skip('files in a tmpfs', 'busybox is not installed (Debian: busybox-static)');
    return;
  }
  const script =
    'i=0; while true > /t/$i; do i=$((i + 1)); [ $i -lt 5000 ] || exit 9; done 2>/dev/null; echo $i';
  const policy = lenientPolicy((b) =>
    b
      .addTmpfs('/t', 1 << 20)
      .addFile(busybox)
      .addLibrariesForBinary(busybox)
      .addFile('/dev/null', false),
  );
  const { result, output } = await runToEnd(new Executor(busybox, ['sh', '-c', script]), policy);
  assert.is(result.finalStatus, 'OK', String(result));
  assert.ok(Number(output) > 500 && Number(output) < 1500, `${result} ${output}`);
});

test('in a sandbox: nothing is made in a directory of the host', async () => {
  const host = at('host');
  mkdirSync(host);
  chmodSync(host, 0o777);
  for (const build of [
    (b: PolicyBuilder) => b.addFileAt('/etc/hosts', '/x/file'),
    (b: PolicyBuilder) => b.addDirectoryAt('/usr', '/x/deep/er'),
    (b: PolicyBuilder) => b.addTmpfs('/x/tmp', 4096),
  ]) {
    for (const isReadOnly of [true, false]) {
      const policy = lenientPolicy((b) =>
        build(b.addDirectoryAt(host, '/x', isReadOnly)).addLibrariesForBinary(sandboxeePath('exit_with')),
      );
      const { result } = await runToEnd(sandboxee('exit_with', ['0']), policy);
      assert.match(String(result), /SETUP_ERROR.*EROFS.*nothing is made there/);
      assert.equal(readdirSync(host), []);
    }
  }
  // In the sandbox's own directories every mount point is made.
  const policy = lenientPolicy((b) =>
    b
      .addTmpfs('/x', 1 << 20)
      .addFileAt('/etc/hosts', '/x/y/file')
      .addLibrariesForBinary(sandboxeePath('exit_with')),
  );
  const { result } = await runToEnd(sandboxee('exit_with', ['0']), policy);
  assert.ok(result.isOk, String(result));
});

test('the sandbox’s own /proc and /sys', () => {
  const [proc, sys] = mountsOf((b) => b.addDirectory('/proc').addDirectory('/sys'));
  assert.equal(proc, { kind: 'proc', inside: '/proc' });
  assert.equal(sys, { kind: 'sysfs', inside: '/sys' });
  refused((b) => b.addDirectory('/proc', false), /always read-only/);
});

test('two things at one place', () => {
  refused(
    (b) => b.addFileAt(at('real/file'), '/a').addFileAt(at('real/other'), '/a'),
    /\/a is taken: file .* was requested/,
  );
  refused((b) => b.addFileAt(at('real/file'), '/a').addDirectoryAt(at('real'), '/a'), /\/a is taken/);
  refused((b) => b.addTmpfs('/a', 4096).addTmpfs('/a', 8192), /\/a is taken: tmpfs is there/);
  refused(
    (b) => b.addFileAt(at('real/file'), '/a').addFileAt(at('real/file'), '/a/b'),
    /cannot be below \/a, which is a file/,
  );
  refused((b) => b.addFileAt(at('real/file'), '/a').addTmpfs('/a/b/c', 4096), /cannot be below \/a/);
  refused(
    (b) => b.addFileAt(at('real/file'), '/a/b').addFileAt(at('real/file'), '/a'),
    /\/a cannot be a file: \/a\/b is below it/,
  );
  // A refused call changes nothing.
  const builder = new PolicyBuilder().addTmpfs('/a', 4096);
  assert.throws(() => builder.addTmpfs('/a', 1), /is taken/);
  assert.is(builder.build().mounts.length, 1);
});

test('the same thing twice is not a conflict, and writable wins over read-only', () => {
  const writable = (build: (b: PolicyBuilder) => PolicyBuilder) =>
    mountsOf(build).map((mount) => 'writable' in mount && mount.writable);
  const file = at('real/file');
  assert.equal(
    writable((b) => b.addFile(file).addFile(file)),
    [false],
  );
  assert.equal(
    writable((b) => b.addFile(file).addFile(file, false)),
    [true],
  );
  assert.equal(
    writable((b) => b.addFile(file, false).addFile(file)),
    [true],
  );
  assert.equal(
    writable((b) => b.addDirectory(at('real')).addDirectory(at('real'), false)),
    [true],
  );
  // The same inode by another name.
  assert.equal(
    writable((b) => b.addFileAt(file, '/a').addFileAt(at('file-link'), '/a')),
    [false],
  );
  assert.equal(
    writable((b) => b.addFileAt(file, '/a').addFileAt(at('chain'), '/a', false)),
    [true],
  );
  assert.equal(
    writable((b) => b.addDirectoryAt(at('real'), '/a').addDirectoryAt(at('link'), '/a')),
    [false],
  );
  assert.is(mountsOf((b) => b.addTmpfs('/a', 4096).addTmpfs('/a', 4096)).length, 1);
  assert.is(mountsOf((b) => b.addDirectory('/proc').addDirectory('/proc')).length, 1);
});

test('parents first, otherwise as they were added', () => {
  const order = shown((b) =>
    b
      .addFileAt(at('real/file'), at('z/one'))
      .addTmpfs(at('z'), 4096)
      .addTmpfs(at('a'), 4096)
      .addFileAt(at('real/file'), at('a/two')),
  );
  assert.equal(order, ['tmpfs z', 'tmpfs a', 'file z/one', 'file a/two']);
});

test('symlinks on the way are in the sandbox too', () => {
  assert.equal(
    shown((b) => b.addFile(at('real/file'))),
    ['file real/file'],
  );
  assert.equal(
    shown((b) => b.addFile(at('link/file'))),
    ['symlink link', 'file real/file'],
  );
  assert.equal(
    shown((b) => b.addFile(at('absolute/file'))),
    ['symlink absolute', 'file real/file'],
  );
  assert.equal(
    shown((b) => b.addFile(at('file-link'))),
    ['symlink file-link', 'file real/file'],
  );
  assert.equal(
    shown((b) => b.addFile(at('chain'))),
    ['symlink chain', 'symlink file-link', 'file real/file'],
  );
  assert.equal(
    shown((b) => b.addFile(at('up/file'))),
    ['symlink up', 'symlink link', 'file real/deep/file'],
  );
  assert.equal(
    shown((b) => b.addDirectory(at('link'))),
    ['symlink link', 'directory real'],
  );
  const links = mountsOf((b) => b.addFile(at('absolute/file')));
  assert.equal(links[0], { kind: 'symlink', inside: at('absolute'), target: at('real') });
  // One file added by several names.
  const all = shown((b) => b.addFile(at('chain')).addFile(at('link/file'), false).addFile(at('real/file')));
  assert.equal(all, ['symlink chain', 'symlink file-link', 'symlink link', 'file real/file']);
});

test('a symlink that a directory shows is not made again', () => {
  const both = ['directory ', 'file real/file'];
  assert.equal(
    shown((b) => b.addDirectory(folder).addFile(at('link/file'))),
    both,
  );
  assert.equal(
    shown((b) => b.addFile(at('link/file')).addDirectory(folder)),
    both,
  );
});

test('something in place of a symlink stays', () => {
  // The policy has a directory of its own there.
  assert.equal(
    shown((b) => b.addTmpfs(at('link'), 4096).addFile(at('link/file'))),
    ['tmpfs link', 'file link/file'],
  );
  assert.equal(
    shown((b) => b.addFileAt(at('real/other'), at('link/else')).addFile(at('link/file'))),
    ['file link/else', 'file link/file'],
  );
  assert.equal(
    shown((b) => b.addDirectoryAt('/usr', folder).addFile(at('link/file'))),
    ['directory ', 'file link/file'],
  );
  // An entry below a symlink goes where the link leads.
  assert.equal(
    shown((b) => b.addFile(at('link/file')).addFileAt('/etc/hosts', at('link/hosts'))),
    ['symlink link', 'file real/file', 'file real/hosts'],
  );
  refused(
    (b) => b.addFile(at('file-link')).addFileAt(at('real/other'), at('file-link')),
    /real\/file is taken/,
  );
});

test('under Landlock alone the host’s links are visible anyway', () => {
  const mounts = mountsOf((b) => b.enableLandlock().addFile(at('link/file')));
  assert.equal(
    mounts.map(({ kind, inside }) => [kind, inside]),
    [['file', at('real/file')]],
  );
});

test('where a path inside leads', () => {
  const policy = new PolicyBuilder()
    .addFileAt(at('real/file'), '/data/file')
    .addDirectoryAt(at('real'), '/data/dir')
    .addDirectoryAt('/usr', '/data/dir/deep')
    .addFile(at('chain'))
    .addTmpfs('/tmp/x', 4096)
    .addDirectory('/proc')
    .build();
  const cases: [string, string | undefined][] = [
    ['/data/file', at('real/file')],
    ['/data/file/x', undefined],
    ['/data/filex', undefined],
    ['/data', undefined],
    ['/data/dir', at('real')],
    ['/data/dir/other', at('real/other')],
    ['/data/dir/deep/bin', '/usr/bin'],
    ['/data/dir/deeper', at('real/deeper')],
    [at('chain'), at('real/file')],
    [at('file-link'), at('real/file')],
    [at('link'), undefined],
    ['/tmp/x/a', undefined],
    ['/proc/self', undefined],
    ['/', undefined],
  ];
  for (const [inside, outside] of cases) assert.is(policy.resolvePath(inside), outside, inside);
});

test('as lines', () => {
  const text = new PolicyBuilder()
    .addFile(at('real/file'))
    .addFileAt(at('real/file'), '/b', false)
    .addDirectoryAt(at('real'), '/c', false)
    .addTmpfs('/d', 1536)
    .addTmpfs('/e', 3 * 2 ** 30)
    .build()
    .explain();
  const lines = text
    .slice(text.indexOf('Files:\n') + 'Files:\n'.length)
    .split('\n')
    .slice(0, 5);
  assert.equal(lines, [
    `  W /b from ${at('real/file')}`,
    `  W /c/ from ${at('real')}/`,
    '  W /d/ in memory, at most 1536 bytes',
    '  W /e/ in memory, at most 3 GiB',
    `  R ${at('real/file')}`,
  ]);
});

test('in a sandbox: the greatest number of mounts; the builder refuses one more', async () => {
  const builder = new PolicyBuilder().defaultAction('allowAllSyscalls');
  for (let i = 0; i < 4096; i++) builder.addTmpfs(`/t${i}`, 4096);
  const { result } = await runToEnd(sandboxee('exit_with', ['3']), builder.build());
  assert.is(result.exitCode, 3, String(result));
  assert.throws(
    () => builder.addTmpfs('/one-more', 4096),
    (error: unknown) => error instanceof PolicyError && error.reason === 'more than 4096 mounts',
  );
});

test('in a sandbox: links lead where they lead, by every name', async () => {
  const names = ['chain', 'file-link', 'link/file', 'absolute/file', 'real/file', 'up/file'].map(at);
  const policy = lenientPolicy((builder) => {
    for (const name of names) builder.addFile(name);
    return builder;
  });
  const { output, result } = await runToEnd(
    sandboxee('inspect', [...names, at('real/other'), at('gone')]),
    policy,
  );
  assert.is(String(result), 'OK - Exit code: 0');
  for (const name of names) assert.ok(output.includes(`open ${name}=ok\n`), name);
  assert.ok(output.includes(`open ${at('real/other')}=No such file or directory\n`));
  assert.ok(output.includes(`open ${at('gone')}=No such file or directory\n`));
});

test('in a sandbox: a directory with links in it, and a file by way of them', async () => {
  const policy = lenientPolicy((builder) =>
    builder.addFile(at('link/file')).addDirectory(folder).addFileAt('/etc/hosts', at('real/deep/file')),
  );
  const asked = [at('link/other'), at('up/file'), at('absolute/deep/file')];
  const { output } = await runToEnd(sandboxee('inspect', asked), policy);
  for (const name of asked) assert.ok(output.includes(`open ${name}=ok\n`), output);
});

test.run();
