// node scripts/fuzz.mjs [SECONDS]: libFuzzer over libsandwire's reader and protobuf parser, by default for an hour.
// Useful inputs stay in build/fuzz/corpus for the next time. Needs clang.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const seconds = Number(process.argv[2] ?? 3600);
if (!(seconds > 0)) {
  console.error('usage: node scripts/fuzz.mjs [SECONDS]');
  process.exit(2);
}
const build = path.join(root, 'build/fuzz');
const corpus = path.join(build, 'corpus');

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (result.error) console.error(`${command}: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status || 1);
}

const compiler = process.env.CC ?? 'clang';
run('cmake', ['-S', 'sandboxee-c', '-B', build, `-DCMAKE_C_COMPILER=${compiler}`, '-DSANDWIRE_FUZZ=ON']);
run('cmake', ['--build', build, '--target', 'reader_fuzzer']);
mkdirSync(corpus, { recursive: true });
run(path.join(build, 'test/reader_fuzzer'), [corpus, `-max_total_time=${seconds}`, '-max_len=65536']);
