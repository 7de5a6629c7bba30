// The package as npm packs it: only what is needed is inside, and an empty project installs it and uses it from ESM
// TypeScript and from CommonJS JavaScript.
// Early: a package is installed, and built.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { samplesOf } from '../docs/samples.js';
import { checkout } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('the npm package');
const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-package-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

const { npm_config_nodedir: _, ...environment } = process.env; // npm's own; it warns of it

function run(cwd: string, command: string, ...args: string[]) {
  return spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: 300_000,
    maxBuffer: 64 << 20,
    env: environment,
  });
}

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string }[];
}

const [packed] = JSON.parse(
  run(checkout, 'npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', folder).stdout,
) as Packed[];

test('holds what is needed and nothing else', () => {
  assert.ok(packed);
  const allowed = [
    /^dist\/(cli|host|native|protocol|sandboxee-node)\/.*\.(js|d\.ts)$/,
    /^native\/(addon|supervisor|unwinder)\//,
    /^sandboxee-c\/(CMakeLists\.txt|README\.md|(cmake|include|src)\/.*)$/,
    /^scripts\/(install|build-native|check-system)\.mjs$/,
    /^docs\/.*\.md$/,
    /^(README\.md|LICENSE|CHANGELOG\.md|CMakeLists\.txt|package\.json|protocol\/PROTOCOL\.md)$/,
  ];
  for (const file of packed.files) {
    assert.ok(
      allowed.some((form) => form.test(file.path)),
      `${file.path} has no business in the package`,
    );
    const compiled = /^dist\/(.*?)(\.js|\.d\.ts)$/.exec(file.path);
    if (compiled !== null) {
      assert.ok(existsSync(path.join(checkout, `${compiled[1]}.ts`)), `${file.path} has no source any more`);
    }
  }
  assert.ok(packed.size < 1 << 20, `${packed.size} bytes`);
});

const project = path.join(folder, 'project');
/** Why nothing could be installed. */
let missing: string | undefined = 'it was not tried';

test('installs into an empty project, and says nothing', () => {
  assert.ok(packed);
  mkdirSync(project);
  writeFileSync(path.join(project, 'package.json'), '{ "name": "project", "private": true }\n');
  const tarball = path.join(folder, packed.filename);
  const { status, stdout, stderr } = run(
    project,
    'npm',
    ...['install', tarball, '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'],
    ...['--fetch-retries=1', '--fetch-timeout=20000'],
  );
  if (
    status !== 0 &&
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ERR_SOCKET_TIMEOUT|ENETUNREACH/.test(stderr)
  ) {
    missing = 'the npm registry cannot be reached';
    return skip('npm install', missing);
  }
  assert.is(status, 0, stdout + stderr);
  assert.is(stderr, '');
  missing = undefined;
  // Neither the compiler nor the test tools come along.
  for (const name of ['typescript', 'uvu', 'fast-check']) {
    assert.not.ok(existsSync(path.join(project, 'node_modules', name)), name);
  }
});

const sample = samplesOf(path.join(checkout, 'README.md'), 'README.md').find(({ name }) => name === 'unpack');
const main = `
writeFileSync('hello.gz', gzipSync('hello'));
unpack('hello.gz').then((text) => console.log(String(text)));
`;
const withGzip = (name: string): boolean => {
  const reason = missing ?? (existsSync('/usr/bin/gzip') ? undefined : 'there is no /usr/bin/gzip');
  if (reason !== undefined) skip(name, reason);
  return reason === undefined;
};

/** The sample as JavaScript. */
let javascript = '';

test('README’s sample, ESM TypeScript', () => {
  if (!withGzip('README’s sample, ESM TypeScript')) return;
  const require = createRequire(import.meta.url);
  const compiler = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  mkdirSync(path.join(project, 'node_modules/@types'), { recursive: true });
  const types = path.join(project, 'node_modules/@types/node');
  if (!existsSync(types)) symlinkSync(path.join(checkout, 'node_modules/@types/node'), types);
  const imports = "import { writeFileSync } from 'node:fs';\nimport { gzipSync } from 'node:zlib';\n";
  writeFileSync(path.join(project, 'sample.mts'), `${imports}${sample?.code ?? ''}${main}`);
  const compiled = run(
    project,
    process.execPath,
    ...[compiler, '--strict', '--target', 'es2022', '--module', 'nodenext', '--types', 'node', 'sample.mts'],
  );
  assert.is(compiled.stdout, '');
  const { stdout, stderr } = run(project, process.execPath, 'sample.mjs');
  assert.is(stderr, '');
  assert.is(stdout, 'hello\n');
  javascript = run(project, 'cat', 'sample.mjs').stdout;
});

/** import … from and export, said as CommonJS does. */
function toCommonJs(load: string): string {
  const body = javascript
    .replaceAll(/^import (\{[^}]*\}) from '(node:[^']*)';$/gm, "const $1 = require('$2');")
    .replace(/^import (\{[^}]*\}) from 'sandwire';$/m, `const $1 = ${load};`)
    .replace('export async', 'async');
  return load.startsWith('await') ? `(async () => {\n${body}\n})();\n` : body;
}

test('README’s sample, CommonJS with require', () => {
  if (!withGzip('README’s sample, CommonJS with require')) return;
  const features = process.features as { readonly require_module?: unknown };
  if (features.require_module !== true) {
    return skip('CommonJS with require', `Node.js ${process.version} cannot require() an ES module`);
  }
  writeFileSync(path.join(project, 'sample.cjs'), toCommonJs("require('sandwire')"));
  const { stdout, stderr } = run(project, process.execPath, 'sample.cjs');
  assert.is(stdout, 'hello\n', stderr);
});

test('README’s sample, CommonJS with import()', () => {
  if (!withGzip('README’s sample, CommonJS with import()')) return;
  writeFileSync(path.join(project, 'sample.cjs'), toCommonJs("await import('sandwire')"));
  const { stdout, stderr } = run(project, process.execPath, 'sample.cjs');
  assert.is(stderr, '');
  assert.is(stdout, 'hello\n');
});

test('the C library builds from within the package', () => {
  if (missing !== undefined) return skip('the C library builds from within the package', missing);
  const source = path.join(project, 'node_modules/sandwire/sandboxee-c');
  const build = path.join(folder, 'libsandwire');
  assert.is(run(project, 'cmake', '-S', source, '-B', build).status, 0);
  const { status, stdout, stderr } = run(project, 'cmake', '--build', build);
  assert.is(status, 0, stdout + stderr);
});

test.run();
