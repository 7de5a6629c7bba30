// The three ways to start a sandboxee, each with the same table of behaviours: what holds for one holds for all.
import {
  chmodSync,
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Comms, Executor, type Policy, probe, type Result, Sandbox2 } from '../../host/index.js';
import { syscallNumber } from '../../host/policy/syscalls.js';
import { childrenOf, commOf, cpuTicksOf, supervisorPid } from '../support/processes.js';
import {
  eventually,
  isRoot,
  lenientPolicy,
  readAll,
  sandboxee,
  sandboxeePath,
  startForkServer,
  tellBehaviour,
} from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { hangMs } from '../support/time.js';

const test = suite('three executors');
const { ENOMEM, EMFILE, EAGAIN, ENOSPC, EACCES, EROFS } = constants.errno;
const found = (await probe()).capabilities;
const server = await startForkServer({ stdio: { stderr: 'inherit' } });
test.after(() => server[Symbol.asyncDispose]());

interface Started {
  readonly sandbox: Sandbox2;
  readonly output: Promise<string>;
}

interface Options {
  readonly policy?: Policy;
  readonly limit?: (executor: Executor) => unknown;
  readonly uid?: number;
  readonly gid?: number;
}

const makers: Readonly<Record<string, (line: readonly string[], ids: Options) => Executor>> = {
  'before exec': ([name = '', ...args], { uid, gid }) =>
    sandboxee(name, args, { ...(uid !== undefined && { uid }), ...(gid !== undefined && { gid }) }),
  sandboxMeHere: (_, { uid, gid }) =>
    sandboxee('behave', ['me-here'], {
      ...(uid !== undefined && { uid }),
      ...(gid !== undefined && { gid }),
    }).setEnableSandboxBeforeExec(false),
  forked: (_, { uid, gid }) =>
    new Executor(server, { ...(uid !== undefined && { uid }), ...(gid !== undefined && { gid }) }),
};

/** Children of the supervisor that are, or were, sandboxees. */
const ofSandboxees = () =>
  childrenOf(supervisorPid()).filter(
    (pid) => pid !== server.pid && ['leave_behind', 'behave'].includes(commOf(pid)),
  );

/** Waits until a sandboxee has used some CPU time. */
const hasWorked = (sandbox: Sandbox2) =>
  eventually('it has used CPU time', () => cpuTicksOf(sandbox.pid) >= 5);

