// The sockets that a sandboxee is given: of no network in which there is anything, and what can be done with them.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { connect, Executor, listen, type Policy, PolicyBuilder, probe, Sandbox2 } from '../../host/index.js';
import { addon } from '../../native/addon.js';
import { run } from '../support/command.js';
import {
  assertNoHostSocket,
  assertNoHostSocketUpTo,
  type FoundSocket,
  socketsOf,
} from '../support/networks.js';
import {
  checkout,
  eventually,
  lenientPolicy,
  readAll,
  runToEnd,
  sandboxee,
  sandboxeePath,
  startForkServer,
  tellBehaviour,
} from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { hangMs } from '../support/time.js';

const test = suite('sockets of sandboxees');
const { EACCES, EADDRINUSE, ECONNREFUSED, EINVAL, EISCONN, ENODEV, ENOENT, ENOPROTOOPT, EPERM } =
  constants.errno;
const landlockAbi = (await probe()).capabilities.find(({ name }) => name === 'landlock')?.value ?? 0;
const server = await startForkServer({ stdio: { stderr: 'inherit' } });
test.after(() => server[Symbol.asyncDispose]());

type Extend = (builder: PolicyBuilder) => PolicyBuilder;
const withoutSockets = (extend: Extend = (builder) => builder): Policy =>
  lenientPolicy((builder) => extend(builder.blockSyscallsWithErrno(['socket', 'socketpair'], 'EACCES')));

const name = (what: string) => `sandwire-test-${process.pid}-${what}`;
const interfaces = readdirSync('/sys/class/net').filter(
  (entry) => existsSync(`/sys/class/net/${entry}/address`) && entry !== 'lo',
);

/** What try_socket has printed, by attempt; all that was found, if it was tried on several interfaces. */
function foundIn(output: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const line of output.split('\n').filter((each) => each !== '')) {
    const [attempt = '', ...words] = line.split(' ');
    const before = found.get(attempt) ?? [];
    found.set(attempt, [...before, ...words]);
  }
  return found;
}

/** The interfaces of a network in which nobody has put any. */
async function namesInFreshNetwork(): Promise<readonly string[]> {
  const { output } = await runToEnd(sandboxee('try_socket', ['own', name('here'), name('there')]));
  return foundIn(output).get('SIOCGIFNAME') ?? [];
}

const fresh = await namesInFreshNetwork();
/** Those that are not in every network. */
const ofHost = interfaces.filter((entry) => !fresh.includes(entry));

const makers: Readonly<Record<string, (args: readonly string[]) => Executor>> = {
  'before exec': (args) => sandboxee('try_socket', args),
  sandboxMeHere: () => sandboxee('behave', ['me-here']).setEnableSandboxBeforeExec(false),
  forked: () => new Executor(server),
};

/** What try_socket prints in a sandbox. */
async function tryInSandbox(way: string, policy: Policy, args: readonly string[]): Promise<string> {
  const executor = makers[way]?.(args) ?? sandboxee('try_socket', args);
  const output = readAll(executor.ipc.receiveFd(1));
  await using sandbox = new Sandbox2(executor, policy);
  assert.ok(await sandbox.runAsync(), String(sandbox.isTerminated && (await sandbox.awaitResult())));
  if (way !== 'before exec') await tellBehaviour(sandbox, 'try_socket', args);
  const result = await sandbox.awaitResult({ timeoutMs: hangMs });
  assert.is(result.exitCode, 0, String(result));
  return output;
}

test('a socket that is the host’s own tells all of it, and takes names', () => {
  const [own, other] = addon().socketPair();
  const args = ['3', name('own'), name('there'), ...interfaces];
  const { stdout } = spawnSync(sandboxeePath('try_socket'), args, {
    stdio: ['ignore', 'pipe', 'inherit', other],
    encoding: 'utf8',
  });
  for (const fd of [own, other]) addon().closeFd(fd);
  const found = foundIn(stdout);
  assert.equal(found.get('bind'), ['0']);
  for (const entry of interfaces) assert.ok(found.get('SIOCGIFNAME')?.includes(entry), `${entry}: ${stdout}`);
  if (ofHost.length === 0) skip('the interfaces of the host', 'it has none but those of every network');
  else assert.ok(found.get('SIOCGIFHWADDR')?.includes('0'), stdout);
});

const toEachOfHost = (errno: number) => ofHost.map(() => String(errno));

