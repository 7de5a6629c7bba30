// The tests of Node sandboxees and fork servers, host and all, on every Node version they are promised for.
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../support/command.js';
import { installNode, testedMajors } from '../support/node-versions.js';
import { checkout } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('Node versions');
const own = Number(process.versions.node.split('.')[0]);

for (const major of testedMajors) {
  for (const name of ['sandboxee', 'forking']) {
    test(`${name} on Node ${major}`, async () => {
      if (major === own) return; // that is what the test of this name runs on
      const node = installNode(major);
      if (!node.ok) {
        skip(`${name} on Node ${major}`, node.reason);
        return;
      }
      const file = path.join(checkout, `dist/test/sandboxee-node/${name}.test.js`);
      const { code, stdout, stderr } = await run(node.path, [file]);
      assert.is(code, 0, stdout + stderr);
    });
  }
}

test.run();