for (const [way, make] of Object.entries(makers)) {
  const start = async (line: readonly string[], options: Options = {}): Promise<Started> => {
    const executor = make(line, options);
    options.limit?.(executor);
    const output = readAll(executor.ipc.receiveFd(1));
    const sandbox = new Sandbox2(executor, options.policy ?? lenientPolicy());
    assert.ok(await sandbox.runAsync(), String(sandbox.isTerminated && (await sandbox.awaitResult())));
    if (way !== 'before exec') await tellBehaviour(sandbox, line[0] ?? '', line.slice(1));
    return { sandbox, output };
  };
  const run = async (line: readonly string[], options: Options = {}): Promise<Result> => {
    const { sandbox } = await start(line, options);
    const result = await sandbox.awaitResult({ timeoutMs: hangMs });
    await sandbox[Symbol.asyncDispose]();
    return result;
  };

  test(`${way}: exit codes and signals`, async () => {
    for (const code of [0, 1, 255]) assert.is((await run(['exit_with', String(code)])).exitCode, code);
    for (const name of ['SIGSEGV', 'SIGKILL', 'SIGTERM', 'SIGABRT'] as const) {
      assert.is((await run(['die_by', String(constants.signals[name])])).signal, name);
    }
  });

  test(`${way}: a violation, with its memory`, async () => {
    const result = await run(['make_syscall', String(syscallNumber('mount'))]);
    assert.is(result.finalStatus, 'VIOLATION', String(result));
    assert.is(result.violation?.syscall, 'mount');
    assert.ok((result.violation?.pid ?? 0) > 1);
    assert.match(result.stackTrace.join(' '), /^syscall\+0x.* main\+0x/, String(result));
  });

  test(`${way}: stack traces of a crash and of a time-out`, async () => {
    const crashed = await run(['die_by', 'segfault']);
    assert.match(crashed.stackTrace.join(' '), /die_by_main\+0x|^main\+0x/, String(crashed));
    const { sandbox } = await start(['spin']);
    await hasWorked(sandbox);
    sandbox.setWalltimeLimitMs(1);
    const late = await sandbox.awaitResult({ timeoutMs: hangMs });
    assert.match(late.stackTrace.join(' '), /spin_main\+0x|^main\+0x/, String(late));
  });

  test(`${way}: wall time, kill, and what they used`, async () => {
    const { sandbox } = await start(['spin']);
    await hasWorked(sandbox);
    sandbox.setWalltimeLimitMs(1);
    const result = await sandbox.awaitResult();
    assert.is(result.finalStatus, 'TIMEOUT');
    assert.ok((result.rusage?.userTimeMs ?? 0) > 10, JSON.stringify(result.rusage));
    assert.ok((result.rusage?.maxRssBytes ?? 0) > 0);
    const killed = await start(['wait_forever']);
    killed.sandbox.kill();
    assert.is((await killed.sandbox.awaitResult()).finalStatus, 'EXTERNAL_KILL');
  });

  test(`${way}: limits`, async () => {
    const tmp = lenientPolicy((builder) => builder.addTmpfs('/tmp', 8 << 20));
    const exhaust = (what: string, limit: (executor: Executor) => unknown, policy?: Policy) =>
      run(['exhaust', what], { limit, ...(policy !== undefined && { policy }) });
    assert.is((await exhaust('memory', ({ limits }) => limits.setRlimitAs(64 << 20))).exitCode, ENOMEM);
    assert.is((await exhaust('stack', ({ limits }) => limits.setRlimitStack(1 << 20))).signal, 'SIGSEGV');
    assert.is((await exhaust('file', ({ limits }) => limits.setRlimitFsize(1 << 20), tmp)).signal, 'SIGXFSZ');
    assert.is((await exhaust('files', ({ limits }) => limits.setRlimitNofile(20))).exitCode, EMFILE);
    assert.is((await exhaust('processes', ({ limits }) => limits.setRlimitNproc(50))).exitCode, EAGAIN);
    const small = lenientPolicy((builder) => builder.addTmpfs('/tmp', 1 << 20));
    assert.is((await exhaust('file', () => {}, small)).exitCode, ENOSPC);
    const unlimited = ({ limits }: Executor) => limits.setRlimitNofile(1n << 40n).setRlimitMemlock(1n << 60n);
    assert.is((await run(['exit_with', '0'], { limit: unlimited })).exitCode, 0, 'cut down, not refused');
  });

  test(`${way}: the limit of core files stays what it is, whatever the sandboxee calls`, async () => {
    assert.is((await run(['core_limit'])).exitCode, 0);
    const limited = ({ limits }: Executor) => limits.setRlimitCore(64 << 10);
    assert.is((await run(['core_limit'], { limit: limited })).exitCode, 0);
  });

  test(`${way}: CPU time`, async () => {
    const result = await run(['spin'], { limit: ({ limits }) => limits.setRlimitCpu(1) });
    assert.is(result.signal, 'SIGKILL');
  });

  test(`${way}: isolation`, async () => {
    const policy = lenientPolicy((builder) => builder.addDirectory('/proc').setHostname('elsewhere'));
    const { sandbox, output } = await start(['inspect', '/etc/passwd', '/proc/1/mem', '/proc/3'], { policy });
    assert.is((await sandbox.awaitResult()).exitCode, 0);
    const text = await output;
    // A program that the sandboxee's kernel uid owns is shown, too, on a read-only mount (host/program-place.ts).
    const [, top = ''] = sandboxeePath('inspect').split('/');
    const isShown =
      way !== 'forked' && statSync(sandboxeePath('inspect')).uid === process.geteuid?.() && !isRoot;
    const listing = isShown ? new RegExp(`^ls /=(proc ${top}|${top} proc) $`, 'm') : /^ls \/=proc $/m;
    for (const line of [
      /^uid=1000 gid=1000 euid=1000 egid=1000$/m,
      /^pid=2 ppid=0 sid=2 pgid=2$/m,
      /^cwd=\/$/m,
      /^hostname=elsewhere$/m,
      /^umask=022$/m,
      /^no_new_privs=1$/m,
      /^bounding=0$/m,
      /^tty=no$/m,
      /^capabilities=0 0 0$/m,
      /^interfaces=lo $/m,
      listing,
      /^open \/etc\/passwd=No such file or directory$/m,
      /^open \/proc\/1\/mem=Permission denied$/m,
      /^open \/proc\/3=No such file or directory$/m,
    ]) {
      assert.match(text, line);
    }
    assert.not.match(text, /^env=/m);
    if (isRoot) assert.match(text, /^groups=0$/m);
    assert.match(text, /^open fds=0 1 2 1023 $/m);
  });

  test(`${way}: the kernel uid`, async () => {
    if (!isRoot) return skip(`${way}: the kernel uid`, 'needs a root host');
    const policy = lenientPolicy((builder) => builder.addDirectory('/etc'));
    const named = await start(['wait_forever'], { uid: 12345, gid: 12346, policy });
    const status = readFileSync(`/proc/${named.sandbox.pid}/status`, 'utf8');
    assert.match(status, /^Uid:\t12345\t12345\t12345\t12345$/m);
    assert.match(status, /^Gid:\t12346\t12346\t12346\t12346$/m);
    named.sandbox.kill();
    await named.sandbox.awaitResult();
    const { output } = await start(['inspect', '/etc/shadow', '/etc/passwd'], { policy });
    assert.match(await output, /^open \/etc\/shadow=Permission denied$/m);
    assert.match(await output, /^open \/etc\/passwd=ok$/m);
  });

  test(`${way}: its program’s attributes are out of reach`, async () => {
    // The program's owner could change them.
    const { uid } = statSync(sandboxeePath('behave'));
    if (!isRoot && uid !== process.geteuid?.())
      return skip(`${way}: its program’s attributes`, 'the program belongs to another user');
    const policy = lenientPolicy((builder) => builder.addDirectory('/proc'));
    const attributes = ['reach_out', 'attributes', '/proc/self/exe'];
    assert.is((await run(attributes, { policy, ...(isRoot && { uid }) })).exitCode, EROFS);
    if (way === 'forked') assert.is(readlinkSync(`/proc/${server.pid}/exe`), sandboxeePath('behave'));
  });

  test(`${way}: files are hidden by mounts and by Landlock rules`, async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
    try {
      chmodSync(folder, 0o777);
      writeFileSync(path.join(folder, 'secret'), 'x');
      const readOnly = lenientPolicy((builder) => builder.addDirectoryAt(folder, '/data'));
      assert.is((await run(['reach_out', 'change', '/data'], { policy: readOnly })).exitCode, EROFS);
      const writable = lenientPolicy((builder) => builder.addDirectoryAt(folder, '/data', false));
      assert.is((await run(['reach_out', 'change', '/data'], { policy: writable })).exitCode, 0);
      if ((found.find(({ name }) => name === 'landlock')?.value ?? 0) < 2) {
        return skip(`${way}: Landlock rules`, 'Landlock’s ABI 2 is needed');
      }
      let channel = -1;
      const { sandbox } = await start(['reach_out', 'received', '7'], {
        limit: ({ ipc }) => {
          channel = ipc.receiveFd(7);
        },
      });
      const fd = openSync(folder, 'r');
      assert.throws(() => sandbox.comms.sendFdSync(fd), /it is a directory/);
      const comms = new Comms(channel); // which allows it
      await comms.sendFd(fd);
      comms.close();
      closeSync(fd);
      assert.is((await sandbox.awaitResult()).exitCode, EACCES);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test(`${way}: nothing is left`, async () => {
    const result = await run(['leave_behind']);
    assert.is(result.exitCode, 0);
  });

  test(`${way}: its orphans are reaped`, async () => {
    const policy = lenientPolicy((builder) => builder.allow('allowNewNamespaces').allowSyscall('clone3'));
    for (let i = 0; i < 3; i++) {
      const result = await run(['leave_behind', 'siblings', '300'], { policy });
      assert.is(String(result), 'OK - Exit code: 0');
    }
    await eventually('none of them is left, not even dead', () => ofSandboxees().length === 0);
  });

  test(`${way}: with Landlock alone`, async () => {
    if ((found.find(({ name }) => name === 'landlock')?.value ?? 0) < 6) {
      return skip(`${way}: with Landlock alone`, 'Landlock’s ABI 6 is needed');
    }
    const policy = lenientPolicy((builder) => builder.enableLandlock().addDirectory('/etc'));
    assert.is((await run(['reach_out', 'list', '/etc'], { policy })).exitCode, 0);
    assert.is((await run(['reach_out', 'list', '/usr'], { policy })).exitCode, EACCES);
  });
}

test.run();
