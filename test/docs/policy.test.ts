// docs/policy.md: every sample is run, and its table of tokens is that of the code.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { dangerousTokens } from '../../host/policy/tokens.js';
import { checkout } from '../support/sandbox.js';
import { runDocument } from './run-document.js';

const test = suite('tokens');

test('the table has all of them', () => {
  const text = readFileSync(path.join(checkout, 'docs/policy.md'), 'utf8');
  const inTable = [...text.matchAll(/^\| `(allow\w+)` \|/gm)].map(([, token]) => token);
  assert.equal(inTable.sort(), [...dangerousTokens].sort());
});

test.run();

runDocument('docs/policy.md', {
  order: { kind: 'run', prints: /^errno\nallowOpen\nPolicyError: / },
  'in-a-file': { kind: 'run', prints: /^\[\{"by":"syscall"/ },
});
