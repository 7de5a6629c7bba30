// Landlock: behind the mounts, and in their place.
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import * as os from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  Comms,
  type Executor,
  listen,
  type Policy,
  type PolicyBuilder,
  probe,
  type Result,
  Sandbox2,
} from '../../host/index.js';
import { countFds, fdsBecome } from '../support/fds.js';
import { isRoot, lenientPolicy, runToEnd, sandboxee, sandboxeePath } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('landlock');
const { EACCES, ENOSYS, EPERM, EROFS, ESRCH } = os.constants.errno;
/** Of open(2), the same on x86-64 and aarch64; Node does not name it. */
const O_PATH = 0o10000000;
const abi = (await probe()).capabilities.find((each) => each.name === 'landlock')?.value ?? 0;

/** A directory of the host's with a file in it, gone afterwards. */
async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sandwire-test-'));
  try {
    chmodSync(folder, 0o777);
    writeFileSync(path.join(folder, 'secret'), 'x');
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function reachOut(args: readonly string[], policy: Policy): Promise<number | undefined> {
  const { result } = await runToEnd(sandboxee('reach_out', args), policy);
  assert.is(result.finalStatus, 'OK', String(result));
  return result.exitCode;
}

async function rejects(attempt: Promise<unknown>, expected: RegExp): Promise<void> {
  await attempt.then(
    () => assert.unreachable(`not refused, as it should be: ${expected}`),
    (error) => assert.match(String(error), expected),
  );
}

/** By a channel that is not the sandbox's own, and lets anything through. */
async function sendFolder(folder: string, policy: Policy): Promise<Result> {
  const executor = sandboxee('reach_out', ['received', '7']);
  const comms = new Comms(executor.ipc.receiveFd(7));
  await using sandbox = new Sandbox2(executor, policy);
  await sandbox.runAsync();
  const fd = openSync(folder, 'r');
  try {
    await comms.sendFd(fd);
    return await sandbox.awaitResult();
  } finally {
    closeSync(fd);
    comms.close();
  }
}

test('second fence: a directory outside of the mounts cannot be opened into, unless that is waived', async () => {
  if (abi < 2) return skip('second fence', `Landlock’s ABI is ${abi} here; 2 is needed`);
  await withFolder(async (folder) => {
    assert.is((await sendFolder(folder, lenientPolicy())).exitCode, EACCES);
    const waived = lenientPolicy((builder) => builder.allow('allowPathsOutsideMounts'));
    assert.is((await sendFolder(folder, waived)).exitCode, 0);
  });
});

test('directories are refused, since Landlock does not govern all that can be done by them', async () => {
  await withFolder(async (folder) => {
    const maps: Readonly<Record<string, (executor: Executor, fd: number) => void>> = {
      'to 7': ({ ipc }, fd) => ipc.mapFd(fd, 7),
      'as "folder"': ({ ipc }, fd) => ipc.mapFd(fd, 'folder'),
      'to 8': ({ ipc }, fd) => {
        ipc.mapDupedFd(fd, 8);
        closeSync(fd);
      },
    };
    const before = countFds();
    for (const policy of [lenientPolicy(), lenientPolicy((builder) => builder.allow('allowMountSyscalls'))]) {
      for (const [where, map] of Object.entries(maps)) {
        for (const flags of [constants.O_RDONLY, O_PATH]) {
          const executor = sandboxee('exit_with', ['0']);
          map(executor, openSync(folder, flags));
          const result = await new Sandbox2(executor, policy).run();
          assert.is(result.finalStatus, 'SETUP_ERROR');
          assert.match(
            String(result),
            new RegExp(
              `FAILED_IPC: the fd mapped ${where}: it is a directory.*addDirectory\\(\\).*allowPathsOutside`,
            ),
          );
        }
      }
    }
    const executor = sandboxee('exit_with', ['0'], { stdio: { stdin: { file: folder } } });
    assert.match(String(await new Sandbox2(executor, lenientPolicy()).run()), /stdio\.stdin: .*EISDIR/);
    await fdsBecome(before);
  });
});

test('directories are refused by the comms of a sandbox, which goes on', async () => {
  await withFolder(async (folder) => {
    const executor = sandboxee('echo');
    await using sandbox = new Sandbox2(executor, lenientPolicy());
    const fd = openSync(folder, 'r');
    const link = openSync('/proc/self/cwd', O_PATH | constants.O_DIRECTORY);
    for (const directory of [fd, link]) {
      const expected = /sendFd .*fd \d+ cannot be sent: it is a directory.*addDirectory\(\)/;
      await rejects(sandbox.comms.sendFd(directory), expected);
      assert.throws(() => sandbox.comms.sendFdSync(directory), expected);
      closeSync(directory);
    }
    assert.throws(() => sandbox.comms.sendFdSync(fd), /EBADF/);
    assert.ok(sandbox.comms.isConnected);
  });
});

test('directories can be given where they lead nowhere new, or the policy says so', async () => {
  await withFolder(async (folder) => {
    const waived = lenientPolicy((builder) => builder.allow('allowPathsOutsideMounts'));
    for (const policy of abi < 6 ? [waived] : [waived, only()]) {
      const executor = sandboxee('reach_out', ['mapped', '7']);
      executor.ipc.mapFd(openSync(folder, 'r'), 7);
      assert.is((await runToEnd(executor, policy)).result.exitCode, 0);
      await using sandbox = new Sandbox2(sandboxee('reach_out', ['received']), policy);
      await sandbox.runAsync();
      const fd = openSync(folder, 'r');
      await sandbox.comms.sendFd(fd);
      closeSync(fd);
      assert.is((await sandbox.awaitResult()).exitCode, policy === waived ? 0 : EACCES);
    }
  });
});

test('second fence: what the mounts allow works as without it', async () => {
  await withFolder(async (folder) => {
    copyFileSync(sandboxeePath('exit_with'), path.join(folder, 'program'));
    chmodSync(path.join(folder, 'program'), 0o755);
    chmodSync(path.join(folder, 'secret'), 0o666);
    const policy = lenientPolicy((builder) =>
      builder
        .addDirectoryAt(folder, '/work', false)
        .addDirectoryAt(folder, '/shown')
        .addTmpfs('/tmp', 1 << 20)
        .addFile('/dev/null')
        .setRootWritable(),
    );
    for (const place of ['/work', '/tmp', '/'])
      assert.is(await reachOut(['change', place], policy), 0, place);
    assert.is(await reachOut(['list', '/'], policy), 0);
    assert.is(await reachOut(['write', '/dev/null'], policy), 0);
    assert.is(await reachOut(['run', '/shown/program'], policy), 0);
    assert.is(await reachOut(['run', '/work/program'], policy), EACCES);
    assert.is(await reachOut(['write', '/shown/secret'], policy), EROFS);
  });
});

const only = (extend: (builder: PolicyBuilder) => PolicyBuilder = (builder) => builder) =>
  lenientPolicy((builder) => extend(builder.enableLandlock()));

function cannotBeOnly(name: string): boolean {
  if (abi < 6) skip(name, `Landlock’s ABI is ${abi} here; 6 is needed`);
  return abi < 6;
}

test('only fence: what is listed, and nothing else of the host', async () => {
  if (cannotBeOnly('only fence')) return;
  await withFolder(async (folder) => {
    const secret = path.join(folder, 'secret');
    assert.is(await reachOut(['list', '/'], only()), EACCES);
    assert.is(await reachOut(['write', secret], only()), EACCES);
    const { output } = await runToEnd(
      sandboxee('inspect', ['/etc/hostname', '/etc/passwd', secret]),
      only((builder) => builder.addFile('/etc/passwd')),
    );
    assert.match(output, /^open \/etc\/passwd=ok$/m);
    assert.match(output, /^open \/etc\/hostname=(Permission denied|No such file or directory)$/m);
    assert.match(output, new RegExp(`^open ${secret}=Permission denied$`, 'm'));
    assert.match(output, /^pid=2 ppid=0 sid=2 pgid=2$/m);
    assert.match(output, /^interfaces=lo $/m);
    assert.match(output, /^capabilities=0 0 0$/m);
  });
});

test('only fence: writable, read-only, truncate and rename', async () => {
  if (cannotBeOnly('only fence: writable')) return;
  await withFolder(async (folder) => {
    const secret = path.join(folder, 'secret');
    chmodSync(secret, 0o666);
    const readOnly = only((builder) => builder.addDirectory(folder));
    const writable = only((builder) => builder.addDirectory(folder, false));
    assert.is(await reachOut(['list', folder], readOnly), 0);
    assert.is(await reachOut(['write', secret], readOnly), EACCES);
    assert.is(await reachOut(['change', folder], readOnly), EACCES);
    assert.is(await reachOut(['write', secret], writable), 0);
    assert.is(await reachOut(['change', folder], writable), 0);
    copyFileSync(sandboxeePath('exit_with'), path.join(folder, 'program'));
    chmodSync(path.join(folder, 'program'), 0o755);
    assert.is(await reachOut(['run', path.join(folder, 'program')], readOnly), 0);
    assert.is(await reachOut(['run', path.join(folder, 'program')], writable), EACCES);
  });
});

test('only fence: what Landlock does not govern is refused by the policy', async () => {
  if (cannotBeOnly('only fence: sockets and attributes')) return;
  await withFolder(async (folder) => {
    const secret = path.join(folder, 'secret');
    const place = path.join(folder, 'socket');
    // Whoever is inside could do all of that, but for the policy: it owns the file, and the socket is everybody's.
    if (isRoot) chownSync(secret, 65534, 65534);
    await using listener = listen(place);
    chmodSync(place, 0o777);
    const { mode, mtimeMs } = statSync(secret);
    for (const policy of [only(), only((builder) => builder.addDirectory(folder, false))]) {
      assert.is(await reachOut(['attributes', secret], policy), EPERM);
      assert.is(await reachOut(['connect', place], policy), EACCES);
      assert.is(await reachOut(['pair', place], policy), EACCES);
      assert.is(await reachOut(['watch', folder], policy), EACCES);
      assert.is(await reachOut(['ioctl', secret], policy), ENOSYS, 'the last of its ways is openat2');
    }
    assert.equal([statSync(secret).mode, statSync(secret).mtimeMs], [mode, mtimeMs]);
    const waived = only((builder) => builder.allow('allowPathsOutsideMounts'));
    assert.is(await reachOut(['connect', place], waived), 0);
    const watching = only((builder) => builder.allow('allowPathsOutsideMounts').allowInotify());
    assert.is(await reachOut(['watch', folder], watching), 0);
    assert.is(await reachOut(['ioctl', secret], waived), 0);
    const [flags, named] = await Promise.all([
      reachOut(
        ['flags', secret],
        only((builder) => builder.addDirectory(folder)),
      ),
      reachOut(
        ['flags', secret],
        only((builder) => builder.addDirectory(folder).allow('allowPathsOutsideMounts')),
      ),
    ]);
    if (named === 0) assert.is(flags, EPERM);
    else skip('flags of files under Landlock alone', `the file system of ${folder} has none: errno ${named}`);
    assert.is(await reachOut(['attributes', secret], waived), 0);
    (await listener.accept()).close();
  });
});

test('only fence: that a path is there is visible, as docs/security.md says, and a device cannot be had', async () => {
  if (cannotBeOnly('only fence: what is visible')) return;
  await withFolder(async (folder) => {
    const link = path.join(folder, 'link');
    symlinkSync('somewhere', link);
    assert.is(await reachOut(['stat', path.join(folder, 'secret')], only()), 0);
    assert.is(await reachOut(['readlink', link], only()), 0);
    assert.is(await reachOut(['read', path.join(folder, 'secret')], only()), EACCES);
    assert.is(await reachOut(['write', '/dev/ptmx'], only()), EACCES);
    assert.is(await reachOut(['ioctl', '/dev/ptmx'], only()), ENOSYS, 'the last of its ways is openat2');
  });
});

test('only fence: of other processes it is visible that they are there, and nothing else', async () => {
  if (cannotBeOnly('only fence: other processes')) return;
  await using other = new Sandbox2(sandboxee('wait_forever'), only());
  assert.ok(await other.runAsync());
  // The host's own, and a sandboxee beside it, which has the kernel uid of those who look.
  for (const pid of [process.pid, other.pid]) {
    assert.is(await reachOut(['stat', `/proc/${pid}`], only()), 0);
    assert.is(await reachOut(['kill', String(pid)], only()), ESRCH);
    assert.is(await reachOut(['list', `/proc/${pid}`], only()), EACCES);
    for (const file of ['status', 'cmdline', 'environ', 'mem', 'maps']) {
      assert.is(await reachOut(['read', `/proc/${pid}/${file}`], only()), EACCES, file);
    }
    for (const file of ['exe', 'cwd', 'root', 'fd/0']) {
      assert.is(await reachOut(['readlink', `/proc/${pid}/${file}`], only()), EACCES, file);
    }
    assert.is(await reachOut(['list', `/proc/${pid}/root/`], only()), EACCES);
  }
});

test('only fence: the network is a loopback device, or with a token the host’s', async () => {
  if (cannotBeOnly('only fence: network')) return;
  const interfaces = async (policy: Policy) =>
    (await runToEnd(sandboxee('inspect'), policy)).output
      .match(/^interfaces=(.*)$/m)?.[1]
      ?.trim()
      .split(' ');
  assert.equal(await interfaces(only()), ['lo']);
  const open = await interfaces(only((builder) => builder.allowUnrestrictedNetworking()));
  const host = readdirSync('/sys/class/net').filter((name) =>
    statSync(`/sys/class/net/${name}`).isDirectory(),
  );
  assert.equal(open?.sort(), host.sort());
});

test('only fence: no signal gets out, and what needs mounts is refused in words', async () => {
  if (cannotBeOnly('only fence: signals')) return;
  const killed = await reachOut(['kill', '1'], only());
  assert.ok(killed === EPERM, `kill(1, 0) in the sandbox: errno ${killed}`);
  assert.is(await reachOut(['kill', String(process.pid)], only()), ESRCH);
  for (const place of ['/proc', `/proc/${process.pid}`, `/proc/${process.pid}/task`]) {
    assert.is(await reachOut(['list', place], only()), EACCES, place);
  }
  for (const extend of [
    (builder: PolicyBuilder) => builder.addTmpfs('/tmp', 1 << 20),
    (builder: PolicyBuilder) => builder.addFileAt('/etc/passwd', '/etc/other'),
    (builder: PolicyBuilder) => builder.addDirectory('/proc'),
  ]) {
    const { result } = await runToEnd(sandboxee('exit_with', ['0']), only(extend));
    assert.is(result.finalStatus, 'SETUP_ERROR');
    assert.match(
      String(result),
      /putting Landlock rules in force: .*: EXDEV \(with enableLandlock\(\) there are no mounts/,
    );
  }
});

test('both modes alternate on one supervisor', async () => {
  if (cannotBeOnly('both modes alternate')) return;
  for (let round = 0; round < 6; round++) {
    const policy = round % 2 === 0 ? only() : lenientPolicy();
    assert.is(await reachOut(['list', '/'], policy), round % 2 === 0 ? EACCES : 0);
  }
});

test('root’s own files stay closed', async () => {
  if (cannotBeOnly('root’s own files') || !isRoot)
    return skip('root’s own files stay closed', 'needs a root host');
  const { output } = await runToEnd(
    sandboxee('inspect', ['/etc/shadow']),
    only((builder) => builder.addDirectory('/etc')),
  );
  assert.match(output, /^open \/etc\/shadow=Permission denied$/m);
});

test.run();
