// Real programs of the machine under the presets made for them: none may cause a violation.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, PolicyBuilder, Sandbox2 } from '../../host/index.js';
import { whyNotCompiled } from '../support/machine.js';
import { checkout, runToEnd } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('programs under presets');
const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-programs-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

// --- every family with every C library -------------------------------------------------------------------------

const families =
  `allowRead allowWrite allowOpen allowStat allowAccess allowDup allowPipe allowChmod allowChown
  allowReaddir allowReadlink allowLink allowSymlink allowMkdir allowUnlink allowRename allowUtime allowSafeFcntl
  allowTCGETS allowEpoll allowInotify allowSelect allowPoll allowEventFd allowTime allowSleep allowAlarm allowPosixTimers
  allowFork allowHandleSignals allowKill allowGetIDs allowGetPIDs allowGetPGIDs allowGetRlimit allowSetRlimit
  allowGetRandom allowPrctlSetName allowWipeOnFork allowMlock allowMmapWithoutExec allowMprotectWithoutExec
  allowSharedMemory allowSystemMalloc`.split(/\s+/) as (keyof PolicyBuilder)[];

/** What the test program of a family needs besides the family itself. */
const beside: Readonly<Partial<Record<keyof PolicyBuilder, (builder: PolicyBuilder) => PolicyBuilder>>> = {
  allowFork: (b) => b.allowWait().allowStaticStartup().allowHandleSignals().allowGetPIDs(),
  allowReaddir: (b) => b.allowOpen().allowStat().allowSystemMalloc().allowSafeFcntl(),
  allowKill: (b) => b.allowHandleSignals().allowGetPIDs(),
  allowPosixTimers: (b) => b.allowSystemMalloc(),
  allowSelect: (b) => b.allowHandleSignals(),
};

interface Build {
  readonly name: string;
  readonly compiler: string;
  readonly flags: readonly string[];
  readonly isStatic: boolean;
}

const builds: readonly Build[] = [
  { name: 'static glibc', compiler: 'cc', flags: ['-static'], isStatic: true },
  { name: 'dynamic glibc', compiler: 'cc', flags: [], isStatic: false },
  { name: 'static musl', compiler: 'musl-gcc', flags: ['-static'], isStatic: true },
  { name: 'dynamic musl', compiler: 'musl-gcc', flags: [], isStatic: false },
];

for (const { name, compiler, flags, isStatic } of builds) {
  test(`every family, ${name}`, async () => {
    if (spawnSync(compiler, ['--version']).error !== undefined) {
      skip(`every family, ${name}`, `${compiler} is not installed (Debian: musl-tools)`);
      return;
    }
    const program = path.join(folder, name.replace(' ', '-'));
    const source = path.join(checkout, 'test/policy/fixtures/families.c');
    const made = spawnSync(compiler, ['-O1', '-w', '-o', program, source, ...flags], { encoding: 'utf8' });
    assert.is(made.status, 0, made.stderr);
    for (const family of ['' as const, ...families]) {
      const builder = new PolicyBuilder().allowExit();
      if (isStatic) builder.allowStaticStartup();
      else builder.allowDynamicStartup('allowMapExec').addLibrariesForBinary(program);
      if (family !== '') {
        (builder[family] as () => PolicyBuilder)();
        beside[family]?.(builder);
      }
      await using sandbox = new Sandbox2(new Executor(program, [program, family]), builder.build());
      const result = await sandbox.run();
      assert.is(String(result), 'OK - Exit code: 0', `${name}: ${family}`);
    }
  });
}

// --- whole programs --------------------------------------------------------------------------------------------

/** What a shell with the usual tools does. */
function shell(): PolicyBuilder {
  return new PolicyBuilder()
    .allowStaticStartup()
    .allowSystemMalloc()
    .allowRead()
    .allowWrite()
    .allowOpen()
    .allowStat()
    .allowAccess()
    .allowReaddir()
    .allowReadlink()
    .allowDup()
    .allowPipe()
    .allowSafeFcntl()
    .allowTCGETS()
    .allowHandleSignals()
    .allowFork()
    .allowWait()
    .allowKill()
    .allowGetIDs()
    .allowGetPIDs()
    .allowGetPGIDs()
    .allowTime()
    .allowSleep()
    .allowExit()
    .allowSyscalls([
      'close',
      'lseek',
      'getcwd',
      'chdir',
      'umask',
      'sendfile',
      'execve',
      'fadvise64',
      'setuid',
      'setgid',
    ])
    .syscall('prctl', (arg) => arg(0).eq(16)) // PR_GET_NAME
    .addFile('/etc/hosts')
    .addFile('/dev/null');
}

test('busybox: a shell with pipes and tools', async () => {
  const busybox = ['/bin/busybox', '/usr/bin/busybox'].find(existsSync);
  if (busybox === undefined) {
    skip('busybox', 'it is not installed (Debian: busybox-static)');
    return;
  }
  const script = `for i in 1 2 3; do echo "$i"; done | /busybox sort -r | /busybox tr '\\n' ' ';
    /busybox cat /etc/hosts | /busybox grep -c localhost > /dev/null; (exit 3); echo "$?"; /busybox ls / | /busybox wc -l;
    /busybox sha256sum /etc/hosts > /dev/null; /busybox sleep 0.01; x=$(/busybox echo done); echo "$x"`;
  const policy = shell().addLibrariesForBinary(busybox).addFileAt(busybox, '/busybox');
  if (new PolicyBuilder().addLibrariesForBinary(busybox).build().mounts.length > 0)
    policy.allowDynamicStartup();
  const executor = new Executor(busybox, ['busybox', 'sh', '-c', script]);
  const { result, output } = await runToEnd(executor, policy.build());
  assert.is(String(result), 'OK - Exit code: 0', output);
  assert.is(output, '3 2 1 3\n3\ndone\n');
});

