// A Node program as a sandboxee: under allowNode() and addNodeRuntime() alone, in both ways to start.
import {
  chmodSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, type NodeExecutorOptions, PolicyBuilder, Sandbox2 } from '../../host/index.js';
import { run } from '../support/command.js';
import { assertNoHostSocket } from '../support/networks.js';
import { checkout, isRoot, readAll, runToEnd } from '../support/sandbox.js';
import { hostOnTerminal, untouched } from '../support/terminal.js';
import { hangMs } from '../support/time.js';

const test = suite('a Node sandboxee');
const script = path.join(checkout, 'dist/test/sandboxee-node/fixtures/sandboxee.js');

const policy = new PolicyBuilder()
  .allowNode()
  .addNodeRuntime()
  .addDirectory(path.dirname(script))
  .addTmpfs('/scratch', 1 << 20)
  .build();

function executor(beforeExec = false, options: NodeExecutorOptions = {}): Executor {
  const execArgv = ['--expose-gc', ...(options.execArgv ?? [])];
  return Executor.node(script, [], { ...options, execArgv }).setEnableSandboxBeforeExec(beforeExec);
}

async function start(host: Executor): Promise<Sandbox2> {
  const sandbox = new Sandbox2(host, policy);
  assert.ok(await sandbox.runAsync(), 'sandboxed');
  assert.ok(await sandbox.comms.recvBool(), 'it says so itself');
  return sandbox;
}

async function ask(sandbox: Sandbox2, name: string): Promise<string> {
  await sandbox.comms.sendString(name);
  return sandbox.comms.recvString({ timeoutMs: hangMs });
}

test('a sandboxee that sends before sandboxMeHere()', async () => {
  const hasty = Executor.node(path.join(path.dirname(script), 'hasty.js')).setEnableSandboxBeforeExec(false);
  await using sandbox = new Sandbox2(hasty, policy);
  const words = /SETUP_ERROR.*it sent a message \(String\) before sandboxMeHere\(\); call that first/;
  assert.match(String(await sandbox.run()), words);
});

test('without a host', async () => {
  const { code, stderr } = await run(process.execPath, [script]);
  assert.is(code, 1);
  assert.match(
    stderr,
    /Error: this process has no sandwire host \(fd 1023 is not open\); .*Executor\.node\(\)/,
  );
});

