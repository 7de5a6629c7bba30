// probe() and the sandwire command: what the machine allows, and what is said where it does not.
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { describeProbe } from '../../cli/doctor.js';
import { probe } from '../../host/index.js';
import { parseProbe } from '../../host/probe.js';
import { run } from '../support/command.js';
import { checkout, sandboxeePath } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('doctor');
const command = `${checkout}dist/cli/main.js`;

test('a machine on which these tests run is usable, and every finding has its words', async () => {
  const found = await probe();
  assert.is(found.isUsable, true, JSON.stringify(found, null, 2));
  for (const each of found.capabilities) {
    assert.is(each.advice === undefined, each.isAvailable, each.name);
    assert.is(each.reason === undefined, each.isAvailable, each.name);
  }
  const files = found.capabilities.find((each) => each.name === 'openFiles');
  assert.ok((files?.value ?? 0) >= 1024);
});

test('the command: text, JSON, wrong options', async () => {
  const text = await run(process.execPath, [command, 'doctor']);
  assert.is(text.code, 0, text.stdout + text.stderr);
  assert.match(text.stdout, /^ {2}ok {7}user namespaces$/m);
  assert.match(text.stdout, /sandwire works on this machine\.\n$/);
  const json = await run(process.execPath, [command, 'doctor', '--json']);
  const parsed = JSON.parse(json.stdout) as { isUsable: boolean; capabilities: { name: string }[] };
  assert.is(parsed.isUsable, true);
  assert.ok(parsed.capabilities.some((each) => each.name === 'sandbox'));
  assert.is((await run(process.execPath, [command, 'doctor', '--jsn'])).code, 2);
  assert.is((await run(process.execPath, [command])).code, 2);
  assert.is((await run(process.execPath, [command, '--help'])).code, 0);
  const unknown = await run(process.execPath, [command, 'docter']);
  assert.is(unknown.code, 2);
  assert.match(unknown.stderr, /^sandwire: there is no subcommand "docter"\nusage: sandwire doctor/);
  const help = await run(process.execPath, [command, 'doctor', '--help']);
  assert.match(help.stdout, /^usage: sandwire doctor \[--json\]\n/);
});

test('what the machine forbids is told with what to do', async () => {
  // Without user namespaces: the limit set to 0, in a user namespace of our own around the command.
  const inner = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"';
  const around = ['--user', '--map-root-user', 'sh', '-c', inner, 'sh'];
  if ((await run('unshare', ['--user', '--map-root-user', 'true'])).code !== 0) {
    return skip('what the machine forbids is told', 'unshare(1) is not there or makes no user namespace');
  }
  const finished = await run('unshare', [...around, process.execPath, command, 'doctor', '--json']);
  assert.is(finished.code, 1, finished.stderr);
  const found = JSON.parse(finished.stdout) as {
    capabilities: { name: string; isAvailable: boolean; reason?: string; advice?: string }[];
  };
  const userNamespace = found.capabilities.find((each) => each.name === 'userNamespace');
  assert.is(userNamespace?.isAvailable, false);
  assert.is(userNamespace?.reason, 'ENOSPC');
  assert.match(userNamespace?.advice ?? '', /max_user_namespaces/);
  const sandbox = found.capabilities.find((each) => each.name === 'sandbox');
  assert.match(sandbox?.reason ?? '', /SETUP_ERROR - Code: FAILED_NAMESPACES/);
  assert.is(found.capabilities.find((each) => each.name === 'seccompNotify')?.isAvailable, true);
});

interface Found {
  readonly capabilities: readonly {
    readonly name: string;
    readonly reason?: string;
    readonly advice?: string;
  }[];
}

/** What the doctor finds, and what a run ends with, where this shell script has been at work: as root of namespaces. */
async function afterScript(script: string): Promise<{ found: Found; result: string } | undefined> {
  const unshare = ['--user', '--map-root-user', '--mount'];
  if ((await run('unshare', [...unshare, 'true'])).code !== 0) return undefined;
  const host = `${checkout}dist/test/host/fixtures/run-once.js`;
  const attempt = (args: readonly string[]) =>
    run('unshare', [...unshare, 'sh', '-c', `${script} && exec "$@"`, 'sh', process.execPath, ...args]);
  const { stdout, stderr } = await attempt([command, 'doctor', '--json']);
  assert.ok(stdout.startsWith('{'), stdout + stderr);
  return {
    found: JSON.parse(stdout) as Found,
    result: (await attempt([host, sandboxeePath('exit_with')])).stdout,
  };
}

const machines: readonly (readonly [string, string, string, RegExp])[] = [
  ['few open files', 'ulimit -n 1024', 'openFiles', /raise the hard limit of open files well above 1024/],
  [
    'no network namespaces',
    'echo 0 > /proc/sys/user/max_net_namespaces',
    'networkNamespace',
    /sysctl -w user\.max_net_namespaces=15000/,
  ],
  [
    'a /proc that cannot be written',
    'mount -o remount,bind,ro /proc',
    'idMaps',
    /\/proc must be mounted, and writable/,
  ],
  ['no /proc', 'mount -t tmpfs none /proc', 'idMaps', /\/proc must be mounted, and writable/],
  [
    'no /dev/null',
    'mount -t tmpfs none /dev',
    'nullDevice',
    /\/dev\/null must exist, and this user must be able to open it/,
  ],
];
for (const [title, script, name, advice] of machines) {
  test(`the doctor and a run say the same: ${title}`, async () => {
    const after = await afterScript(script);
    if (after === undefined) {
      return skip(`the doctor and a run: ${title}`, 'unshare(1) is not there or makes no user namespace');
    }
    const { found, result } = after;
    const missing = found.capabilities.filter((each) => each.reason !== undefined);
    assert.match(missing.find((each) => each.name === name)?.advice ?? '', advice);
    assert.match(result, /^SETUP_ERROR - /);
    assert.match(result, advice);
    for (const each of missing) assert.not.match(each.advice ?? '', /Linux 5\.(8|12) or newer/, each.name);
  });
}

test('words for what is refused; lines that mean nothing are an error', () => {
  const capabilities = parseProbe('ptrace 1 0\nsealedMemory -31 0\nlandlock 0 4\n');
  const text = describeProbe({ isUsable: false, capabilities });
  assert.match(text, /absent {3}ptrace: EPERM\n.*there are no stack traces\.\n.*kernel\.yama\.ptrace_scope/);
  assert.match(text, /MISSING {2}sealed memory files: ended by SIGSYS/);
  assert.match(text, /Landlock \(ABI 4\)/);
  assert.throws(() => parseProbe('nonsense 0 0\n'), /an unknown line/);
  assert.throws(() => parseProbe('ptrace zero\n'), /an unknown line/);
});

test('the package offers the command', () => {
  const bin = JSON.parse(readFileSync(`${checkout}package.json`, 'utf8')) as { bin: Record<string, string> };
  assert.is(bin.bin['sandwire'], 'dist/cli/main.js');
  assert.match(readFileSync(command, 'utf8'), /^#!\/usr\/bin\/env node\n/);
});

test.run();
