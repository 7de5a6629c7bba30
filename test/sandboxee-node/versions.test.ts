// The tests of what depends on Node's own doings, on every Node version that is promised: Node sandboxees and fork servers,
// the policy for Node, the addon's memory and its waits in the loop.
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../support/command.js';
import { installNode, testedMajors } from '../support/node-versions.js';
import { checkout } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('Node versions');
const own = Number(process.versions.node.split('.')[0]);
const files = [
  'sandboxee-node/sandboxee',
  'sandboxee-node/forking',
  'sandboxee-node/forked-holdings',
  'policy/programs',
  'native/buffer',
  'native/comms',
];

for (const major of testedMajors) {
  for (const name of files) {
    test(`${name} on Node ${major}`, async () => {
      if (major === own) return; // that is what the test of this name runs on
      const node = installNode(major);
      if (!node.ok) {
        skip(`${name} on Node ${major}`, node.reason);
        return;
      }
      const file = path.join(checkout, `dist/test/${name}.test.js`);
      const { code, stdout, stderr } = await run(node.path, [file]);
      assert.is(code, 0, stdout + stderr);
    });
  }
}

test.run();
