// The one entry point of the npm scripts: checks what the system must have, installs and builds what is missing, and
// then does what was requested. Each step is skipped if nothing has changed since it last ran.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNative, runQuietly } from './build-native.mjs';
import { checkSystem } from './check-system.mjs';
import { removeStale } from './stale.mjs';

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

function install() {
  const stamp = 'node_modules/.sandwire-installed';
  const wanted = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  console.error('installing npm packages …');
  // No package's install script is needed, so nothing is downloaded but the packages themselves.
  runQuietly('npm ci', 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(stamp, wanted);
}

function buildTypeScript() {
  removeStale(root);
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
    process.exit(run(process.execPath, ['--expose-gc', 'dist/bench/main.js', ...rest]));
    break;
  case 'api':
    build();
    process.exit(run(process.execPath, ['scripts/api.mjs', ...rest]));
    break;
  case 'generate':
    install();
    process.exit(run(process.execPath, ['scripts/generate.mjs', ...rest]));
    break;
  default:
    console.error(
      'usage: node scripts/run.mjs build | demo [FILE] [--violate] | test [NAME …] | bench | api | generate',
    );
    process.exit(2);
}
