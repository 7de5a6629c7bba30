// The tests that test/CHECKLIST.md names are there.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkout } from '../support/sandbox.js';

const test = suite('checklist');
const rows = readFileSync(path.join(checkout, 'test/CHECKLIST.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && line !== '| line | here |');
const titles = new Map<string, string[]>();

/** The titles of a test file as its source has them: templates with their holes, variables by their names. */
function titlesOf(file: string): string[] {
  let found = titles.get(file);
  if (found === undefined) {
    const source = readFileSync(path.join(checkout, 'test', `${file}.test.ts`), 'utf8');
    found = [...source.matchAll(/\btest\(\s*(?:(['"`])((?:\\.|(?!\1).)*)\1|(\w+))/g)].map(
      (match) => match[2] ?? match[3] ?? '',
    );
    titles.set(file, found);
  }
  return found;
}

test('each line names a test, or says why it does not apply', () => {
  assert.ok(rows.length > 60, `${rows.length} lines`);
  for (const row of rows) {
    const [, , here = ''] = row.split(/(?<!\\)\|/);
    assert.ok(/`[a-z-]+\/[a-z-]+ › [^`]+`/.test(here) || /does not apply: .{20}/.test(here), row);
  }
});

test('each test that is named is there', () => {
  let named = 0;
  for (const row of rows) {
    for (const [, file = '', title = ''] of row.matchAll(/`([a-z-]+\/[a-z-]+) › ([^`]+)`/g)) {
      assert.ok(
        titlesOf(file).some((each) => each.includes(title)),
        `${file} has no test "${title}"`,
      );
      named += 1;
    }
  }
  assert.ok(named > 60, `${named} tests`);
});

test.run();
