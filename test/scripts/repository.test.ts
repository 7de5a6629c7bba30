// The repository's own promises: generated files are up to date, wrong machines are told so.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../support/command.js';
import { checkout } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('repository');

test('generated files are what their sources make', async () => {
  const { code, stderr } = await run(process.execPath, ['scripts/generate.mjs', '--check'], '', checkout);
  assert.is(stderr, '');
  assert.is(code, 0);
});

test('the syscall tables agree with the kernel headers of this machine', async () => {
  const { code, stdout, stderr } = await run(process.execPath, ['scripts/syscall-headers.mjs'], '', checkout);
  for (const line of stdout.split('\n')) {
    if (line.endsWith('no header here')) skip('syscall numbers', line);
  }
  assert.is(code, 0, stdout + stderr);
});

test('formatted and free of lint', async () => {
  const { code, stdout, stderr } = await run('npx', ['biome', 'check', '.'], '', checkout);
  assert.is(code, 0, stdout + stderr);
});

async function checkSystem(overrides: string, env: NodeJS.ProcessEnv = process.env) {
  const script = `${overrides}; (await import(${JSON.stringify(path.join(checkout, 'scripts/check-system.mjs'))})).checkSystem()`;
  const { spawnSync } = await import('node:child_process');
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', env });
}

test('a machine that is no Linux, or has another CPU, is told so in one line', async () => {
  const darwin = await checkSystem(`Object.defineProperty(process, 'platform', { value: 'darwin' })`);
  assert.is(darwin.status, 1);
  assert.match(darwin.stderr, /^sandwire: Linux is needed .*; this is darwin\n$/);
  const riscv = await checkSystem(`Object.defineProperty(process, 'arch', { value: 'riscv64' })`);
  assert.match(riscv.stderr, /^sandwire: an x86-64 or aarch64 CPU is needed; this is riscv64\n$/);
});

test('missing tools are named with the command that installs them', async () => {
  const bare = await checkSystem('0', { PATH: '/nonexistent' });
  assert.is(bare.status, 1);
  assert.match(
    bare.stderr,
    /^sandwire: missing: a C compiler, a C\+\+ compiler, cmake, make; install with: apt-get install .*\n$/,
  );
});

test('the addon refuses a machine it was not made for', async () => {
  const script = `
    Object.defineProperty(process, 'platform', { value: 'darwin' });
    const { addon } = await import(${JSON.stringify(path.join(checkout, 'dist/native/addon.js'))});
    try { addon(); } catch (error) { console.log(error.message); }`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script]);
  assert.match(stdout, /needs Linux on x86-64 or aarch64; this is darwin/);
});

test('everything the package exports is there', () => {
  const { exports } = JSON.parse(readFileSync(path.join(checkout, 'package.json'), 'utf8')) as {
    exports: Record<string, string | Record<string, string>>;
  };
  for (const targets of Object.values(exports)) {
    for (const target of typeof targets === 'string' ? [targets] : Object.values(targets))
      readFileSync(path.join(checkout, target));
  }
});

test.run();
