// The recipes of CONTRIBUTING.md, followed: in a copy of the tree one of each is added as the recipe says, and it works.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../support/command.js';
import { checkout } from '../support/sandbox.js';

const test = suite('recipes');
const copy = mkdtempSync(path.join(tmpdir(), 'sandwire-recipes-'));
const contributing = readFileSync(path.join(checkout, 'CONTRIBUTING.md'), 'utf8');

/** The files that the recipe of this title names, in its list. */
function filesOf(title: string): string[] {
  const section = contributing.split(/^### /m).find((text) => text.startsWith(`${title}\n`)) ?? '';
  return [...section.matchAll(/^\d\. `([^`]+)`/gm)].map((match) => match[1] ?? '');
}

async function inCopy(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(process.execPath, args, '', copy);
  assert.is(code, 0, stdout + stderr);
  return stdout;
}

const touched = new Map<string, Set<string>>();

/** Writes the file as changed, or a new one; each file must be named by the recipe. */
function edit(recipe: string, file: string, change: (text: string | undefined) => string): void {
  const listed = filesOf(recipe).map((name) => new RegExp(`^${name.replaceAll('NAME', '[^/]+')}$`));
  assert.ok(
    listed.some((form) => form.test(file)),
    `the recipe "${recipe}" of CONTRIBUTING.md does not name ${file}`,
  );
  touched.set(recipe, (touched.get(recipe) ?? new Set()).add(file));
  const target = path.join(copy, file);
  let present: string | undefined;
  try {
    present = readFileSync(target, 'utf8');
  } catch {}
  mkdirSync(path.dirname(target), { recursive: true });
  writeFileSync(target, change(present));
}

/** Puts the text in front of the first match. */
const before = (mark: string | RegExp, added: string) => (text: string | undefined) => {
  const at = (typeof mark === 'string' ? text?.indexOf(mark) : text?.search(mark)) ?? -1;
  assert.ok(text !== undefined && at >= 0, `${mark} is not there`);
  return text.slice(0, at) + added + text.slice(at);
};

test.before(() => {
  const left = new Set(['node_modules', 'dist', 'build', '.git']);
  cpSync(checkout, copy, {
    recursive: true,
    filter: (source) => !left.has(path.relative(checkout, source).split(path.sep)[0] ?? ''),
  });
  for (const folder of ['node_modules', 'build']) {
    symlinkSync(path.join(checkout, folder), path.join(copy, folder));
  }
});
test.after(() => rmSync(copy, { recursive: true, force: true }));

test('a limit', () => {
  edit(
    'A limit',
    'protocol/limits.json',
    before(
      /^ {4}\{\n {6}"name": "cpuSeconds"/m,
      `    {
      "name": "realTimeMicroseconds",
      "resource": "RLIMIT_RTTIME",
      "number": 15,
      "words": "real time",
      "unit": "microseconds",
      "least": 2,
      "tooFew": " for a test",
      "doc": "Time under real-time scheduling."
    },
`,
    ),
  );
});

test('an integer type', () => {
  const recipe = 'An integer type';
  edit(recipe, 'protocol/wire.json', (text) =>
    before(
      '"Int8": { "bits"',
      '"Ticks": { "bits": 16, "signed": true },\n    ',
    )(before('"MessagePack": ', '"Ticks": "0x53570777",\n    ')(text)),
  );
  edit(
    recipe,
    'protocol/vectors.json',
    before(
      /^ {2}\{"send": "Int8"/m,
      '  {"send": "Ticks", "value": -2, "fds": 0, "bytes": "770757530200000000000000feff"},\n',
    ),
  );
});

test('a syscall name', () => {
  edit(
    'A syscall name',
    'host/policy/tables/syscalls.json',
    before('"pidfd_send_signal"', '"brand_new": 999,\n    '),
  );
});

test('a preset', () => {
  const recipe = 'A preset';
  edit(
    recipe,
    'host/policy/preset-builder.ts',
    before(
      '  /** exit, exit_group */',
      "  /** brand_new, when its first argument is 7 */\n  allowBrandNew = () =>\n    this.preset('allowBrandNew', { when: [['brand_new', (arg) => arg(0).u32.eq(7)]] });\n",
    ),
  );
  edit(
    recipe,
    'test/policy/helper-table.ts',
    before(
      /^ {2}simple\('allowExit'/m,
      "  { method: 'allowBrandNew', call: (b) => b.allowBrandNew(), some: { brand_new: [[7]] }, none: { brand_new: [[8]] } },\n",
    ),
  );
});

test('a subcommand', () => {
  const recipe = 'A subcommand';
  edit(
    recipe,
    'cli/greet.ts',
    () => `import type { Subcommand } from './subcommand.js';

export const greet: Subcommand = {
  name: 'greet',
  summary: 'greets',
  synopsis: '[--name NAME]',
  options: { name: { type: 'string' } },
  async run(values) {
    process.stdout.write(\`hello \${values['name']}\\n\`);
    return 0;
  },
};
`,
  );
  edit(recipe, 'cli/subcommands.ts', (text) =>
    before(
      /^import type/m,
      "import { greet } from './greet.js';\n",
    )(text?.replace('[doctor', '[greet, doctor')),
  );
});

test('an example', () => {
  edit(
    'An example',
    'examples/hello/host.ts',
    () =>
      "import { PolicyBuilder } from '../../host/index.js';\n\nconsole.log(new PolicyBuilder().build().explain().length > 0);\n",
  );
});

test('all of it generates, compiles and works', async () => {
  await inCopy('scripts/generate.mjs');
  await inCopy('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json');
  const limit = `const { Limits } = await import('${path.join(copy, 'dist/host/index.js')}');
    console.log(String(new Limits().setRlimitRttime(5).values.realTimeMicroseconds));
    try { new Limits().setRlimitRttime(1) } catch (error) { console.log(error.message) }`;
  assert.is(
    await inCopy('--input-type=module', '-e', limit),
    '5\nLimits.setRlimitRttime: 1 microseconds are too few for a test\n',
  );
  assert.is(await inCopy('dist/cli/main.js', 'greet', '--name', 'you'), 'hello you\n');
  assert.match(await inCopy('dist/cli/main.js', 'help'), /^greet {3}greets$/m);
  assert.is(await inCopy('dist/examples/hello/host.js'), 'true\n');
  const includes = ['include', 'src', 'test'].map((folder) => `-Isandboxee-c/${folder}`);
  const sources = [
    'src/comms_send',
    'src/comms_receive',
    'src/error',
    'test/comms_test',
    'test/vectors_test',
  ];
  const compiled = await run(
    'cc',
    [
      ...['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-fsyntax-only', ...includes],
      ...sources.map((source) => `sandboxee-c/${source}.c`),
    ],
    '',
    copy,
  );
  assert.is(compiled.code, 0, compiled.stderr);
  const request = await run(
    'cc',
    [
      ...['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-fsyntax-only', '-Inative/supervisor', ...includes],
      'native/supervisor/request/start_request.c',
    ],
    '',
    copy,
  );
  assert.is(request.code, 0, request.stderr);
  const header = readFileSync(path.join(copy, 'sandboxee-c/include/sandwire/integers.generated.h'), 'utf8');
  assert.match(header, /sandwire_comms_recv_ticks\(struct sandwire_comms \*comms, int16_t \*value\);/);
  for (const file of ['protocol/comms', 'policy/listing', 'policy/helpers'])
    await inCopy(`dist/test/${file}.test.js`);
});

test('no recipe takes more files than it should', () => {
  const most = {
    'A limit': 3,
    'An integer type': 5,
    'A syscall name': 2,
    'A preset': 2,
    'A subcommand': 3,
    'An example': 3,
  };
  for (const [recipe, limit] of Object.entries(most)) {
    const named = filesOf(recipe);
    assert.ok(named.length > 0 && named.length <= limit, `${recipe}: ${named}`);
    assert.ok(touched.has(recipe), `${recipe} was not followed`);
  }
});

test.run();
