// Standard input, output and error.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, PolicyBuilder, Sandbox2, type StdioOptions } from '../../host/index.js';
import { sandboxee } from '../support/sandbox.js';

const test = suite('stdio');

const policyFor = (program: string) =>
  new PolicyBuilder().defaultAction('allowAllSyscalls').addLibrariesForBinary(program).build();
const cat = (stdio: StdioOptions) =>
  new Sandbox2(new Executor('/bin/cat', ['cat'], { stdio }), policyFor('/bin/cat'));

test('bad options', () => {
  const make = (stdio: unknown) => () => new Executor('/bin/cat', ['cat'], { stdio: stdio as StdioOptions });
  assert.throws(make({ stdin: 'file' }), /stdio\.stdin/);
  assert.throws(make({ stdout: -1 }), /stdio\.stdout/);
  assert.throws(make({ output: 'pipe' }), /stdio: there is no option "output", only stdin, stdout, stderr/);
  assert.throws(make({ stdin: null }), /stdio\.stdin/);
});

test('streams both ways', async () => {
  const sandbox = cat({ stdin: 'pipe', stdout: 'pipe' });
  if (sandbox.stdout === undefined) throw new Error('stdout is a stream');
  const output = text(sandbox.stdout);
  assert.ok(await sandbox.runAsync());
  sandbox.stdin?.write('hello ');
  sandbox.stdin?.end('world');
  assert.is(await output, 'hello world');
  assert.is(String(await sandbox.awaitResult()), 'OK - Exit code: 0');
});

test('nothing is the default', async () => {
  const sandbox = cat({});
  assert.is(sandbox.stdout, undefined);
  assert.is((await sandbox.run()).exitCode, 0);
});

test('files', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  try {
    writeFileSync(path.join(folder, 'in'), 'from a file');
    const stdio = { stdin: { file: path.join(folder, 'in') }, stdout: { file: path.join(folder, 'out') } };
    assert.is((await cat(stdio).run()).exitCode, 0);
    assert.is(readFileSync(path.join(folder, 'out'), 'utf8'), 'from a file');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('capture', async () => {
  const program = '/bin/ls';
  const sandbox = new Sandbox2(new Executor(program, ['ls', '/', '/nowhere']), policyFor(program));
  const { result, stdout, stderr, truncated } = await sandbox.run({ capture: {} });
  assert.is(result.exitCode, 2);
  assert.match(stdout.toString(), /lib/);
  assert.match(stderr.toString(), /nowhere/);
  assert.not(truncated);
});

test('capturing more than allowed ends the sandbox', async () => {
  const program = '/usr/bin/yes';
  const sandbox = new Sandbox2(new Executor(program, ['yes']), policyFor(program));
  const { result, stdout, truncated } = await sandbox.run({ capture: { maxBytes: 1000 } });
  assert.is(result.finalStatus, 'EXTERNAL_KILL');
  assert.is(stdout.length, 1000);
  assert.ok(truncated);
});

test('writing to a sandboxee that has ended does no harm', async () => {
  const executor = sandboxee('exit_with', ['0'], { stdio: { stdin: 'pipe' } });
  const sandbox = new Sandbox2(executor, new PolicyBuilder().defaultAction('allowAllSyscalls').build());
  await sandbox.run();
  sandbox.stdin?.write(Buffer.alloc(1 << 20));
  await new Promise((resolve) => setTimeout(resolve, 20));
});

test.run();
