// The installed library: README.md's example must compile as it is written, by CMake and by pkg-config, in C and
// with the headers in C++, and only the public names are exported.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { build, buildFolder, isInstalled, root, run } from './build.js';

const test = suite('libsandwire, installed');
const library = join(build('plain'), '..');
const folder = buildFolder('package');
const prefix = join(folder, 'prefix');

test.before(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  run('cmake', ['--install', library, '--prefix', prefix]);
  const example = /^## EXAMPLE$[\s\S]*?^```c tool$\n([\s\S]*?)^```$/m.exec(
    readFileSync(join(root, 'sandboxee-c', 'README.md'), 'utf8'),
  );
  assert.ok(example?.[1], 'README.md has no example');
  writeFileSync(join(folder, 'tool.c'), example[1]);
});

/** Started by nobody it says so. */
function checkTool(tool: string): void {
  assert.throws(() => run(tool, []), /started by a sandwire host/);
}

const cxx = isInstalled('c++');

for (const target of ['sandwire::sandwire', 'sandwire::sandwire_static']) {
  test(`find_package, ${target}`, () => {
    const project = join(folder, target.replaceAll(':', '_'));
    mkdirSync(project);
    writeFileSync(
      join(project, 'CMakeLists.txt'),
      `cmake_minimum_required(VERSION 3.18)
project(tool LANGUAGES C)
find_package(sandwire 0.1 REQUIRED)
add_executable(tool ../tool.c)
target_link_libraries(tool ${target})
`,
    );
    run('cmake', ['-S', project, '-B', join(project, 'build'), `-DCMAKE_PREFIX_PATH=${prefix}`]);
    run('cmake', ['--build', join(project, 'build')]);
    checkTool(join(project, 'build', 'tool'));
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

if (isInstalled('pkg-config')) {
  test('pkg-config', () => {
    const pc = run('find', [prefix, '-name', 'sandwire.pc']).trim();
    assert.ok(existsSync(pc));
    const env = { ...process.env, PKG_CONFIG_PATH: join(pc, '..') };
    const flags = run('pkg-config', ['--cflags', '--libs', 'sandwire'], undefined, env).trim().split(/\s+/);
    const tool = join(folder, 'tool-by-pkg-config');
    const rpath = `-Wl,-rpath,${join(pc, '..', '..')}`;
    run('cc', [
      '-std=c11',
      '-Wall',
      '-Wextra',
      '-Werror',
      join(folder, 'tool.c'),
      ...flags,
      rpath,
      '-o',
      tool,
    ]);
    checkTool(tool);
    assert.match(run('pkg-config', ['--modversion', 'sandwire'], undefined, env), /^0\.1\.0$/m);
  });
} else {
  console.log('skipped: pkg-config: it is not installed (apt-get install pkg-config)');
}

if (cxx) {
  test('the headers are fit for C++', () => {
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
}

if (isInstalled('nm')) {
  test('only what the public headers declare is exported', () => {
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
}

test.run();
