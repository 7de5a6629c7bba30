// The C of the addon behind a Node fork server; what it checks stands in forking_parts_test.c.
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../support/command.js';
import { checkout } from '../support/sandbox.js';

const program = path.join(checkout, 'build/native-tests/forking_parts_test');
const test = suite('parts of forking');

test('memory, threads', async () => {
  const { code, stdout, stderr } = await run(program, []);
  assert.is(code, 0, stdout + stderr);
  assert.match(stdout, /^[1-9]\d* passed, 0 failed$/m);
});

test.run();