/** What each attempt comes to, where the policy lets sockets be made, and where it does not. */
const expected: Readonly<Record<string, readonly [readonly string[], readonly string[]]>> = {
  SIOCGIFCONF: [[], [String(EPERM)]],
  SIOCGIFNAME: [fresh, [String(EPERM)]],
  SIOCGSKNS: [[String(EPERM)], [String(EPERM)]],
  SIOCGIFHWADDR: [toEachOfHost(ENODEV), toEachOfHost(EPERM)],
  SIOCGIFINDEX: [toEachOfHost(ENODEV), toEachOfHost(EPERM)],
  SIOCGIFFLAGS: [toEachOfHost(ENODEV), toEachOfHost(EPERM)],
  SIOCETHTOOL: [toEachOfHost(ENODEV), toEachOfHost(EPERM)],
  SO_BINDTODEVICE: [toEachOfHost(ENODEV), toEachOfHost(ENOPROTOOPT)],
  SO_PEERPIDFD: [[String(ENOPROTOOPT)], [String(ENOPROTOOPT)]],
  SO_PEERSEC: [[String(ENOPROTOOPT)], [String(ENOPROTOOPT)]],
  SO_COOKIE: [[String(ENOPROTOOPT)], [String(ENOPROTOOPT)]],
  SO_NETNS_COOKIE: [[String(ENOPROTOOPT)], [String(ENOPROTOOPT)]],
  SO_PASSPIDFD: [[String(ENOPROTOOPT)], [String(ENOPROTOOPT)]],
  SO_PASSSEC: [[String(ENOPROTOOPT)], [String(ENOPROTOOPT)]],
  SO_PRIORITY: [['0'], [String(ENOPROTOOPT)]],
  SO_ATTACH_FILTER: [['0'], [String(ENOPROTOOPT)]],
  SO_SNDBUF: [['0'], ['0']],
  SO_PEERCRED: [['0'], ['0']],
  bind: [[String(EINVAL)], [String(EACCES)]],
  autobind: [['0'], [String(EACCES)]], // it has a name, which is what was asked for
  listen: [[String(EINVAL)], [String(EACCES)]],
  connect: [[String(ECONNREFUSED)], [String(EACCES)]],
  'connect-nowhere': [[String(ECONNREFUSED)], [String(EACCES)]],
  disconnect: [[String(EINVAL)], [String(EACCES)]],
};

const policies: Readonly<Record<string, { make: () => Policy; makesSockets: boolean; landlock?: true }>> = {
  'all but nothing refused': { make: () => lenientPolicy(), makesSockets: true },
  'sockets refused': { make: () => withoutSockets(), makesSockets: false },
  'the host’s network by name': {
    make: () => lenientPolicy((builder) => builder.allow('allowUnrestrictedNetworking')),
    makesSockets: true,
  },
  Landlock: {
    make: () => lenientPolicy((builder) => builder.enableLandlock()),
    makesSockets: true,
    landlock: true,
  },
  'Landlock, sockets refused': {
    make: () => withoutSockets((builder) => builder.enableLandlock()),
    makesSockets: false,
    landlock: true,
  },
};

for (const way of Object.keys(makers)) {
  for (const [what, { make, makesSockets, landlock = false }] of Object.entries(policies)) {
    const title = `${way}, ${what}: its sockets tell nothing, and reach nobody`;
    test(title, async () => {
      if (landlock && landlockAbi < 6)
        return skip(title, `Landlock’s ABI is ${landlockAbi} here; 6 is needed`);
      const policy = make();
      assert.is(policy.makesSockets, makesSockets);
      await using listener = listen(`@${name('there')}`);
      for (const fd of [1, 1023]) {
        const args = [String(fd), name('here'), name('there'), ...ofHost];
        const found = foundIn(await tryInSandbox(way, policy, args));
        for (const [attempt, outcomes] of Object.entries(expected)) {
          const outcome = outcomes[makesSockets ? 0 : 1];
          assert.equal(found.get(attempt) ?? [], outcome, `fd ${fd}: ${attempt}`);
        }
        listen(`@${name('here')}`).close(); // or EADDRINUSE
      }
      assert.is(await listener.accept({ timeoutMs: 1 }).catch((error) => error.code), 'TIMEOUT');
    });
  }
}

/** Whether it has sockets on these numbers. False of a copy of the supervisor, which only root may look into. */
function has(pid: number, ...fds: readonly number[]): boolean {
  try {
    const found = socketsOf(pid).map(({ fd }) => fd);
    return fds.every((fd) => found.includes(fd));
  } catch {
    return false;
  }
}

