// The extractor: a sample without a name, or one nobody runs, must not slip through.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { joinModules, samplesOf, wholeCode } from './samples.js';

const test = suite('samples of documents');
const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
test.after(() => rmSync(folder, { recursive: true }));

function extract(...lines: string[]) {
  const file = path.join(folder, 'x.md');
  writeFileSync(file, lines.join('\n'));
  return samplesOf(file, 'x.md');
}

test('a block is a sample, with its line', () => {
  const [sample] = extract('text', '', '```ts one', 'const a = 1;', '```', 'text');
  assert.is(sample?.name, 'one');
  assert.is(sample?.line, 3);
  assert.is(sample?.code, 'const a = 1;\n');
});

for (const [why, lines, message] of [
  ['no name', ['```ts', '```'], /x\.md:1: a block needs a name/],
  ['no language', ['', '```', '```'], /x\.md:2: a block needs a language/],
  ['no such language', ['```rust one', '```'], /needs a language/],
  ['no end', ['```ts one', 'code'], /never closed/],
  ['a name twice', ['```ts one', '```', '```c one', '```'], /two samples are named one/],
  ['after what is not there', ['```ts one after=two', '```'], /there is no sample two/],
  ['output of what is not there', ['```text output-of=two', '```'], /there is no sample two/],
] as const) {
  test(`refused: ${why}`, () => {
    assert.throws(() => extract(...lines), message);
  });
}

test('what a sample goes on from comes first, and once', () => {
  const samples = extract(
    ...['```ts a', "import { x } from 'm';", 'A();', '```', '```ts b after=a', 'B();', '```'],
    ...['```ts c after=a+b', "import { x, y } from 'm';", 'C();', '```'],
  );
  const last = samples[2];
  assert.ok(last);
  assert.is(wholeCode(last, samples, 'D();\n'), "import { x, y } from 'm';\nA();\nB();\nC();\nD();\n");
});

test('imports over several lines, types and defaults', () => {
  assert.is(
    joinModules([
      "import {\n  a,\n  b,\n} from 'm';\nimport fs from 'fs';\n1;\n",
      "import type { T } from 'm';\n2;\n",
    ]),
    "import { a, b, type T } from 'm';\nimport fs from 'fs';\n1;\n2;\n",
  );
});

test.run();
