// The tests of what depends on Node's own doings, on a Node version that is promised: Node sandboxees and fork servers, the policy
// for Node, the addon's memory and its waits in the loop.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../support/command.js';
import { installNode, type TestedMajor } from '../support/node-versions.js';
import { checkout } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const files = [
  'sandboxee-node/sandboxee',
  'sandboxee-node/forking',
  'sandboxee-node/forked-holdings',
  'host/holdings',
  'policy/programs',
  'native/buffer',
  'native/comms',
];

const endModule = pathToFileURL(path.join(checkout, 'scripts/test-end.mjs')).href;

/** Makes a test of each file, and runs them. */
export function runOnNodeVersion(major: TestedMajor): void {
  const test = suite(`Node ${major}`);
  const isOwn = process.versions.node.startsWith(`${major}.`);
  const node = isOwn ? undefined : installNode(major);
  for (const name of files) {
    const file = path.join(checkout, `dist/test/${name}.test.js`);
    test(`${name} on Node ${major}`, async () => {
      // The runner itself runs it on the Node it is run by.
      if (node === undefined) return assert.ok(existsSync(file));
      if (!node.ok) return skip(`${name} on Node ${major}`, node.reason);
      const { code, stdout, stderr } = await run(node.path, ['--import', endModule, file]);
      assert.is(code, 0, stdout + stderr);
    });
  }
  test.run();
}
