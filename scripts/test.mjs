// Runs every compiled test file in a process of its own and adds up what they say. Arguments choose files whose
// path contains one of them. Last line: "<n> passed, <n> failed" and ", <n> skipped" where there are any.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const limitMs = 10 * 60_000;
const wanted = process.argv.slice(2);
const files = readdirSync(path.join(root, 'dist/test'), { recursive: true })
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort();

function runFile(file) {
  return new Promise((resolve) => {
    const started = performance.now();
    const child = spawn(process.execPath, ['--enable-source-maps', path.join('dist/test', file)], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      output += chunk;
    });
    const timer = setTimeout(() => {
      output += `\nkilled after ${limitMs} ms\n`;
      child.kill('SIGKILL');
    }, limitMs);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ file, code, signal, output, ms: Math.round(performance.now() - started) });
    });
  });
}

const total = { passed: 0, failed: 0, skipped: 0 };
for (const file of files) {
  const result = await runFile(file);
  const text = stripVTControlCharacters(result.output);
  const sum = (pattern) => [...text.matchAll(pattern)].reduce((n, match) => n + Number(match[1]), 0);
  const tests = sum(/^\s*Total:\s+(\d+)/gm);
  const passed = sum(/^\s*Passed:\s+(\d+)/gm);
  const notices = text.split('\n').filter((line) => line.startsWith('SKIP '));
  // A file that dies, or runs nothing at all, has failed once more than its tests say.
  const broken = result.code !== 0 && tests === passed ? 1 : 0;
  const empty = result.code === 0 && tests === 0 ? 1 : 0;
  const failed = tests - passed + broken + empty;
  total.passed += passed - notices.length;
  total.failed += failed;
  total.skipped += notices.length;
  console.log(
    `${failed > 0 ? 'FAIL' : 'ok  '} ${file.replace(/\.js$/, '')}  ${passed} passed  ${result.ms} ms`,
  );
  for (const notice of notices) console.log(`     ${notice}`);
  if (failed > 0)
    console.log(result.output, empty ? 'the file ran no test' : `exit ${result.code ?? result.signal}`);
}
if (files.length === 0) {
  console.log(`no test file matches ${wanted.join(' ')}`);
  total.failed += 1;
}
console.log(
  `${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`,
);
process.exit(total.failed > 0 ? 1 : 0);
