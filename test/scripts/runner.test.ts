// The runner of these tests: what it counts, in which order and how many at once it runs files, and what it does with those that
// do not end.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../support/command.js';
import { checkout, eventually, isAlive } from '../support/sandbox.js';

const test = suite('runner');

/** Test files by name, their source's first line and what they do. They share the folder they run in. */
type Files = Record<string, readonly [head: string, code: string]>;

async function withFiles(files: Files, use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-runner-'));
  try {
    for (const place of ['scripts', 'test/room', 'dist/test/room'])
      mkdirSync(path.join(folder, place), { recursive: true });
    for (const script of ['test.mjs', 'test-descendants.mjs', 'test-end.mjs', 'test-progress.mjs'])
      copyFileSync(path.join(checkout, 'scripts', script), path.join(folder, 'scripts', script));
    writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }\n');
    for (const [name, [head, code]] of Object.entries(files)) {
      writeFileSync(path.join(folder, `test/room/${name}.test.ts`), `${head}\n`);
      writeFileSync(path.join(folder, `dist/test/room/${name}.test.js`), `${before}${code}\n`);
    }
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What the files have at hand; what they print is like uvu's. */
const before = `
import { existsSync, readdirSync, appendFileSync, writeFileSync, unlinkSync } from 'node:fs';
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const until = async (condition) => { while (!condition()) await sleep(5); };
const report = (total, passed) => {
  console.log(\`\\n  Total:     \${total}\\n  Passed:    \${passed}\`);
  process.stdout.write('\\n  Duration:  1.00ms\\n\\n');
};
`;

const runner = (folder: string, ...args: string[]) =>
  run(process.execPath, [path.join(folder, 'scripts/test.mjs'), ...args]);

const lastLine = (text: string) => text.trimEnd().split('\n').at(-1);

test('counts what files say, and says it in the last line', async () => {
  const files: Files = {
    good: ['', 'report(3, 3);'],
    skips: ['', "console.log('SKIP this: for a reason'); report(2, 2);"],
  };
  await withFiles(files, async (folder) => {
    const both = await runner(folder);
    assert.is(both.code, 0, both.stdout);
    assert.is(lastLine(both.stdout), '4 passed, 0 failed, 1 skipped');
    assert.match(
      both.stdout,
      /^ok {3}room\/skips\.test {2}2 passed {2}\d+ ms\n {5}SKIP this: for a reason$/m,
    );
    assert.is(lastLine((await runner(folder, 'good')).stdout), '3 passed, 0 failed');
    const none = await runner(folder, 'nowhere');
    assert.is(none.code, 1);
    assert.is(lastLine(none.stdout), '0 passed, 1 failed');
  });
});

test('a failed test, a file that dies, one without tests, and totals that a failure quotes', async () => {
  const files: Files = {
    dies: ['', "report(2, 2); process.kill(process.pid, 'SIGKILL');"],
    empty: ['', "console.log('nothing');"],
    fails: ['', "console.error('the reason'); report(4, 3); process.exitCode = 1;"],
    quotes: ['', 'report(20, 19); report(2, 1); process.exitCode = 1;'],
  };
  await withFiles(files, async (folder) => {
    const { code, stdout } = await runner(folder);
    assert.is(code, 1);
    assert.match(stdout, /^FAIL room\/dies\.test {2}2 passed [\s\S]* exit SIGKILL$/m);
    assert.match(stdout, /^FAIL room\/empty\.test {2}0 passed [\s\S]* the file ran no test$/m);
    assert.match(stdout, /^FAIL room\/fails\.test {2}3 passed [\s\S]*^the reason$[\s\S]* exit 1$/m);
    assert.match(stdout, /^FAIL room\/quotes\.test {2}1 passed /m);
    assert.is(lastLine(stdout), '6 passed, 4 failed');
  });
});

test('as many at once as are asked for, early ones first, and those alone by themselves at the end', async () => {
  // Each waits for the other, and says when it has begun.
  const pair = (own: string, other: string) =>
    `writeFileSync('${own}', ''); await until(() => existsSync('${other}')); report(1, 1);`;
  const begin = (name: string) => `appendFileSync('order', '${name} ');`;
  const alone = (name: string) => `${begin(name)} writeFileSync('now-${name}', ''); await sleep(50);
    const others = readdirSync('.').filter((file) => file.startsWith('now-'));
    unlinkSync('now-${name}'); report(1, others.length === 1 ? 1 : 0);`;
  const files: Files = {
    a: ['// Alone: it counts.', alone('a')],
    b: ['// Of b.\n// Alone: it counts, too.', alone('b')],
    c: ['// An ordinary one. Alone: is not said at the beginning of a line.', `${begin('c')} report(1, 1);`],
    d: ['// Early: it is slow.', begin('d') + pair('d', 'e')],
    e: ['// Early: it is slow.', begin('e') + pair('e', 'd')],
  };
  await withFiles(files, async (folder) => {
    const { code, stdout } = await runner(folder, '--jobs', '2');
    assert.is(code, 0, stdout);
    assert.is(lastLine(stdout), '5 passed, 0 failed');
    const order = readFileSync(path.join(folder, 'order'), 'utf8').trim();
    assert.ok(['d e c a b', 'e d c a b'].includes(order), order);
  });
});

test('wrong numbers of jobs are refused', async () => {
  for (const jobs of ['0', '-1', 'many', '1.5']) {
    const { code, stderr } = await run(process.execPath, [
      path.join(checkout, 'scripts/test.mjs'),
      `--jobs=${jobs}`,
    ]);
    assert.is(code, 2);
    assert.match(stderr, /must be a whole number from 1/);
  }
});

test('a file that does not end, one that its tests keep alive, and one whose child lives on, are ended with what they have started', async () => {
  const child = "import { spawn } from 'node:child_process';";
  const waits = "spawn('sleep', ['1000'], { stdio: 'inherit' })";
  const files: Files = {
    hangs: ['', `${child} writeFileSync('pid-hangs', String(${waits}.pid)); setInterval(() => {}, 1000);`],
    stays: ['', 'report(3, 2); setInterval(() => {}, 1000);'],
    leaves: [
      '',
      `${child} const left = ${waits}; writeFileSync('pid-leaves', String(left.pid)); left.unref(); report(1, 1);`,
    ],
  };
  await withFiles(files, async (folder) => {
    const { code, stdout } = await runner(folder, '--jobs', '3', '--limit', '10');
    assert.is(code, 1);
    assert.match(
      stdout,
      /^FAIL room\/hangs\.test [\s\S]*^killed: it ran for 10 s\n {2}\d+ \(of \d+\) \S .*node.*\n {2}\d+ \(of \d+\) S \S+ sleep 1000 $/m,
    );
    assert.match(
      stdout,
      /^FAIL room\/leaves\.test {2}1 passed [\s\S]*^killed: what it had started held its output for 5 s more$/m,
    );
    assert.match(
      stdout,
      /^FAIL room\/stays\.test {2}2 passed [\s\S]*^still alive 5 s after its tests, because of: .*Timeout.*$[\s\S]* exit 1$/m,
    );
    assert.is(lastLine(stdout), '3 passed, 3 failed');
    for (const name of ['hangs', 'leaves']) {
      const pid = Number(readFileSync(path.join(folder, `pid-${name}`), 'utf8'));
      await eventually(`what ${name} has started is gone`, () => !isAlive(pid));
    }
  });
});

test('interrupted it leaves nothing', async () => {
  const files: Files = {
    hangs: ['', "writeFileSync('pid', String(process.pid)); setInterval(() => {}, 1000);"],
  };
  await withFiles(files, async (folder) => {
    const child = spawn(process.execPath, [path.join(folder, 'scripts/test.mjs')], { stdio: 'ignore' });
    const file = path.join(folder, 'pid');
    await eventually('the file runs', () => existsSync(file) && readFileSync(file, 'utf8') !== '');
    child.kill('SIGINT');
    const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
    assert.is(signal, 'SIGINT');
    await eventually('the file is gone', () => !isAlive(Number(readFileSync(file, 'utf8'))));
  });
});

interface Progress {
  begin(name: string): void;
  end(name: string, lines: string): void;
  stop(): void;
}

test('what is running is seen: on a terminal in a last line that changes, elsewhere after some silence', async () => {
  const { Progress } = (await import(
    pathToFileURL(path.join(checkout, 'scripts/test-progress.mjs')).href
  )) as {
    Progress: new (count: number, out: object, silenceMs?: number) => Progress;
  };
  let text = '';
  const write = (piece: string) => {
    text += piece;
  };
  const terminal = new Progress(3, { isTTY: true, columns: 60, write });
  terminal.begin('room/one');
  terminal.begin('room/two');
  terminal.end('room/one', 'ok   room/one');
  terminal.end('room/two', 'ok   room/two');
  terminal.stop();
  const erase = '\r\x1b[K';
  assert.ok(text.includes('ok   room/one\n\r     1 of 3 files; running: room/two 0 s'), JSON.stringify(text));
  assert.ok(text.endsWith(`ok   room/two\n${erase}`), JSON.stringify(text));
  text = '';
  const log = new Progress(3, { write }, 20);
  log.begin('room/one');
  await eventually('it is said', () => text.includes('     0 of 3 files; running: room/one 0 s\n'));
  log.stop();
  assert.not.ok(text.includes('\r'), JSON.stringify(text));
});

test.run();