test('two sandboxees do not meet by the sockets that they have', async () => {
  await using first = new Sandbox2(sandboxee('wait_forever'), lenientPolicy());
  assert.ok(await first.runAsync());
  await eventually('it can be looked into', () => has(first.pid, 1023));
  const names = socketsOf(first.pid).map((socket) => socket.name);
  assert.is(names.length, 1);
  assert.match(names[0] ?? '', /^sandwire-[0-9a-f]{16}$/);
  for (const fd of ['1', '1023']) {
    const args = ['names', fd, ...names, name('meeting')];
    for (let round = 0; round < 2; round++) {
      const found = foundIn(await tryInSandbox('before exec', lenientPolicy(), args));
      assert.equal(found.get('bind'), [String(EINVAL), String(EINVAL)]);
      assert.equal(found.get('connect'), [String(ECONNREFUSED), String(ECONNREFUSED)]);
    }
  }
});

for (const kind of ['mounts', 'Landlock'] as const) {
  const title = `${kind}: comms reaches no path either`;
  test(title, async () => {
    if (kind === 'Landlock' && landlockAbi < 6)
      return skip(title, `Landlock’s ABI is ${landlockAbi} here; 6 is needed`);
    const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
    try {
      chmodSync(folder, 0o777);
      await using listener = listen(path.join(folder, 'listened'));
      chmodSync(listener.address, 0o777);
      const free = path.join(folder, 'free');
      const showing: Extend = (builder) => {
        const shown = builder.addDirectory(folder, false);
        return kind === 'Landlock' ? shown.enableLandlock() : shown;
      };
      for (const [policy, outcomes] of [
        [lenientPolicy(showing), [EADDRINUSE, EISCONN, EINVAL, ENOENT]],
        [withoutSockets(showing), [EACCES, EACCES, EACCES, EACCES]],
      ] as const) {
        const found = foundIn(
          await tryInSandbox('before exec', policy, ['names', '1023', listener.address, free]),
        );
        assert.equal(
          [
            found.get('bind')?.[0],
            found.get('connect')?.[0],
            found.get('bind')?.[1],
            found.get('connect')?.[1],
          ],
          outcomes.map(String),
        );
        assert.equal(readdirSync(folder), ['listened']);
      }
      assert.is(await listener.accept({ timeoutMs: 1 }).catch((error) => error.code), 'TIMEOUT');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

for (const way of Object.keys(makers)) {
  test(`${way}: from outside, none of its sockets is of the host's network`, async () => {
    for (const policy of [lenientPolicy(), withoutSockets()]) {
      const executor = makers[way]?.([]) ?? sandboxee('wait_forever');
      const used =
        way === 'before exec' ? sandboxee('wait_forever', [], { stdio: { stdin: 'pipe' } }) : executor;
      const own = [used.ipc.receiveFd(5), used.ipc.receiveFd('named')];
      let before: readonly FoundSocket[] | undefined;
      await using sandbox = new Sandbox2(used, policy, {
        onStarted: async (pid) => {
          if (way === 'before exec') return;
          // Before its filter it has its rendezvous socket too; and for a moment, above all of these, the set-up socket,
          // which its fork server made.
          await eventually('it waits for its filter', () => has(pid, 1021, 1023));
          before = assertNoHostSocketUpTo(1023, pid, 1021, 1023);
        },
      });
      assert.ok(await sandbox.runAsync(), String(sandbox.isTerminated && (await sandbox.awaitResult())));
      if (way !== 'before exec') {
        assert.ok(before !== undefined);
        await tellBehaviour(sandbox, 'wait_forever');
      }
      await eventually('its program has begun', () => has(sandbox.pid, 5, 1023));
      const sockets = assertNoHostSocket(sandbox.pid, 5, 1023).map(({ fd }) => fd);
      assert.not.ok(sockets.includes(1021), 'the rendezvous socket is closed');
      assert.is(sockets.length, way === 'before exec' ? 4 : 3, sockets.join());
      for (const fd of own) addon().closeFd(fd);
    }
  });
}

test('a connection that the host makes to a sandboxee’s path tells it nothing either', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  try {
    chmodSync(folder, 0o777);
    const policy = lenientPolicy((builder) => builder.addDirectoryAt(folder, '/meet', false));
    const executor = sandboxee('try_socket', ['accept', '/meet/socket', ...ofHost]);
    const output = readAll(executor.ipc.receiveFd(1));
    await using sandbox = new Sandbox2(executor, policy);
    assert.ok(await sandbox.runAsync());
    const address = path.join(folder, 'socket');
    let error: unknown = 'never tried';
    for (const deadline = performance.now() + hangMs; error !== undefined && performance.now() < deadline; ) {
      error = await connect(address).then(
        (comms) => comms.close(),
        (refusal) => refusal,
      );
    }
    assert.is(error, undefined, String(error));
    assert.is((await sandbox.awaitResult({ timeoutMs: hangMs })).exitCode, 0);
    const found = foundIn(await output);
    assert.equal(found.get('SIOCGIFNAME'), fresh);
    assert.equal(found.get('SIOCGIFCONF'), []);
    assert.equal(found.get('SIOCGIFHWADDR') ?? [], toEachOfHost(ENODEV));
    assert.equal(found.get('bind'), [String(EINVAL)]); // an accepted one has its listener's name
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the process goes on as it was: its children, signals, dumpability and exit', async () => {
  const script = `
    const { addon } = await import(${JSON.stringify(`${checkout}dist/native/addon.js`)});
    const { spawnSync, spawn } = await import('node:child_process');
    const { readFileSync } = await import('node:fs');
    const state = () => /^(SigBlk|SigIgn|Uid|Gid|CapEff|NSpid):.*$/gm;
    const before = readFileSync('/proc/self/status', 'utf8').match(state()).join();
    const child = spawn(process.execPath, ['-e', 'process.exit(7)']);
    const ended = new Promise((resolve) => child.on('exit', resolve));
    for (let i = 0; i < 500; i++) for (const fd of addon().socketPairForSandboxee()) addon().closeFd(fd);
    const after = readFileSync('/proc/self/status', 'utf8').match(state()).join();
    const code = await ended;
    const zombies = spawnSync('sh', ['-c', 'cat /proc/[0-9]*/stat 2>/dev/null | grep -c ") Z ' + process.pid + ' "']);
    console.log(before === after, code, String(zombies.stdout).trim(), readFileSync('/proc/self/maps').length > 0);`;
  const { stdout, stderr, code } = await run(process.execPath, ['--input-type=module', '-e', script]);
  assert.is(stdout, 'true 7 0 true\n', stderr);
  assert.is(code, 0);
});

test('where no namespaces can be made nothing is started, and what is called before works', async () => {
  const script = `
    const { Executor, PolicyBuilder, Sandbox2 } = await import(${JSON.stringify(`${checkout}dist/host/index.js`)});
    const executor = new Executor(${JSON.stringify(sandboxeePath('exit_with'))});
    await executor.ipc.comms.sendUint32(1);
    executor.ipc.receiveFd(1);
    const sandbox = new Sandbox2(executor, new PolicyBuilder().defaultAction('allowAllSyscalls').build());
    console.log(String(await sandbox.run()));`;
  const inner = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"';
  const around = ['--user', '--map-root-user', 'sh', '-c', inner, 'sh', process.execPath];
  if ((await run('unshare', ['--user', '--map-root-user', 'true'])).code !== 0) {
    return skip('where no namespaces can be made', 'unshare(1) is not there or makes no user namespace');
  }
  const { stdout, stderr } = await run('unshare', [...around, '--input-type=module', '-e', script]);
  assert.match(
    stdout,
    /^SETUP_ERROR - Code: FAILED_NAMESPACES: making new namespaces: a network for the sandboxee’s sockets: ENOSPC \(.*max_user_namespaces is 0/,
    stderr,
  );
});

test('what a policy says of sockets that are mapped', () => {
  const warning = /^Warning: a socket that is mapped or inherited stays one of.*\nAllowed on it: (.*)\.$/m;
  const cases: readonly [Extend, string | undefined][] = [
    [(builder) => builder.allowStaticStartup(), undefined],
    [(builder) => builder.allowSyscalls(['connect', 'bind']), undefined],
    [(builder) => builder.allow('allowSocketControl').allowSyscalls(['connect', 'bind']), 'bind, connect'],
    [(builder) => builder.allowSyscalls(['socket', 'connect']), 'connect'],
    [(builder) => builder.defaultAction('allowAllSyscalls'), 'bind, connect, listen, ioctl(SIOCGIFCONF)'],
  ];
  for (const [extend, calls] of cases) {
    assert.is(warning.exec(extend(new PolicyBuilder()).build().explain())?.[1], calls, String(extend));
  }
});

test.run();
