// Builds libsandwire and runs its C tests: as they are, under AddressSanitizer and UBSan, under valgrind.
// Early: it builds the library several times.
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { skip } from '../support/skip.js';
import { build, isInstalled, run, whyNotBuilt } from './build.js';
import { readVectors, toLine } from './vectors.js';

const programs = [
  'buffer_test',
  'closer_test',
  'comms_test',
  'empty_network_test',
  'filter_test',
  'forking_test',
  'hostile_test',
  'listener_test',
  'protobuf_test',
  'reader_test',
];
const test = suite('libsandwire');

function checkReport(output: string): void {
  const match = /^(\d+) passed, (\d+) failed$/m.exec(output);
  assert.ok(match, output);
  assert.ok(Number(match[1]) > 0, output);
  assert.is(match[2], '0', output);
}

for (const variant of ['plain', 'sanitized'] as const) {
  const reason = whyNotBuilt(variant);
  if (reason !== undefined) {
    test(`C tests, ${variant}`, () => skip(`C tests, ${variant}`, reason));
    continue;
  }
  test(`builds (${variant})`, () => {
    build(variant);
  });
  for (const program of programs) {
    test(`${program} (${variant})`, () => {
      checkReport(run(join(build(variant), program), []));
    });
  }
  test(`golden vectors (${variant})`, () => {
    const lines = readVectors().map(toLine);
    checkReport(run(join(build(variant), 'vectors_test'), [], `${lines.join('\n')}\n`));
  });
}

if (isInstalled('valgrind', ['--quiet', 'true'])) {
  // Valgrind does not know the magic syscall, makes syscalls, and has mappings and open files of its own; it knows no clone()
  // but fork and threads, and not the syscalls that closer_test is about.
  const unfit = ['filter_test', 'forking_test', 'empty_network_test', 'closer_test'];
  for (const program of programs.filter((name) => !unfit.includes(name))) {
    test(`${program} (valgrind)`, () => {
      const valgrind = ['--quiet', '--error-exitcode=99', '--leak-check=full', '--track-fds=no'];
      checkReport(run('valgrind', [...valgrind, join(build('plain'), program)]));
    });
  }
} else {
  test('C tests under valgrind', () =>
    skip('C tests under valgrind', 'it is not installed, or fits not this machine (Debian: valgrind)'));
}

test('the reader withstands libFuzzer for a few seconds', () => {
  const reason = whyNotBuilt('fuzzed');
  if (reason !== undefined) return skip('the reader under libFuzzer', `${reason} (Debian: clang)`);
  const folder = build('fuzzed');
  run(join(folder, 'reader_fuzzer'), ['-max_total_time=5', '-max_len=4096', '-print_final_stats=0']);
});

test.run();
