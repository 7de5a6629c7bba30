// Builds the native part – libsandwire, the supervisor, the addon – into build/, for a checkout and for the installed
// package alike. The second time it builds only what is out of date.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Runs a step whose output only matters if it fails. */
export function runQuietly(title, command, args) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 });
  if (result.status === 0) return;
  process.stderr.write(
    `${title} failed: ${command} ${args.join(' ')}\n${result.stdout ?? ''}${result.stderr ?? ''}`,
  );
  if (result.error) process.stderr.write(`${result.error.message}\n`);
  process.exit(result.status || 1);
}

function nodeIncludeDirectory() {
  return path.join(path.dirname(path.dirname(process.execPath)), 'include', 'node');
}

/** Wherever npm has put it: beside this package, in it, or above it. */
function cmakeJs() {
  const manifest = createRequire(import.meta.url).resolve('cmake-js/package.json');
  return path.join(path.dirname(manifest), 'bin/cmake-js');
}

export function buildNative() {
  // cmake-js configures once. After that CMake itself knows what is out of date, and is called directly.
  const build = path.join(root, 'build');
  const stamp = path.join(build, '.configured-for');
  const wanted = `${root} ${process.execPath} ${process.version}`;
  const isConfigured = existsSync(path.join(build, 'Makefile')) && existsSync(stamp);
  if (!isConfigured || readFileSync(stamp, 'utf8') !== wanted) {
    console.error('configuring the native build …');
    // CMake refuses a cache that was copied or moved along with its checkout.
    rmSync(path.join(build, 'CMakeCache.txt'), { force: true });
    runQuietly('configuring', process.execPath, [
      cmakeJs(),
      'configure',
      '--prefer-make',
      '--log-level',
      'warn',
      `--CDSANDWIRE_NODE_INCLUDE=${nodeIncludeDirectory()}`,
    ]);
    mkdirSync(build, { recursive: true });
    writeFileSync(stamp, wanted);
    console.error('building native code …');
  }
  runQuietly('the native build', 'cmake', ['--build', build, '--parallel', String(availableParallelism())]);
}
