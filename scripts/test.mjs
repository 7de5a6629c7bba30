// Runs every compiled test file in a process of its own, several beside each other, and adds up what they say. Arguments
// choose files whose path contains one of them. --jobs N, or SANDWIRE_TEST_JOBS, says how many run at once (two for each CPU, at
// most 8: much of what they do is to wait), --limit SECONDS how long one may take. The source of a file may say in its first
// lines how it is to be run:
//   // Early: WHY    It takes long, so it begins before the others.
//   // Alone: WHY    Nothing else runs beside it.
// Last line: "<n> passed, <n> failed" and ", <n> skipped" where there are any.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import { describeDescendants } from './test-descendants.mjs';
import { Progress } from './test-progress.mjs';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const { values, positionals: wanted } = parseArgs({
  options: {
    jobs: {
      type: 'string',
      default: process.env.SANDWIRE_TEST_JOBS ?? String(Math.min(2 * availableParallelism(), 8)),
    },
    limit: { type: 'string', default: '600' },
  },
  allowPositionals: true,
});

function wholeNumber(name, text) {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  console.error(`${name} must be a whole number from 1, not ${text}`);
  process.exit(2);
}

const jobs = wholeNumber('--jobs (or SANDWIRE_TEST_JOBS)', values.jobs);
const limitS = wholeNumber('--limit', values.limit);
/** For what a file has started to end after it. */
const leftoverS = Math.min(limitS / 2, 30);

const endModule = new URL('test-end.mjs', import.meta.url).href;

/** What the head of the source says. */
function marksOf(name) {
  const head = readFileSync(path.join(root, 'test', `${name}.ts`), 'utf8').split('\n', 8);
  return head.flatMap((line) => /^\/\/ (Early|Alone): ./.exec(line)?.[1] ?? []);
}

function findFiles() {
  return readdirSync(path.join(root, 'dist/test'), { recursive: true })
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => file.replace(/\.js$/, ''))
    .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
    .sort()
    .map((name) => ({ name, marks: marksOf(name) }));
}

/** Process groups of files that run, to be killed with all they have started. */
const running = new Set();

function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // gone already
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    for (const pid of running) killGroup(pid);
    process.kill(process.pid, signal);
  });
}

/** Runs one file to its end, and to the end of all that holds its output. */
function runFile(name) {
  return new Promise((resolve) => {
    const started = performance.now();
    const file = path.join('dist/test', `${name}.js`);
    const child = spawn(process.execPath, ['--enable-source-maps', '--import', endModule, file], {
      cwd: root,
      env: { ...process.env, SANDWIRE_TEST_LEFTOVER_S: String(leftoverS) },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    running.add(child.pid);
    let output = '';
    let isKilled = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        output += chunk;
      });
    }
    const kill = (why) => {
      output += `\nkilled: ${why}\n${describeDescendants(child.pid)}\n`;
      isKilled = true;
      killGroup(child.pid);
    };
    let timer = setTimeout(kill, limitS * 1000, `it ran for ${limitS} s`);
    child.on('exit', () => {
      clearTimeout(timer);
      timer = setTimeout(
        kill,
        leftoverS * 1000,
        `what it had started held its output for ${leftoverS} s more`,
      );
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(child.pid);
      const ms = Math.round(performance.now() - started);
      resolve({ end: code ?? signal, isBroken: code !== 0 || isKilled, output, ms });
    });
  });
}

/** What uvu and skip() have printed, in numbers. */
function count({ isBroken, output }) {
  const text = stripVTControlCharacters(output);
  // The last such line is the file's own: a failed test may have quoted those of another.
  const last = (pattern) => Number([...text.matchAll(pattern)].at(-1)?.[1] ?? 0);
  const tests = last(/^\s*Total:\s+(\d+)/gm);
  const passed = last(/^\s*Passed:\s+(\d+)/gm);
  const notices = text.split('\n').filter((line) => line.startsWith('SKIP '));
  const isEmpty = !isBroken && tests === 0;
  // A file that dies, or runs nothing at all, has failed once more than its tests say.
  const failed = tests - passed + (isEmpty || (isBroken && tests === passed) ? 1 : 0);
  return { passed, failed, notices, isEmpty };
}

const total = { passed: 0, failed: 0, skipped: 0 };
const files = findFiles();
const progress = new Progress(files.length);

async function runAndReport({ name }) {
  progress.begin(name);
  const result = await runFile(name);
  const { passed, failed, notices, isEmpty } = count(result);
  total.passed += passed - notices.length;
  total.failed += failed;
  total.skipped += notices.length;
  const lines = [`${failed > 0 ? 'FAIL' : 'ok  '} ${name}  ${passed} passed  ${result.ms} ms`];
  for (const notice of notices) lines.push(`     ${notice}`);
  if (failed > 0) lines.push(`${result.output} ${isEmpty ? 'the file ran no test' : `exit ${result.end}`}`);
  progress.end(name, lines.join('\n'));
}

/** Takes files from the queue until it is empty, as many times at once as there are jobs. */
async function runAll(queue, atOnce) {
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) await runAndReport(file);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

const isAlone = ({ marks }) => marks.includes('Alone');
const isEarly = ({ marks }) => marks.includes('Early');
const together = files.filter((file) => !isAlone(file));
await runAll([...together.filter(isEarly), ...together.filter((file) => !isEarly(file))], jobs);
await runAll(files.filter(isAlone), 1);
progress.stop();

if (files.length === 0) {
  console.log(`no test file matches ${wanted.join(' ')}`);
  total.failed += 1;
}
console.log(
  `${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`,
);
process.exit(total.failed > 0 ? 1 : 0);
