// Real programs of the machine under the presets made for them: none may violate.
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, PolicyBuilder } from '../../host/index.js';
import { runToEnd } from '../support/sandbox.js';

const test = suite('programs under presets');

test('node under allowNode()', async () => {
  const script = fileURLToPath(new URL('./fixtures/busy-script.js', import.meta.url));
  const policy = new PolicyBuilder()
    .allowNode()
    .addLibrariesForBinary(process.execPath)
    .addFile(process.execPath)
    .addFileAt(script, '/script.mjs')
    .addFile('/dev/null')
    .addDirectory('/proc')
    .addTmpfs('/tmp', 64 << 20)
    .build();
  const executor = new Executor(process.execPath, ['node', '--expose-gc', '/script.mjs']);
  const { result, output } = await runToEnd(executor, policy);
  assert.is(String(result), 'OK - Exit code: 0');
  assert.is(output, 'done 200000 ENOENT\n');
});

test.run();
