// The phases of a run in the supervisor: the documented transitions are those of the code, and one that is not among them
// ends that run and no other.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../support/command.js';
import { checkout, sandboxeePath } from '../support/sandbox.js';

const test = suite('phases of a run');
const lines = String(execFileSync(sandboxeePath('run_phases')))
  .trim()
  .split('\n');
const phases = lines.filter((line) => line.startsWith('phase ')).map((line) => line.slice('phase '.length));
const names = phases.map((name) => name.replace(' (open)', ''));
const transitions = lines
  .filter((line) => line.startsWith('from '))
  .map((line) => line.slice('from '.length).split(' > ') as [string, string]);

/** The rows, as cells, of the table with this heading. */
function table(heading: string): string[][] {
  const text = readFileSync(path.join(checkout, 'docs/architecture.md'), 'utf8');
  const rows = text.split(`\n${heading}\n`).at(1)?.split('\n\n').at(0)?.split('\n').slice(1) ?? [];
  return rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

test('docs/architecture.md has the phases of the code, in their order', () => {
  assert.equal(
    table('| phase | what happens in it |').map(([name]) => name),
    names,
  );
  assert.match(
    readFileSync(path.join(checkout, 'docs/architecture.md'), 'utf8'),
    /Up to \*crashing\* the run is open\./,
  );
  assert.is(
    phases.findLastIndex((name) => name.endsWith(' (open)')),
    names.indexOf('crashing'),
  );
  assert.is(phases.filter((name) => name.endsWith(' (open)')).length, names.indexOf('crashing') + 1);
});

test('docs/architecture.md has the transitions of the code', () => {
  const documented = table('| from | to | by |');
  assert.equal(
    documented.map(([from, to]) => `${from} > ${to}`),
    transitions.map(([from, to]) => `${from} > ${to}`),
  );
  for (const [from, to, by] of documented) assert.ok(by, `${from} > ${to}: by what?`);
});

test('every phase can be reached, and the end from every phase', () => {
  const reach = (start: string, step: (at: string) => string[]) => {
    const seen = new Set([start]);
    for (const at of seen) for (const next of step(at)) seen.add(next);
    return [...seen].sort();
  };
  const from = (at: string) => transitions.filter(([before]) => before === at).map(([, to]) => to);
  const to = (at: string) => transitions.filter(([, after]) => after === at).map(([before]) => before);
  assert.equal(reach('awaiting a sandbox', from), [...names].sort());
  assert.equal(reach('reported', to), [...names].sort());
  for (const name of names.filter((each) => each !== 'reported' && each !== 'ending')) {
    assert.ok(from(name).includes('ending'), `${name} can be ended at once`);
  }
  assert.equal(from('reported'), []);
});

test('what is settled stays settled', () => {
  const open = new Set(
    phases.filter((name) => name.endsWith(' (open)')).map((name) => name.replace(' (open)', '')),
  );
  for (const [from, to] of transitions) assert.ok(open.has(from) || !open.has(to), `${from} > ${to}`);
});

// ---- a transition that the table does not have ----

const objects = path.join(checkout, 'build/native/supervisor/CMakeFiles/sandwire-supervisor.dir');
const built = path.join(checkout, 'build');
const copies: string[] = [];
test.after(() => {
  for (const copy of copies) rmSync(copy, { recursive: true, force: true });
});

const filesIn = (folder: string, end: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(end))
    .map((name) => path.join(folder, name));

/** Those of its sources: of sources that have gone, the build keeps them. */
const objectsOfSupervisor = (): string[] =>
  filesIn(objects, '.o').filter((file) =>
    existsSync(path.join(checkout, 'native/supervisor', path.relative(objects, file).replace(/\.o$/, ''))),
  );

/** A copy of what is built, whose supervisor lacks one row of its table. */
function copyWithout(row: string): string {
  const copy = mkdtempSync(path.join(tmpdir(), 'sandwire-phases-'));
  copies.push(copy);
  const folder = path.join(checkout, 'native/supervisor/run');
  const source = readFileSync(path.join(folder, 'run_phase.c'), 'utf8');
  assert.ok(source.includes(`    ${row},\n`), `no row ${row}`);
  writeFileSync(path.join(copy, 'run_phase.c'), source.replace(`    ${row},\n`, ''));
  mkdirSync(path.join(copy, 'build/Release'), { recursive: true });
  execFileSync('cc', [
    ...[
      '-o',
      path.join(copy, 'build/Release/sandwire-supervisor'),
      '-I',
      folder,
      path.join(copy, 'run_phase.c'),
    ],
    ...objectsOfSupervisor().filter((file) => !file.endsWith('/run_phase.c.o')),
    ...filesIn(path.join(built, 'sandboxee-c'), '.a'),
  ]);
  for (const file of ['sandwire.node', 'sandwire-unwinder']) {
    cpSync(path.join(built, 'Release', file), path.join(copy, 'build/Release', file));
  }
  for (const room of ['host', 'native', 'protocol']) {
    cpSync(path.join(checkout, 'dist', room), path.join(copy, 'dist', room), { recursive: true });
  }
  for (const file of ['package.json', 'CMakeLists.txt'])
    cpSync(path.join(checkout, file), path.join(copy, file));
  symlinkSync(path.join(checkout, 'node_modules'), path.join(copy, 'node_modules'));
  return copy;
}

/** Beside a sandboxee that waits, a violation and an ordinary run; then the one that waits is killed. */
const scenario = `
  import { existsSync } from 'node:fs';
  import { Executor, PolicyBuilder, Sandbox2 } from './dist/host/index.js';
  const [folder, getppid] = process.argv.slice(2);
  const lenient = new PolicyBuilder().defaultAction('allowAllSyscalls').build();
  const strict = new PolicyBuilder().allowStaticStartup().allowExit().build();
  const start = (name, args, policy) => new Sandbox2(new Executor(folder + name, [name, ...args]), policy);
  const seen = ({ finalStatus, message }) => ({ finalStatus, message });
  const waiting = start('wait_forever', [], lenient);
  await waiting.runAsync();
  const violating = start('make_syscall', [getppid], strict);
  const violation = await violating.run();
  const ordinary = await start('exit_with', ['0'], strict).run();
  const stillThere = existsSync('/proc/' + waiting.pid);
  const gone = !existsSync('/proc/' + violating.pid);
  waiting.kill();
  const killed = await waiting.awaitResult();
  console.log(JSON.stringify({ violation: seen(violation), ordinary: seen(ordinary), killed: seen(killed), stillThere, gone }));
`;

async function runIn(copy: string): Promise<unknown> {
  writeFileSync(path.join(copy, 'scenario.mjs'), scenario);
  const getppid = String(process.arch === 'x64' ? 110 : 173);
  const { code, stdout, stderr } = await run(
    process.execPath,
    ['scenario.mjs', path.join(built, 'sandboxees/'), getppid],
    '',
    copy,
  );
  assert.is(code, 0, stdout + stderr);
  return JSON.parse(stdout);
}

const defect = (from: string, to: string) => ({
  finalStatus: 'INTERNAL_ERROR',
  message: `moving the run on from ${from} to ${to} (which is not possible: this is a defect of sandwire, please report it)`,
});

test('one that is not possible ends its run, and no other', async () => {
  assert.equal(await runIn(copyWithout('{RUN_RUNNING, RUN_READING}')), {
    violation: defect('running', 'reading'),
    gone: true,
    ordinary: { finalStatus: 'OK' },
    stillThere: true,
    killed: { finalStatus: 'EXTERNAL_KILL' },
  });
});

test('not even the last one can leave the host waiting', async () => {
  const all = defect('ending', 'reported');
  assert.equal(await runIn(copyWithout('{RUN_ENDING, RUN_REPORTED}')), {
    violation: all,
    gone: true,
    ordinary: all,
    stillThere: true,
    killed: all,
  });
});

test.run();
