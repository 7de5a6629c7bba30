// docs/api.md is what the docstrings say now, and leaves nothing out.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, PolicyBuilder } from '../../host/index.js';
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

/** Every public name of an object, own and inherited. */
function namesOf(object: object): readonly string[] {
  const names = new Set<string>(Object.keys(object));
  for (
    let at: object = Object.getPrototypeOf(object);
    at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    for (const name of Object.getOwnPropertyNames(at)) names.add(name);
  }
  names.delete('constructor');
  return [...names];
}

/** Protected: for the classes that stand on each other. */
const inner = new Set(['preset', 'filter', 'tokens']);
/** Public for other files of the package only (@internal). */
const internal = new Set(['claim', 'seal', 'handOver', 'isMapped', 'requestChild']);

for (const [section, object] of [
  ['PolicyBuilder', new PolicyBuilder()],
  ['Comms', new Executor('/usr/bin/true').ipc.comms],
  ['Limits', new Executor('/usr/bin/true').limits],
] as const) {
  test(`has every member of ${section}, the inherited ones too`, () => {
    const [, part = ''] = new RegExp(`^### ${section}\n(.*?)^##`, 'ms').exec(text) ?? [];
    for (const name of namesOf(object)) {
      if (inner.has(name) || internal.has(name)) continue;
      assert.match(part, new RegExp(`^- \`+ ?(readonly |get )?${name}\\b`, 'm'), name);
    }
  });
}

test('has nothing that is internal', () => {
  for (const name of internal) assert.not.match(text, new RegExp(`^- \`${name}\\(`, 'm'), name);
});

test('has the methods of the classes one meets first', () => {
  for (const member of ['runAsync\\(\\)', 'recvUint32\\(', 'addFile\\(', 'setRlimitCpu\\(', 'mapFd\\(']) {
    assert.match(text, new RegExp(`^- \`${member}`, 'm'));
  }
});

test.run();