test('python3: modules, files, exceptions, collections', async () => {
  const python = '/usr/bin/python3';
  const where = existsSync(python)
    ? spawnSync(python, ['-c', 'import sysconfig; print(sysconfig.get_path("stdlib"))'], { encoding: 'utf8' })
    : undefined;
  if (where?.status !== 0) {
    skip('python3', 'there is no /usr/bin/python3');
    return;
  }
  const script = `
import json, re, collections, itertools, os, sys, time
with open('/tmp/a', 'w') as f: json.dump({'list': list(range(1000)), 'text': 'ä'}, f)
with open('/tmp/a') as f: data = json.load(f)
os.rename('/tmp/a', '/tmp/b'); os.mkdir('/tmp/c'); os.unlink('/tmp/b'); os.rmdir('/tmp/c')
words = collections.Counter(re.findall(r'\\w+', 'a b a c a'))
try: open('/etc/passwd')
except OSError as e: refused = e.errno
memory = [bytearray(100000) for _ in range(100)]
time.sleep(0.001)
print(len(data['list']), words['a'], refused, sum(1 for _ in itertools.permutations(range(5))))
`;
  const policy = new PolicyBuilder()
    .allowDynamicStartup('allowMapExec')
    .allowSystemMalloc()
    .allowRead()
    .allowWrite()
    .allowOpen()
    .allowStat()
    .allowReaddir()
    .allowReadlink()
    .allowRename()
    .allowMkdir()
    .allowUnlink()
    .allowDup()
    .allowSafeFcntl()
    .allowTCGETS()
    .allowHandleSignals()
    .allowGetIDs()
    .allowGetPIDs()
    .allowTime()
    .allowSleep()
    .allowSelect()
    .allowExit()
    .allowSyscalls(['getcwd', 'sysinfo', 'close', 'lseek'])
    // For the name service daemon and io's checks; python accepts a failure.
    .blockSyscallWithErrno('socket', 'EACCES')
    .overridableBlockSyscallWithErrno('ioctl', 'ENOTTY')
    .addLibrariesForBinary(python)
    .addFile(python)
    .addDirectory(where.stdout.trim())
    .addFile('/dev/null')
    .addTmpfs('/tmp', 16 << 20)
    .build();
  const { result, output } = await runToEnd(new Executor(python, [python, '-I', '-c', script]), policy);
  assert.is(String(result), 'OK - Exit code: 0', output);
  assert.is(output, '1000 3 2 120\n');
});

test('node under allowNode()', async () => {
  const script = fileURLToPath(new URL('./fixtures/busy-script.js', import.meta.url));
  const policy = new PolicyBuilder()
    .allowNode()
    .addLibrariesForBinary(process.execPath)
    .addFile(process.execPath)
    .addFileAt(script, '/script.mjs')
    .addFile('/dev/null')
    .addDirectory('/proc')
    .addTmpfs('/tmp', 64 << 20)
    .build();
  const executor = new Executor(process.execPath, ['node', '--expose-gc', '/script.mjs']);
  const { result, output } = await runToEnd(executor, policy);
  assert.is(String(result), 'OK - Exit code: 0');
  assert.is(output, 'done 200000 ENOENT\n');
});

// Each sanitizer must find its fault, and none in the correct program.
const sanitizers = [
  { flag: 'address', fault: 'use-after-free', finds: 'heap-use-after-free' },
  { flag: 'undefined', fault: 'overshift', finds: 'shift exponent 40 is too large' },
  { flag: 'thread', fault: 'race', finds: 'data race' },
];
for (const compiler of ['gcc', 'clang']) {
  for (const { flag, fault, finds } of sanitizers) {
    const name = `${compiler} -fsanitize=${flag} under allowLlvmSanitizers()`;
    test(name, async () => {
      const program = path.join(folder, `${compiler}-${flag}`);
      const source = path.join(checkout, 'test/policy/fixtures/sanitized.c');
      const flags = ['-g', '-O0', '-w', '-pthread', `-fsanitize=${flag}`];
      const reason = whyNotCompiled(compiler, flags);
      if (reason !== undefined) return skip(name, `${reason} (Debian: gcc, clang)`);
      assert.is(spawnSync(compiler, [...flags, '-o', program, source]).status, 0);
      const policy = new PolicyBuilder()
        .allowDynamicStartup()
        .addLibrariesForBinary(program)
        .allowSystemMalloc()
        .allowFork() // threads
        .allowLlvmSanitizers()
        .allowExit()
        .addDirectory('/proc')
        .build();
      for (const what of ['clean', fault]) {
        const executor = new Executor(program, [program, what], { envs: { ASAN_OPTIONS: 'detect_leaks=0' } });
        await using sandbox = new Sandbox2(executor, policy);
        const { result, stderr } = await sandbox.run({ capture: {} });
        assert.is(result.finalStatus, 'OK', String(result));
        if (what === 'clean') assert.is(stderr.toString(), '');
        else assert.match(stderr.toString(), finds);
      }
    });
  }
}

test.run();