for (const [how, beforeExec] of [
  ['after sandboxMeHere()', false],
  ['sandboxed before exec', true],
] as const) {
  test(`${how} none of its sockets is of the host’s network`, async () => {
    const stdio = { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' } as const;
    await using sandbox = await start(executor(beforeExec, { stdio }));
    assert.is(await ask(sandbox, 'timers'), 'waited');
    assertNoHostSocket(sandbox.pid, 1023);
  });

  test(`${how} it works on`, async () => {
    await using sandbox = await start(executor(beforeExec));
    for (const [name, expected] of [
      ['timers', /^waited$/],
      ['pool', /^32 true$/],
      ['files', /^text text a$/],
      ['garbage', /^collected$/],
      ['compiler', /^number$/],
      ['worker', /^from a worker$/],
      ['import', /^function$/],
      ['shadow', /ENOENT/],
      ['runtime', /EROFS|EACCES/],
    ] as const) {
      assert.match(await ask(sandbox, name), expected, name);
    }
    await sandbox.comms.sendString('async');
    assert.is(await sandbox.comms.recvUint32(), 7);
    await sandbox.comms.sendUint32(8);
    assert.is(await sandbox.comms.recvString(), '8');
    await sandbox.comms.sendString('value');
    const value = {
      text: 'ä',
      list: [1, 2.5, null],
      bytes: new Uint8Array([1, 2]),
      map: new Map([[1, 'a']]),
    };
    await sandbox.comms.sendValue(value);
    assert.equal(await sandbox.comms.recvValue(), value);
    assert.is(await sandbox.comms.recvString(), 'sent back');
  });
}

test('before sandboxMeHere() Node makes no ring of io_uring, which would be there after it', async () => {
  await using sandbox = await start(executor());
  await ask(sandbox, 'files');
  assert.not.match(readFileSync(`/proc/${sandbox.pid}/maps`, 'utf8'), /io_uring/);
  const open = readdirSync(`/proc/${sandbox.pid}/fd`).map((fd) =>
    readlinkSync(`/proc/${sandbox.pid}/fd/${fd}`),
  );
  assert.not.match(open.join(), /io_uring/);
});

test('addNodeRuntime() shows Node, its libraries and the package, and nothing else', async () => {
  const own = [path.dirname(script), '/scratch', process.execPath];
  // Symlinks show nothing that is not also shown at its own path.
  const places = policy.mounts
    .filter((mount) => mount.kind !== 'symlink' && !own.includes(mount.inside))
    .map((mount) => mount.inside);
  for (const inside of places) {
    assert.match(
      inside,
      /\.so(\.|$)|^\/etc\/ld\.so\.cache$|\/dist\/(sandboxee-node|protocol|native)$|sandwire\.node$|\/package\.json$|node_modules\/(msgpackr|protobufjs|long)$/,
    );
  }
  assert.ok(policy.mounts.every((mount) => !('writable' in mount) || !mount.writable));
  await using sandbox = await start(executor());
  // The checkout may be below any of these.
  const firstParts = policy.mounts.map((mount) => mount.inside.split('/')[1]);
  const unexpected = (await ask(sandbox, 'root'))
    .split(/[^\w.-]+/)
    .filter((name) => ['home', 'proc', 'sys', 'dev', 'root'].includes(name) && !firstParts.includes(name));
  assert.equal(unexpected, []);
});

test('Node itself cannot be changed, whoever owns it', async () => {
  const attempts = `for (const change of [() => fs.chmodSync('/proc/self/exe', 0o755), () => fs.utimesSync('/proc/self/exe', 1, 1)])
    try { change(); console.log('done'); } catch (error) { console.log(error.code); }
    console.log(process.execPath);`;
  const { uid } = statSync(process.execPath);
  const executor = new Executor(process.execPath, [process.execPath, '-e', attempts], isRoot ? { uid } : {});
  const shown = new PolicyBuilder().allowNode().addNodeRuntime().addDirectory('/proc').build();
  const { result, output } = await runToEnd(executor, shown);
  assert.is(String(result), 'OK - Exit code: 0');
  assert.is(output, `EROFS\nEROFS\n${process.execPath}\n`);
});

test('a project that has the package by a link', async () => {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'sandwire-test-')));
  try {
    chmodSync(folder, 0o755);
    mkdirSync(path.join(folder, 'node_modules'));
    symlinkSync(checkout.replace(/\/$/, ''), path.join(folder, 'node_modules/sandwire'));
    writeFileSync(
      path.join(folder, 'sandboxee.mjs'),
      "import { Comms } from 'sandwire/sandboxee';\nComms.default().sendStringSync('hello');\n",
    );
    writeFileSync(
      path.join(folder, 'host.mjs'),
      `import { Executor, PolicyBuilder, Sandbox2 } from 'sandwire';
      const script = ${JSON.stringify(path.join(folder, 'sandboxee.mjs'))};
      for (const show of [(it) => it.addFile(script), (it) => it.addDirectory(${JSON.stringify(folder)})]) {
        const policy = show(new PolicyBuilder().allowNode().addNodeRuntime()).build();
        const sandbox = new Sandbox2(Executor.node(script, [], { stdio: { stderr: 'inherit' } }), policy);
        if (await sandbox.runAsync()) console.log(await sandbox.comms.recvString().catch(String));
        console.log(String(await sandbox.awaitResult()));
      }`,
    );
    const host = await run(process.execPath, [path.join(folder, 'host.mjs')]);
    assert.is(host.stderr, '');
    assert.is(host.stdout, 'hello\nOK - Exit code: 0\n'.repeat(2));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('addNodeRuntime() with something that is not Node', () => {
  assert.throws(() => new PolicyBuilder().addNodeRuntime('/no/such/node'), /addNodeRuntime.*ENOENT/);
  assert.throws(() => new PolicyBuilder().addNodeRuntime('/tmp'), /addNodeRuntime.*directory/);
});

test('Executor.node refuses what is not a script', () => {
  assert.throws(() => Executor.node('script.js'), /absolute path/);
  assert.throws(() => Executor.node('/a\0'), /NUL/);
  assert.throws(() => Executor.node('/a', 'b' as unknown as string[]), TypeError);
  assert.throws(
    () => Executor.node('/a', [], { execArgs: [] } as NodeExecutorOptions),
    /no option "execArgs"/,
  );
});

test('fds by name', async () => {
  for (const beforeExec of [false, true]) {
    const host = executor(beforeExec);
    host.ipc.mapFd(openSync('/proc/version', constants.O_RDONLY), 'input');
    await using sandbox = await start(host);
    assert.match(await ask(sandbox, 'mapped'), /^Linux version/);
    assert.match(await ask(sandbox, 'mapped'), /SandboxingError: no fd is mapped under the name "input"/);
  }
});

test('a second sandboxMeHere() is refused with a message', async () => {
  await using sandbox = await start(executor());
  assert.match(await ask(sandbox, 'again'), /SandboxingError: /);
});

for (const [command, expected, execArgv] of [
  ['setgid', /^SYSCALL VIOLATION - Violating Syscall \[.*\] setgid/, []],
  ['listen', /^SYSCALL VIOLATION - Violating Syscall \[.*\] socket/, []],
  ['throw', /^OK - Exit code: 1$/, []],
  ['exit', /^OK - Exit code: 9$/, []],
  ['exitCode', /^OK - Exit code: 8$/, []],
  ['abort', /^Process terminated with a SIGNAL - Signal: SIGABRT/, []],
  ['segfault', /^Process terminated with a SIGNAL - Signal: SIGSEGV/, []],
  ['heap', /^Process terminated with a SIGNAL - Signal: SIGABRT/, ['--max-old-space-size=32']],
] as const) {
  test(`its end by ${command} is the result`, async () => {
    const host = executor(false, { execArgv });
    const stderr = readAll(host.ipc.receiveFd(2));
    await using sandbox = await start(host);
    await sandbox.comms.sendString(command);
    assert.match(String(await sandbox.awaitResult({ timeoutMs: hangMs })), expected);
    const text = await stderr;
    if (command === 'throw') assert.match(text, /Error: thrown for the test/);
    if (command === 'heap') assert.match(text, /heap out of memory/);
  });
}

test('memory outside of the heap ends at RLIMIT_DATA', async () => {
  const host = executor();
  host.limits.setRlimitData(1 << 30);
  await using sandbox = await start(host);
  await sandbox.comms.sendString('external');
  // V8 either reports that there is no memory for an array buffer, which the script passes on, or gives up.
  const outcome = await Promise.race([
    sandbox.comms.recvString().catch(() => 'closed'),
    sandbox.awaitResult().then(String),
  ]);
  assert.match(
    outcome,
    /RangeError: (Array buffer allocation failed|Failed to allocate memory)|closed|SIGNAL/,
  );
});

test('started without a handshake it gets an error that says why it cannot sandbox itself', async () => {
  const alone = path.join(checkout, 'dist/test/sandboxee-node/fixtures/alone.js');
  const shown = new PolicyBuilder().allowNode().addNodeRuntime().addFile(alone).build();
  const { result, output } = await runToEnd(Executor.node(alone), shown);
  assert.is(
    output,
    'SandboxingError: this process was not started for sandboxMeHere() by a sandwire host (setEnableSandboxBeforeExec(false))\n',
  );
  assert.is(result.exitCode, 0);
});

test('setRawMode() fails, or works with the token, and Node’s way out is not disturbed', async () => {
  for (const [tokens, outcome] of [
    [[], 'EPERM'],
    [['allowTerminalSettings'], 'set'],
  ] as const) {
    const output = await hostOnTerminal('node', '', tokens);
    assert.match(output, new RegExp(`^raw mode: ${outcome}$`, 'm'));
    assert.match(output, /^the host goes on: OK - Exit code: 0$/m);
    assert.ok(output.includes(`\n${untouched}\n`), output);
  }
});

test('fs.watch() fails, unless the policy allows inotify', async () => {
  for (const [policyOf, outcome] of [
    [(builder: PolicyBuilder) => builder, /ENOSYS/],
    [(builder: PolicyBuilder) => builder.allowInotify(), /^watching$/],
  ] as const) {
    const watching = policyOf(new PolicyBuilder())
      .allowNode()
      .addNodeRuntime()
      .addDirectory(path.dirname(script))
      .build();
    await using sandbox = new Sandbox2(executor(), watching);
    assert.ok(await sandbox.runAsync());
    await sandbox.comms.recvBool();
    assert.match(await ask(sandbox, 'watch'), outcome);
  }
});

test.run();
