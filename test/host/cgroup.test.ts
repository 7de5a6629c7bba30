// Limits of all processes of a sandboxee together. If this machine's controllers belong to cgroup v1, these tests run
// in a user-mode Linux, if that is installed. What such a machine reports is tested in any case.
// Early: a kernel is booted for it where this machine lacks controllers.
import { chownSync, existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, type Limits, PolicyBuilder, probe, type Result, Sandbox2 } from '../../host/index.js';
import { run } from '../support/command.js';
import { startFamily } from '../support/family.js';
import { unreadable } from '../support/other-user.js';
import { childrenOf, commOf, parentOf, supervisorPid } from '../support/processes.js';
import {
  checkout,
  eventually,
  isRoot,
  lenientPolicy,
  readAll,
  runToEnd,
  sandboxee,
  sandboxeePath,
  startForkServer,
  tellBehaviour,
} from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { inUserModeLinux } from '../support/user-mode-linux.js';

const test = suite('cgroup');
const mount = '/sys/fs/cgroup';
const found = (await probe()).capabilities;
const has = (name: string) => found.some((each) => each.name === name && each.isAvailable);
const hasAll = has('cgroupMemory') && has('cgroupPids') && has('cgroupCpu');

async function runWith(what: readonly string[], limit: (limits: Limits) => Limits): Promise<Result> {
  const executor = sandboxee(what[0] ?? '', what.slice(1));
  limit(executor.limits);
  const policy = lenientPolicy((builder) => builder.addTmpfs('/tmp', 256 << 20));
  return (await runToEnd(executor, policy)).result;
}

function directoriesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []; // it has been removed meanwhile: another test's
    throw error;
  }
}

/** Every cgroup of a supervisor, this process's or another. */
function cgroupsOf(supervisor = supervisorPid(), directory = mount): string[] {
  return directoriesIn(directory).flatMap((name) => {
    const path = `${directory}/${name}`;
    return [...(name.startsWith(`sandwire-${supervisor}-`) ? [path] : []), ...cgroupsOf(supervisor, path)];
  });
}

const runsIn = (base: string) => readdirSync(base).filter((name) => name.startsWith('run-'));

