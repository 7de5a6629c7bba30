// The one entry of the npm scripts: checks what the system must have, installs and builds what is missing, and
// then does what was asked. Each step is skipped when nothing changed since it last ran.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkSystem } from './check-system.mjs';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { stdio: 'inherit', ...options });
  if (result.error) throw result.error;
  if (result.signal) process.exit(1);
  return result.status ?? 1;
}

function runOrExit(command, args, options) {
  const status = run(command, args, options);
  if (status !== 0) process.exit(status);
}

/** Runs a step that says much and means little unless it fails. */
function runQuietly(title, command, args) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
  if (result.status === 0) return;
  process.stderr.write(
    `${title} failed: ${command} ${args.join(' ')}\n${result.stdout ?? ''}${result.stderr ?? ''}`,
  );
  if (result.error) process.stderr.write(`${result.error.message}\n`);
  process.exit(result.status || 1);
}

function install() {
  const stamp = 'node_modules/.sandwire-installed';
  const wanted = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  console.error('installing npm packages …');
  // No package's install script is needed: nothing is downloaded but the packages themselves.
  runQuietly('npm ci', 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(stamp, wanted);
}

function nodeIncludeDirectory() {
  return path.join(path.dirname(path.dirname(process.execPath)), 'include', 'node');
}

function buildNative() {
  // cmake-js configures once; after that CMake itself knows what is out of date, and is asked directly.
  const stamp = 'build/.configured-for';
  const wanted = `${root} ${process.execPath} ${process.version}`;
  if (!existsSync('build/Makefile') || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
    console.error('configuring the native build …');
    runQuietly('configuring', process.execPath, [
      'node_modules/cmake-js/bin/cmake-js',
      'configure',
      '--prefer-make',
      '--log-level',
      'warn',
      `--CDSANDWIRE_NODE_INCLUDE=${nodeIncludeDirectory()}`,
    ]);
    mkdirSync('build', { recursive: true });
    writeFileSync(stamp, wanted);
    console.error('building native code …');
  }
  runQuietly('the native build', 'cmake', ['--build', 'build', '--parallel', '2']);
}

function buildTypeScript() {
  runOrExit(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json']);
}

function build() {
  checkSystem();
  install();
  buildNative();
  buildTypeScript();
}

const [task, ...rest] = process.argv.slice(2);
switch (task) {
  case 'build':
    build();
    break;
  case 'demo':
    build();
    process.exit(
      run(process.execPath, ['dist/examples/crc4/host.js', ...(rest.length > 0 ? rest : ['README.md'])]),
    );
    break;
  case 'test':
    build();
    process.exit(run(process.execPath, ['scripts/test.mjs', ...rest]));
    break;
  case 'bench':
    build();
    process.exit(run(process.execPath, ['dist/bench/main.js', ...rest]));
    break;
  case 'generate':
    install();
    process.exit(run(process.execPath, ['scripts/generate.mjs', ...rest]));
    break;
  default:
    console.error(
      'usage: node scripts/run.mjs build | demo [FILE] [--violate] | test [NAME …] | bench | generate',
    );
    process.exit(2);
}
