// What a sandboxee finds itself to be, and what it must not find.
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  constants as files,
  mkdirSync,
  mkdtempSync,
  openSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { constants, getPriority, tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, type Policy, type PolicyBuilder, probe } from '../../host/index.js';
import { syscallNumber } from '../../host/policy/syscalls.js';
import { run } from '../support/command.js';
import { checkout, isRoot, lenientPolicy, runToEnd, sandboxee, sandboxeePath } from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { hangMs } from '../support/time.js';

const test = suite('isolation');
const { EACCES, ECONNREFUSED, ENOENT, EROFS } = constants.errno;
const { O_WRONLY } = files;

function lineOf(output: string, name: string): string | undefined {
  return output
    .split('\n')
    .find((line) => line.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}

test('identity, process and surroundings', async () => {
  const { output, result } = await runToEnd(sandboxee('inspect'));
  assert.is(String(result), 'OK - Exit code: 0');
  assert.match(output, /^uid=1000 gid=1000 euid=1000 egid=1000$/m);
  assert.match(output, /^pid=2 ppid=0 sid=2 pgid=2$/m);
  assert.is(lineOf(output, 'open fds'), '0 1 2 1023 ');
  assert.not.match(output, /^env=/m);
  assert.is(lineOf(output, 'cwd'), '/');
  assert.is(lineOf(output, 'umask'), '022');
  assert.is(lineOf(output, 'no_new_privs'), '1');
  assert.is(lineOf(output, 'bounding'), '0');
  assert.is(lineOf(output, 'tty'), 'no');
  assert.is(lineOf(output, 'ls /'), '');
  assert.is(lineOf(output, 'mkdir /'), 'Read-only file system');
  assert.is(lineOf(output, 'mkdir /tmp'), 'No such file or directory');
  if (isRoot) assert.is(lineOf(output, 'groups'), '0');
});

test('environment, working directory and host name are as given', async () => {
  const executor = sandboxee('inspect', [], { envs: { COLOUR: 'blue', EMPTY: '' }, cwd: '/data' });
  const policy = lenientPolicy((builder) => builder.addTmpfs('/data', 1 << 20).setHostname('elsewhere'));
  const { output } = await runToEnd(executor, policy);
  assert.match(output, /^env=COLOUR=blue$/m);
  assert.match(output, /^env=EMPTY=$/m);
  assert.is(output.match(/^env=/gm)?.length, 2);
  assert.is(lineOf(output, 'cwd'), '/data');
  assert.is(lineOf(output, 'hostname'), 'elsewhere');
});

test('only what the policy mounts is there', async () => {
  const policy = lenientPolicy((builder) => builder.addFile('/etc/passwd').addTmpfs('/tmp', 1 << 20));
  const { output } = await runToEnd(
    sandboxee('inspect', ['/etc/passwd', '/etc/group', '/proc/self']),
    policy,
  );
  assert.is(lineOf(output, 'open /etc/passwd'), 'ok');
  assert.is(lineOf(output, 'open /etc/group'), 'No such file or directory');
  assert.is(lineOf(output, 'open /proc/self'), 'No such file or directory');
  assert.is(lineOf(output, 'mkdir /tmp'), 'made');
  assert.equal(lineOf(output, 'ls /')?.trim().split(' ').sort(), ['etc', 'tmp']);
});

test('mounts: read-only and writable', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  try {
    chmodSync(folder, 0o755);
    mkdirSync(path.join(folder, 'inner'));
    chmodSync(path.join(folder, 'inner'), 0o777);
    const readOnly = lenientPolicy((builder) => builder.addDirectoryAt(path.join(folder, 'inner'), '/tmp'));
    assert.is(
      lineOf((await runToEnd(sandboxee('inspect'), readOnly)).output, 'mkdir /tmp'),
      'Read-only file system',
    );
    const writable = lenientPolicy((builder) =>
      builder.addDirectoryAt(path.join(folder, 'inner'), '/tmp', false),
    );
    assert.is(lineOf((await runToEnd(sandboxee('inspect'), writable)).output, 'mkdir /tmp'), 'made');
    const made = statSync(path.join(folder, 'inner', 'made'));
    assert.is(made.uid, isRoot ? 65534 : process.geteuid?.(), 'kernel uid of the sandboxee');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('mounts: read-only, and so is what is mounted below', async () => {
  const [place, below] = ['/dev', '/dev/shm'];
  if (!existsSync(below) || statSync(place).dev === statSync(below).dev) {
    return skip('what is mounted below', `nothing is mounted on ${below} here`);
  }
  const change = async (policy: Policy) =>
    (await runToEnd(sandboxee('reach_out', ['change', below]), policy)).result.exitCode;
  assert.is(await change(lenientPolicy((builder) => builder.addDirectory(place))), EROFS);
  assert.is(await change(lenientPolicy((builder) => builder.addDirectory(place, false))), 0);
});

test('root is not root inside: what only root can read stays closed', async () => {
  if (!isRoot) return skip('root is not root inside', 'needs a root host');
  const policy = lenientPolicy((builder) => builder.addDirectory('/etc'));
  const { output } = await runToEnd(sandboxee('inspect', ['/etc/shadow', '/etc/passwd']), policy);
  assert.is(lineOf(output, 'open /etc/shadow'), 'Permission denied');
  assert.is(lineOf(output, 'open /etc/passwd'), 'ok');
});

test('root can name the kernel uid', async () => {
  if (!isRoot) return skip('root can name the kernel uid', 'needs a root host');
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  try {
    chmodSync(folder, 0o777);
    const policy = lenientPolicy((builder) => builder.addDirectoryAt(folder, '/tmp', false));
    await runToEnd(sandboxee('inspect', [], { uid: 12345, gid: 12346 }), policy);
    const made = statSync(path.join(folder, 'made'));
    assert.equal([made.uid, made.gid], [12345, 12346]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an own /proc shows the sandbox and nothing else, and init is out of reach', async () => {
  const policy = lenientPolicy((builder) => builder.addDirectory('/proc'));
  const { output } = await runToEnd(
    sandboxee('inspect', ['/proc/1/cmdline', '/proc/1/mem', '/proc/1/environ', '/proc/3']),
    policy,
  );
  assert.is(lineOf(output, 'open /proc/1/cmdline'), 'ok');
  assert.is(lineOf(output, 'open /proc/1/mem'), 'Permission denied');
  assert.is(lineOf(output, 'open /proc/1/environ'), 'Permission denied');
  assert.is(lineOf(output, 'open /proc/3'), 'No such file or directory');
});

test('a symlink in a writable directory cannot steer a mount', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  try {
    chmodSync(folder, 0o777);
    const { symlinkSync } = await import('node:fs');
    symlinkSync('/etc', path.join(folder, 'link'));
    writeFileSync(path.join(folder, 'file'), 'x');
    const policy = lenientPolicy((builder) =>
      builder
        .addDirectoryAt(folder, '/work', false)
        .addFileAt(path.join(folder, 'file'), '/work/link/planted'),
    );
    const { result } = await runToEnd(sandboxee('exit_with'), policy);
    assert.is(result.finalStatus, 'SETUP_ERROR');
    assert.match(String(result), /ELOOP|ENOTDIR/);
    assert.throws(() => statSync('/etc/planted'), /ENOENT/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('every namespace is another one than the host’s; capabilities are gone, all of them', async () => {
  const policy = lenientPolicy((builder) => builder.addDirectory('/proc'));
  const { output } = await runToEnd(sandboxee('inspect'), policy);
  for (const name of ['user', 'mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup']) {
    const inside = lineOf(output, `namespace ${name}`);
    assert.match(inside ?? '', /^[a-z]+:\[\d+\]$/);
    assert.is.not(inside, readlinkSync(`/proc/self/ns/${name}`), name);
  }
  assert.is(lineOf(output, 'capabilities'), '0 0 0');
  assert.is(lineOf(output, 'hostname'), 'sandwire');
});

test('the network is a loopback device, or with a token the host’s', async () => {
  const { output } = await runToEnd(sandboxee('inspect'));
  assert.is(lineOf(output, 'interfaces')?.trim(), 'lo');
  assert.is(lineOf(output, 'loopback'), 'ok');
  const open = lenientPolicy((builder) => builder.allow('allowUnrestrictedNetworking').addDirectory('/proc'));
  const unrestricted = await runToEnd(sandboxee('inspect'), open);
  assert.is(lineOf(unrestricted.output, 'namespace net'), readlinkSync('/proc/self/ns/net'));
});

test('a root that may be written to, and /sys only if it was added', async () => {
  const policy = lenientPolicy((builder) => builder.setRootWritable().addDirectory('/sys'));
  const { output } = await runToEnd(sandboxee('inspect'), policy);
  assert.is(lineOf(output, 'mkdir /'), 'made');
  assert.match(lineOf(output, 'ls /sys') ?? '', /class/);
  assert.is(lineOf((await runToEnd(sandboxee('inspect'))).output, 'ls /sys'), 'No such file or directory');
});

test('options of mounts: nosuid and nodev always, noexec where it can be written, unless waived', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  try {
    chmodSync(folder, 0o777);
    const extend = (builder: PolicyBuilder) =>
      builder
        .addDirectory('/proc')
        .addDirectoryAt(folder, '/shown')
        .addDirectoryAt(folder, '/data', false)
        .addTmpfs('/tmp', 1 << 20);
    const optionsIn = async (policy: Policy) => {
      const { output } = await runToEnd(sandboxee('inspect'), policy);
      const lines = output.split('\n').filter((line) => line.startsWith('/proc/self/mountinfo: '));
      return new Map(lines.map((line) => [line.split(' ')[5] ?? '', (line.split(' ')[6] ?? '').split(',')]));
    };
    const options = await optionsIn(lenientPolicy(extend));
    for (const [mount, list] of options) {
      for (const each of ['nosuid', 'nodev']) assert.ok(list.includes(each), `${mount}: ${list}`);
    }
    assert.ok(options.get('/')?.includes('ro'));
    assert.ok(options.get('/proc')?.includes('noexec') && options.get('/proc')?.includes('ro'));
    assert.ok(options.get('/shown')?.includes('ro') && !options.get('/shown')?.includes('noexec'));
    assert.ok(options.get('/data')?.includes('rw') && options.get('/data')?.includes('noexec'));
    assert.ok(options.get('/tmp')?.includes('rw') && options.get('/tmp')?.includes('noexec'));
    const upgraded = await optionsIn(
      lenientPolicy((builder) => extend(builder.addDirectoryAt(folder, '/data'))),
    );
    assert.ok(
      upgraded.get('/data')?.includes('rw') && upgraded.get('/data')?.includes('noexec'),
      'shown first',
    );
    const waived = await optionsIn(lenientPolicy((builder) => extend(builder.allow('allowWriteExecutable'))));
    assert.not.ok(waived.get('/data')?.includes('noexec'));
    assert.not.ok(waived.get('/tmp')?.includes('noexec'));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('no key of the host’s session keyring', async () => {
  const addKey = syscallNumber('add_key');
  const requestKey = syscallNumber('request_key');
  const name = `sandwire-test-${process.pid}`;
  const program = sandboxeePath('make_syscall');
  // Length 1 of the text "x". -3: the session keyring, if we have one; -5: what is searched where there is none.
  const codes: (number | null)[] = [];
  for (const keyring of ['-3', '-5']) {
    codes.push((await run(program, [String(addKey), 'user', name, 'x', '1', keyring])).code);
    codes.push((await run(program, [String(requestKey), 'user', name, '0', '0'])).code);
    if (codes.at(-1) === 0) break;
  }
  if (codes.at(-1) !== 0) {
    return skip('no key of the host’s', `the host itself finds no key here: errnos ${codes.join(', ')}`);
  }
  const policy = lenientPolicy((builder) => builder.allow('allowKeyrings'));
  const { result } = await runToEnd(
    sandboxee('make_syscall', [String(requestKey), 'user', name, '0', '0']),
    policy,
  );
  assert.is(result.exitCode, 126, 'ENOKEY');
});

const nested = (SHOW: string) => [
  'env',
  `SHOW=${SHOW}`,
  process.execPath,
  `${checkout}dist/test/host/fixtures/run-once.js`,
  sandboxeePath('inspect'),
];

test('no controlling terminal, even where the host has one', async () => {
  const terminal = (output: string) => /^\/proc\/self\/stat: .*\) \S+ \S+ \S+ \S+ (\S+)/m.exec(output)?.[1];
  const host = await run('script', ['-qec', 'cat /proc/self/stat', '/dev/null']);
  if (!/^\d+ \(cat\) \S+ \S+ \S+ \S+ [1-9]/m.test(host.stdout)) {
    return skip('no controlling terminal', 'script(1) is not there to give the host one');
  }
  const command = nested('/proc').join(' ');
  const { stdout } = await run('script', ['-qec', command, '/dev/null']);
  assert.is(terminal(stdout.replaceAll('\r', '')), '0', stdout);
});

// What a container is to us: a user namespace in which we are root, with or without most of root's powers.
const containers: readonly (readonly [string, readonly string[], string])[] = [
  ['root of one mapped id', [], '/proc'],
  ['a /tmp that cannot be written to', ['mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp'], ''],
  ['a masked /proc', ['mount -t tmpfs none /proc/irq'], ''],
];
for (const [name, preparation, show] of containers) {
  test(`inside another container: ${name}`, async () => {
    const flags = ['--user', '--map-root-user', '--mount', '--pid', '--fork', '--mount-proc'];
    if ((await run('unshare', [...flags, ...['sh', '-c', preparation[0] ?? 'true']])).code !== 0) {
      return skip(`inside another container: ${name}`, 'unshare(1) cannot make one here');
    }
    const script = [...preparation, 'exec "$@"'].join(' && ');
    for (const sockets of ['yes', 'no']) {
      // in a network of its own, and in one that is shared
      const command = ['env', `SOCKETS=${sockets}`, ...nested(show)];
      const { stdout, stderr } = await run('unshare', [...flags, 'sh', '-c', script, 'sh', ...command]);
      assert.match(stdout, /^OK - Exit code: 0$/m, stdout + stderr);
      assert.match(stdout, /^uid=1000 gid=1000 /m);
      assert.match(stdout, /^capabilities=0 0 0$/m);
    }
  });
}

test('inside a container that masks /proc, a policy with /proc fails with what to do', async () => {
  const flags = ['--user', '--map-root-user', '--mount', '--pid', '--fork', '--mount-proc'];
  const script = 'mount -t tmpfs none /proc/irq && exec "$@"';
  const { stdout } = await run('unshare', [...flags, 'sh', '-c', script, 'sh', ...nested('/proc')]);
  if (stdout === '') return skip('a container that masks /proc', 'unshare(1) cannot make one here');
  assert.match(
    stdout,
    /SETUP_ERROR - Code: FAILED_NAMESPACES: mount \/proc: EPERM \(.*systempaths=unconfined/,
  );
});

test('inside a container without CAP_SYS_ADMIN, as root and with no id but its own', async () => {
  const around = ['--bounding-set', '-sys_admin,-setuid,-setgid', '--inh-caps', '-all'];
  if ((await run('setpriv', [...around, 'true'])).code !== 0) {
    return skip(
      'a container without CAP_SYS_ADMIN',
      'setpriv(1) is not there or may not change the bounding set',
    );
  }
  for (const sockets of ['yes', 'no']) {
    const command = [...around, 'env', `SOCKETS=${sockets}`, ...nested('/proc')];
    const { stdout, stderr } = await run('setpriv', command);
    assert.match(stdout, /^OK - Exit code: 0$/m, stdout + stderr);
    assert.match(stdout, /^uid=1000 gid=1000 /m);
  }
});

test('rank that the host has and hands down: none of it arrives', async () => {
  const rank = (output: string) =>
    ['personality', 'scheduling', 'real-time limit', 'nice limit', 'securebits', 'signals'].map((name) =>
      lineOf(output, name),
    );
  // A niceness above 0 is kept: it is no privilege.
  const none = (niceness = getPriority()) => [
    '0',
    `0 nice=${Math.max(0, niceness)}`,
    '0',
    '0',
    '0 keepcaps=0 ambient=0',
    '',
  ];
  const { output } = await runToEnd(sandboxee('inspect'));
  assert.equal(rank(output), none());
  // A host without address space randomisation, as debuggers start programs, and with signals ignored.
  const host = await run('setarch', [
    '--addr-no-randomize',
    'sh',
    '-c',
    'trap "" HUP INT QUIT USR1; exec "$@"',
    'sh',
    ...nested(''),
  ]);
  assert.match(host.stdout, /^OK - Exit code: 0$/m, host.stdout + host.stderr);
  assert.equal(rank(host.stdout), none());
  if (!isRoot) return skip('rank of a host in real time', 'only root can have it');
  const high = [
    'chrt',
    '--rr',
    '5',
    'nice',
    '--adjustment=-10',
    'ionice',
    '--class',
    '1',
    ...nested('/proc'),
  ];
  const inRealTime = await run('sh', [
    '-c',
    'echo -500 > /proc/self/oom_score_adj; exec "$@"',
    'sh',
    ...high,
  ]);
  if (inRealTime.code !== 0) return skip('rank of a host in real time', inRealTime.stderr.trim());
  assert.equal(rank(inRealTime.stdout), none(getPriority() - 10));
  assert.match(inRealTime.stdout, /^\/proc\/self\/oom_score_adj: 300$/m);
});

test('what is done in a directory that is shown can be watched if the policy allows that by name', async () => {
  const watch = async (extend: (builder: PolicyBuilder) => PolicyBuilder) => {
    const policy = lenientPolicy((builder) => extend(builder.addDirectory('/usr')));
    return (await runToEnd(sandboxee('reach_out', ['watch', '/usr']), policy)).result.exitCode;
  };
  assert.is(await watch((builder) => builder), EACCES);
  assert.is(await watch((builder) => builder.allowInotify()), 0);
});

test('attributes of the host’s that are inherited: none arrives', async () => {
  const set = [
    sandboxeePath('set_and_run'),
    process.execPath,
    `${checkout}dist/test/host/fixtures/run-once.js`,
  ];
  const [command = '', ...args] = set;
  const told = await run('env', ['TOKENS=allowKeyrings', command, ...args, sandboxeePath('tell_self')]);
  assert.match(told.stdout, /^OK - Exit code: 0$/m, told.stdout + told.stderr);
  const alone = await run(command, [sandboxeePath('tell_self')]);
  for (const [name, handedDown, expected] of [
    ['PR_GET_MEMORY_MERGE', '1', '0'],
    ['PR_GET_CHILD_SUBREAPER', '1', '0'],
  ] as const) {
    // What the machine does not hand down by an exec cannot be seen here.
    if (lineOf(alone.stdout, name) !== handedDown)
      skip(name, 'this kernel does not hand it down, or has none');
    else assert.is(lineOf(told.stdout, name), expected, name);
  }
  assert.is(lineOf(told.stdout, 'PR_GET_KEEPCAPS'), '0');
});

test('a program can rewrite neither its own file nor one that it was given for reading', async () => {
  const fenced = (await probe()).capabilities.some(
    ({ name, isAvailable, value }) => name === 'landlock' && isAvailable && (value ?? 0) >= 2,
  );
  if (!fenced)
    return skip(
      'files opened again through /proc',
      'without Landlock only the files’ own permissions keep it out',
    );
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  try {
    chmodSync(folder, 0o777);
    const copies = ['program', 'given'].map((name) => path.join(folder, name));
    for (const file of copies) {
      copyFileSync(sandboxeePath('reopen'), file);
      chmodSync(file, 0o777); // writable for whoever the sandboxee is
    }
    const [program = '', given = ''] = copies;
    const executor = new Executor(program, [program, '/other', '5']);
    executor.ipc.mapFd(openSync(given, 'r'), 5);
    const policy = lenientPolicy((builder) =>
      builder.addDirectory('/proc').addFileAt(sandboxeePath('reopen'), '/other'),
    );
    const { output, result } = await runToEnd(executor, policy);
    assert.is(result.exitCode, 0, String(result));
    assert.is(output, 'executable=Read-only file system\ngiven file=Permission denied\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an own /proc changes nothing on the machine', async () => {
  const policy = lenientPolicy((builder) => builder.addDirectory('/proc').addDirectory('/sys'));
  const inProc = [
    '/proc/sys/kernel/core_pattern',
    '/proc/sysrq-trigger',
    '/proc/sys/vm/drop_caches',
    '/proc/self/uid_map',
  ];
  for (const file of [...inProc, '/sys/class/net/lo/mtu']) {
    const open = sandboxee('make_syscall', [String(syscallNumber('openat')), '-100', file, String(O_WRONLY)]);
    const { result } = await runToEnd(open, policy);
    assert.ok([EROFS, EACCES, ENOENT].includes(result.exitCode ?? 0), `${file}: ${result}`);
  }
});

test('abstract sockets of the host are in another network', async () => {
  const name = `\0sandwire-test-${process.pid}`;
  const server = createServer().listen(name);
  await once(server, 'listening');
  try {
    const reach = (policy?: Policy) => runToEnd(sandboxee('reach_out', ['abstract', name.slice(1)]), policy);
    assert.is((await reach()).result.exitCode, ECONNREFUSED);
    // With the host's network they are there: it is what the token gives.
    const open = lenientPolicy((builder) => builder.allow('allowUnrestrictedNetworking'));
    assert.is((await reach(open)).result.exitCode, 0);
  } finally {
    server.close();
  }
});

test('our host inside our own sandbox: refused in words, and nothing hangs', async () => {
  const policy = lenientPolicy((builder) =>
    builder
      .blockSyscallWithErrno('io_uring_setup', 'ENOSYS') // which libuv tries first
      .addDirectory('/usr')
      .addDirectory('/lib')
      .addDirectory('/lib64')
      .addDirectory('/proc')
      .addDirectory(path.dirname(process.execPath))
      .addDirectory(checkout.replace(/\/$/, ''))
      .addFile('/dev/null'),
  );
  const [, , node = '', ...args] = nested('');
  const executor = new Executor(node, [node, ...args]);
  executor.limits.setWalltimeLimitMs(hangMs);
  const { result, output } = await runToEnd(executor, policy);
  // New namespaces are a violation under every policy that does not name them.
  assert.is(result.finalStatus, 'VIOLATION', `${result} ${output}`);
  assert.match(String(result), /keyctl|clone|unshare/, String(result));
});

test.run();
