// docs/policy.md: every sample is run, and its table of tokens is that of the code.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { PolicyBuilder } from '../../host/index.js';
import { syscallNumber } from '../../host/policy/syscalls.js';
import { dangerousTokens } from '../../host/policy/tokens.js';
import { checkout } from '../support/sandbox.js';
import { runDocument } from './run-document.js';
import { samplesOf } from './samples.js';

const test = suite('docs/policy.md');

test('the table has all of them', () => {
  const text = readFileSync(path.join(checkout, 'docs/policy.md'), 'utf8');
  const inTable = [...text.matchAll(/^\| `(allow\w+)` \|/gm)].map(([, token]) => token);
  assert.equal(inTable.sort(), [...dangerousTokens].sort());
});

test('the first example does what it says: nothing is opened but for reading', () => {
  const [sample] = samplesOf(path.join(checkout, 'docs/policy.md'), 'docs/policy.md');
  const whole = sample?.code ?? '';
  const code = `${whole.slice(whole.indexOf('const changing'), whole.indexOf('const policy'))}\nreturn builder;`;
  for (const arch of ['x86-64', 'aarch64'] as const) {
    const OnArch = class extends PolicyBuilder {
      constructor() {
        super({ arch });
      }
    };
    const policy = (new Function('PolicyBuilder', code)(OnArch) as PolicyBuilder).build();
    const ways: [string, (flags: number) => number[]][] = [
      ['openat', (flags) => [-100, 0x1000, flags, 0o600]],
    ];
    if (arch === 'x86-64') ways.push(['open', (flags) => [0x1000, flags, 0o600]]);
    for (const [syscall, args] of ways) {
      for (let flags = 0; flags < 1 << 23; flags += flags % 4 === 3 ? 61 : 1) {
        const isReading = (flags & (3 | 0o100 | 0o1000)) === 0;
        const { action } = policy.evaluate({ syscall, args: args(flags) });
        if ((action === 'allow') !== isReading)
          assert.unreachable(`${syscall} with 0${flags.toString(8)}: ${action}`);
      }
    }
    for (const syscall of [
      'creat',
      'openat2',
      'truncate',
      'ftruncate',
      'open_by_handle_at',
      'io_uring_setup',
    ]) {
      if (syscallNumber(syscall, arch) === undefined) continue;
      for (const args of [[], [-100, 0x1000, 0, 24]])
        assert.is.not(policy.evaluate({ syscall, args }).action, 'allow');
    }
  }
});

test.run();

runDocument('docs/policy.md', {
  order: { kind: 'run', prints: /^errno\nsyscall\nPolicyError: / },
  'in-a-file': { kind: 'run', prints: /^\[\{"by":"syscall"/ },
});
