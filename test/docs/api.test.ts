// docs/api.md is what the docstrings say now, and leaves nothing out.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../support/command.js';
import { checkout } from '../support/sandbox.js';

const test = suite('docs/api.md');
const text = readFileSync(path.join(checkout, 'docs/api.md'), 'utf8');

test('is fresh', async () => {
  const { code, stderr } = await run(process.execPath, ['scripts/api.mjs', '--check'], '', checkout);
  assert.is(stderr, '');
  assert.is(code, 0);
});

for (const entry of ['sandwire', 'sandwire/sandboxee', 'sandwire/testing', 'sandwire/protocol']) {
  test(`has every export of ${entry}`, async () => {
    const exported = Object.keys((await import(entry)) as object);
    assert.ok(exported.length > 0);
    for (const name of exported)
      assert.match(text, new RegExp(`^### ${name}$|^Also exported.*\`${name}\``, 'm'));
  });
}

test('has the methods of the classes one meets first', () => {
  for (const member of ['runAsync\\(\\)', 'recvUint32\\(', 'addFile\\(', 'setRlimitCpu\\(', 'mapFd\\(']) {
    assert.match(text, new RegExp(`^- \`${member}`, 'm'));
  }
});

test.run();
