// The installed library: README.md's example must compile as written, by its CMakeLists.txt and its Makefile, in C and
// with the headers in C++, and only the public names are exported.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, PolicyBuilder, Sandbox2 } from '../../host/index.js';
import { samplesOf } from '../docs/samples.js';
import { skip } from '../support/skip.js';
import { build, buildFolder, isInstalled, root, run } from './build.js';

const test = suite('libsandwire, installed');
const library = join(build('plain'), '..');
const folder = buildFolder('package');
const prefix = join(folder, 'prefix');

const samples = samplesOf(join(root, 'sandboxee-c', 'README.md'), 'sandboxee-c/README.md');

/** A sample of the manual, as written. */
function sample(name: string): string {
  const found = samples.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`README.md has no sample ${name}`);
  return found.code;
}

/** Where sandwire.pc was installed, for pkg-config. */
function pkgConfigEnvironment(): NodeJS.ProcessEnv {
  const pc = run('find', [prefix, '-name', 'sandwire.pc']).trim();
  assert.ok(existsSync(pc));
  return { ...process.env, PKG_CONFIG_PATH: join(pc, '..') };
}

test.before(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  run('cmake', ['--install', library, '--prefix', prefix]);
  writeFileSync(join(folder, 'tool.c'), sample('tool'));
});

/** Started without a host it reports that. */
function checkTool(tool: string): void {
  assert.throws(() => run(tool, []), /started by a sandwire host/);
}

/** Under a host it finds its libraries, and does its work. */
async function checkUnderHost(tool: string): Promise<void> {
  const executor = new Executor(tool).setEnableSandboxBeforeExec(false);
  const policy = new PolicyBuilder()
    .allowComms()
    .allowSystemMalloc()
    .allowExit()
    .addLibrariesForBinary(tool)
    .build();
  await using sandbox = new Sandbox2(executor, policy);
  const isSandboxed = await sandbox.runAsync();
  if (!isSandboxed) assert.unreachable(String(await sandbox.awaitResult()));
  await sandbox.comms.sendBytes(Buffer.from('hello'));
  assert.is(await sandbox.comms.recvUint32(), 0x6c6c6507);
  assert.is(String(await sandbox.awaitResult()), 'OK - Exit code: 0');
}

for (const target of ['sandwire::sandwire', 'sandwire::sandwire_static']) {
  test(`the manual’s CMakeLists.txt, ${target}`, async () => {
    const project = join(folder, target.replaceAll(':', '_'));
    mkdirSync(project);
    const lists = sample('cmake').replace('sandwire::sandwire_static)', `${target})`);
    assert.ok(lists.includes(`${target})`));
    writeFileSync(join(project, 'CMakeLists.txt'), lists);
    writeFileSync(join(project, 'tool.c'), sample('tool'));
    run('cmake', ['-S', project, '-B', join(project, 'build'), `-DCMAKE_PREFIX_PATH=${prefix}`]);
    run('cmake', ['--build', join(project, 'build')]);
    checkTool(join(project, 'build', 'tool'));
    await checkUnderHost(join(project, 'build', 'tool'));
  });
}

test('add_subdirectory', () => {
  const project = join(folder, 'subdirectory');
  mkdirSync(project);
  writeFileSync(
    join(project, 'CMakeLists.txt'),
    `cmake_minimum_required(VERSION 3.18)
project(tool LANGUAGES C)
add_subdirectory(${join(root, 'sandboxee-c')} sandwire)
add_executable(tool ../tool.c)
target_link_libraries(tool sandwire::sandwire_static)
`,
  );
  run('cmake', ['-S', project, '-B', join(project, 'build')]);
  run('cmake', ['--build', join(project, 'build'), '--target', 'tool']);
  checkTool(join(project, 'build', 'tool'));
});

test('the manual’s Makefile, by pkg-config', async () => {
  if (!isInstalled('pkg-config')) {
    skip('pkg-config', 'it is not installed (apt-get install pkg-config)');
    return;
  }
  const project = join(folder, 'makefile');
  mkdirSync(project);
  writeFileSync(join(project, 'Makefile'), sample('makefile'));
  writeFileSync(join(project, 'tool.c'), sample('tool'));
  const env = pkgConfigEnvironment();
  run('make', ['-C', project], undefined, { ...env, CFLAGS: '-Wextra -Werror' });
  checkTool(join(project, 'tool'));
  await checkUnderHost(join(project, 'tool'));
  assert.match(run('pkg-config', ['--modversion', 'sandwire'], undefined, env), /^0\.1\.0$/m);
});

test('the headers are fit for C++', () => {
  if (!isInstalled('c++')) return skip('the headers in C++', 'there is no c++ (Debian: g++)');
  writeFileSync(join(folder, 'headers.cc'), '#include <sandwire/sandwire.h>\nint main() { return 0; }\n');
  const include = join(prefix, 'include');
  run('c++', [
    '-std=c++17',
    '-Wall',
    '-Wextra',
    '-Wpedantic',
    '-Werror',
    `-I${include}`,
    '-fsyntax-only',
    join(folder, 'headers.cc'),
  ]);
});
test('only what the public headers declare is exported', () => {
  if (!isInstalled('nm')) return skip('what is exported', 'there is no nm (Debian: binutils)');
  const shared = run('find', [prefix, '-name', 'libsandwire.so']).trim();
  const exported = run('nm', ['-D', '--defined-only', shared])
    .split('\n')
    .map((line) => line.trim().split(/\s+/).at(-1) ?? '')
    .filter((name) => name !== '');
  const headers = run('sh', ['-c', `cat '${join(prefix, 'include', 'sandwire')}'/*.h`]);
  for (const name of exported) {
    assert.ok(name.startsWith('sandwire_') && headers.includes(`${name}(`), `${name} is exported`);
  }
  for (const [, name] of headers.matchAll(/^SANDWIRE_API [^(]*?(sandwire_\w+)\(/gm)) {
    assert.ok(exported.includes(name ?? ''), `${name} is declared but not exported`);
  }
});

test.run();