if (hasAll) {
  test('memory: everything is killed, and the result says which limit it was', async () => {
    const result = await runWith(['exhaust', 'touch'], (limits) => limits.setCgroupMemory(32 << 20));
    assert.is(result.signal, 'SIGKILL');
    assert.match(
      String(result),
      /the limit of 33554432 bytes of memory for all its processes together was reached/,
    );
    assert.ok((result.rusage?.cgroup?.oomKills ?? 0) > 0);
    const peak = result.rusage?.cgroup?.memoryPeakBytes;
    if (peak !== undefined) assert.ok(peak > 16 << 20 && peak <= 32 << 20, `${peak}`);
  });

  test('memory of children, and of a tmpfs, counts too', async () => {
    for (const what of ['touch-in-child', 'file']) {
      const result = await runWith(['exhaust', what], (limits) => limits.setCgroupMemory(32 << 20));
      assert.is(result.signal, 'SIGKILL', what);
      assert.match(String(result), /33554432 bytes of memory/);
    }
  });

  test('processes: EAGAIN, and the result counts them', async () => {
    const result = await runWith(['exhaust', 'processes'], (limits) => limits.setCgroupPids(10));
    assert.is(result.exitCode, constants.errno.EAGAIN);
    assert.ok((result.rusage?.cgroup?.refusedProcesses ?? 0) > 0);
    const peak = result.rusage?.cgroup?.processesPeak;
    if (peak !== undefined) assert.is(peak, 10);
    assert.is((await runWith(['exit_with', '4'], (limits) => limits.setCgroupPids(1))).exitCode, 4);
  });

  test('CPU: it stands still for its share of the time', async () => {
    // So small a share that it gets more than that on any machine, were it not for the limit.
    const share = 0.05;
    const began = performance.now();
    const result = await runWith(['spin'], (limits) => limits.setCgroupCpu(share).setWalltimeLimitMs(1500));
    const elapsed = performance.now() - began;
    assert.is(result.finalStatus, 'TIMEOUT');
    const usage = result.rusage?.cgroup;
    assert.ok((usage?.throttledMs ?? 0) > 0, JSON.stringify(usage));
    assert.ok((usage?.cpuTimeMs ?? 0) < 4 * share * elapsed, `${JSON.stringify(usage)} in ${elapsed} ms`);
  });

  test('a sandboxee that stays within all limits; and usage only where a limit was set', async () => {
    const limit = (limits: Limits) =>
      limits
        .setCgroupMemory(64 << 20)
        .setCgroupPids(5)
        .setCgroupCpu(2);
    const result = await runWith(['exit_with', '3'], limit);
    assert.is(result.exitCode, 3);
    assert.is(result.rusage?.cgroup?.oomKills, 0);
    assert.ok((result.rusage?.cgroup?.cpuTimeMs ?? -1) >= 0);
    assert.is((await runWith(['exit_with'], (limits) => limits)).rusage?.cgroup, undefined);
  });

  test('the sandboxee can neither see nor change its cgroup', async () => {
    const executor = sandboxee('inspect', [`${mount}/cgroup.procs`, '/proc/self/cgroup']);
    executor.limits.setCgroupMemory(64 << 20);
    const policy = lenientPolicy((builder) => builder.addDirectory('/proc').addDirectory('/sys'));
    const { output } = await runToEnd(executor, policy);
    assert.match(output, /open \/sys\/fs\/cgroup\/cgroup\.procs=No such file or directory/);
    assert.match(output, /^\/proc\/self\/cgroup: 0::\/$/m, output);
  });

  test('a sandboxee that a fork server forks has its own, which is the top of what it sees', async () => {
    await using server = await startForkServer();
    const fork = async (what: readonly string[]) => {
      const executor = new Executor(server);
      executor.limits.setCgroupPids(10);
      const output = readAll(executor.ipc.receiveFd(1));
      await using sandbox = new Sandbox2(
        executor,
        lenientPolicy((builder) => builder.addDirectory('/proc')),
      );
      if (await sandbox.runAsync()) await tellBehaviour(sandbox, what[0] ?? '', what.slice(1));
      return { result: await sandbox.awaitResult(), output: await output };
    };
    const { result } = await fork(['exhaust', 'processes']);
    assert.is(result.exitCode, constants.errno.EAGAIN, String(result));
    assert.ok((result.rusage?.cgroup?.refusedProcesses ?? 0) > 0);
    assert.match((await fork(['inspect'])).output, /^\/proc\/self\/cgroup: 0::\/$/m);
  });

  test('a cgroup is removed with its run, however that ends', async () => {
    assert.is((await runWith(['exit_with'], (limits) => limits.setCgroupPids(5))).exitCode, 0);
    const [base = ''] = cgroupsOf();
    await eventually('no run has one', () => runsIn(base).length === 0);
    const sandboxes = Array.from({ length: 10 }, () => {
      const executor = sandboxee('wait_forever');
      executor.limits.setCgroupPids(5).setCgroupMemory(64 << 20);
      return new Sandbox2(executor, lenientPolicy());
    });
    await Promise.all(sandboxes.map((sandbox) => sandbox.runAsync()));
    assert.is(runsIn(base).length, 10);
    for (const sandbox of sandboxes) await sandbox[Symbol.asyncDispose]();
    await eventually('no run has one', () => runsIn(base).length === 0);
    const strict = sandboxee('exit_with');
    strict.limits.setCgroupPids(5);
    assert.is((await runToEnd(strict, new PolicyBuilder().build())).result.finalStatus, 'VIOLATION');
    await eventually('no run has one', () => runsIn(base).length === 0);
  });

  for (const victim of ['supervisor', 'host', 'both', 'guardian and supervisor'] as const) {
    test(`kill -9 of ${victim} leaves no cgroup`, async () => {
      const family = await startFamily('wait_forever', 'cgroup');
      const [base = ''] = cgroupsOf(family.supervisor);
      assert.is(runsIn(base).length, family.sandboxees.length);
      const guardian = childrenOf(family.supervisor).find((pid) => commOf(pid) === 'sandwire-guard');
      assert.ok(guardian, 'there is a guardian');
      if (victim.startsWith('guardian')) process.kill(guardian ?? 0, 'SIGKILL');
      if (victim !== 'host') process.kill(family.supervisor, 'SIGKILL');
      if (victim !== 'supervisor') family.host.kill('SIGKILL');
      if (victim.startsWith('guardian')) {
        await eventually('all of it is dead', () => parentOf(family.supervisor) === undefined);
        // Only the next supervisor can remove them.
        (await startFamily('wait_forever', 'cgroup')).host.kill('SIGKILL');
      }
      await eventually('its cgroups are gone', () => !existsSync(base));
      family.host.kill('SIGKILL');
    });
  }

  test('an ordinary user: a delegated cgroup is used from a child of it, and refused from within', async () => {
    if (!isRoot) return skip('a delegated cgroup', 'only root can delegate one');
    if (unreadable !== undefined) return skip('a delegated cgroup', unreadable);
    const delegated = `${mount}/delegated-${process.pid}`;
    mkdirSync(`${delegated}/host`, { recursive: true });
    try {
      writeFileSync(`${mount}/cgroup.subtree_control`, '+memory +pids +cpu');
      const handedOver = ['', '/cgroup.procs', '/cgroup.subtree_control', '/host', '/host/cgroup.procs'];
      for (const file of handedOver) chownSync(`${delegated}${file}`, 65534, 65534);
      const runFrom = async (cgroup: string) => {
        const node = [process.execPath, `${checkout}dist/test/host/fixtures/run-once.js`];
        const user = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', ...node];
        const script = `echo $$ > ${cgroup}/cgroup.procs && CGROUP=memory exec "$@"`;
        return await run('sh', ['-c', script, 'sh', ...user, sandboxeePath('exit_with')]);
      };
      // This comes first: a cgroup with limits below it accepts no process any more.
      const refused = await runFrom(delegated);
      assert.match(refused.stdout, /SETUP_ERROR.*: EBUSY \(.*DelegateSubgroup=host/, refused.stderr);
      const inside = await runFrom(`${delegated}/host`);
      assert.match(inside.stdout, /^OK - Exit code: 0$/m, inside.stdout + inside.stderr);
      await eventually('its cgroups are gone', () => directoriesIn(delegated).length === 1);
    } finally {
      rmdirSync(`${delegated}/host`);
      rmdirSync(delegated);
    }
  });

  test('a directory of the user’s choice; and invalid directories', async () => {
    const [base = ''] = cgroupsOf();
    const parent = base.slice(0, base.lastIndexOf('/'));
    const limit = (limits: Limits, directory: string) => limits.setCgroupPids(5).setCgroupParent(directory);
    assert.is((await runWith(['exit_with'], (limits) => limit(limits, parent))).exitCode, 0);
    for (const [directory, expected] of [
      ['/tmp', /\/tmp: Invalid argument: EINVAL \(a directory below \/sys\/fs\/cgroup/],
      ['/sys/fs/cgroup/none', /ENOENT/],
    ] as const) {
      const result = await runWith(['exit_with'], (limits) => limit(limits, directory));
      assert.match(String(result), /^SETUP_ERROR - Code: FAILED_LIMITS: making a cgroup/);
      assert.match(String(result), expected);
    }
  });
} else {
  test('where there is none, a limit is a set-up error that says why, and what to do', async () => {
    for (const limit of [
      (limits: Limits) => limits.setCgroupMemory(32 << 20),
      (limits: Limits) => limits.setCgroupPids(10),
      (limits: Limits) => limits.setCgroupCpu(0.5),
    ]) {
      const result = await runWith(['exit_with'], limit);
      assert.match(
        String(result),
        /^SETUP_ERROR - Code: FAILED_LIMITS: making a cgroup for the limits .*: E[A-Z]+ \(.*\)$/,
      );
    }
    assert.is((await runWith(['exit_with', '3'], (limits) => limits)).exitCode, 3, 'and all else works');
  });

  test('all of it, in a user-mode Linux', async () => {
    const finished = await inUserModeLinux('dist/test/host/cgroup.test.js');
    if (typeof finished === 'string')
      return skip('limits by cgroup', `this machine has no cgroup v2 with controllers, and ${finished}`);
    assert.is(finished.code, 0, finished.output);
    assert.match(finished.output, /Total:\s+1\d/, finished.output);
  });
}

test('doctor and a run agree', async () => {
  const limits = {
    cgroupMemory: (limits: Limits) => limits.setCgroupMemory(32 << 20),
    cgroupPids: (limits: Limits) => limits.setCgroupPids(10),
    cgroupCpu: (limits: Limits) => limits.setCgroupCpu(0.5),
  };
  for (const [name, limit] of Object.entries(limits)) {
    const result = await runWith(['exit_with'], limit);
    assert.is(result.isOk, has(name), `${name}: ${result}`);
    const reason = found.find((each) => each.name === name)?.reason;
    if (reason !== undefined) assert.match(String(result), new RegExp(`: ${reason} \\(`));
  }
});

test('wrong limits are refused at the call', () => {
  const { limits } = sandboxee('exit_with');
  for (const wrong of [0, -1, 1.5, Number.NaN]) {
    assert.throws(() => limits.setCgroupMemory(wrong), /Limits\.setCgroupMemory/);
    assert.throws(() => limits.setCgroupPids(wrong), /Limits\.setCgroupPids/);
  }
  for (const wrong of [0, -1, Number.NaN, 1e9])
    assert.throws(() => limits.setCgroupCpu(wrong), /Limits\.setCgroupCpu/);
  assert.throws(() => limits.setCgroupParent('sandboxes'), /an absolute path/);
});

test.run();
