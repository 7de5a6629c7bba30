// Worker threads that use sandwire: each has a supervisor of its own, and the host goes on however one ends.
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../support/command.js';
import { eventually, isAlive, runToEnd, sandboxee, sandboxeePath } from '../support/sandbox.js';

const test = suite('worker threads');

// In processes of their own, whose main threads never load the addon.
for (const how of ['return', 'exit', 'idle', 'loop', 'run', 'listen', 'receive']) {
  test(`sandwire in a worker thread alone, which ends: ${how}`, async () => {
    const script = fileURLToPath(new URL('./fixtures/only-in-worker.js', import.meta.url));
    assert.equal(await run(process.execPath, [script, how]), {
      code: 0,
      stdout: 'the host goes on\n',
      stderr: '',
    });
  });
}

test('each has its own supervisor', async () => {
  interface Said {
    readonly supervisor: number;
    readonly waiting: number;
    readonly results: readonly string[];
  }
  const workers = Array.from(
    { length: 4 },
    () =>
      new Worker(new URL('./fixtures/worker.js', import.meta.url), {
        stderr: true,
        workerData: { runs: 10, exits: sandboxeePath('exit_with'), waits: sandboxeePath('wait_forever') },
      }),
  );
  let complaints = '';
  for (const worker of workers) worker.stderr.on('data', (text) => (complaints += String(text)));
  const said = (await Promise.all(
    workers.map(async (worker) => (await once(worker, 'message'))[0]),
  )) as Said[];
  assert.is(new Set(said.map(({ supervisor }) => supervisor)).size, 4);
  for (const { results } of said) {
    assert.equal(
      results,
      Array.from({ length: 10 }, (_, index) => `OK - Exit code: ${index}`),
    );
  }
  workers[0]?.postMessage('exit'); // by itself; the others by force, in the middle of a run
  await once(workers[0] as Worker, 'exit');
  await Promise.all(workers.slice(1).map((worker) => worker.terminate()));
  for (const { supervisor, waiting } of said) {
    await eventually('supervisor and sandboxee are gone', () => !isAlive(supervisor) && !isAlive(waiting));
  }
  assert.is(complaints, '', 'each fd was closed by those who opened it');
  assert.is((await runToEnd(sandboxee('exit_with', ['6']))).result.exitCode, 6);
});

test.run();
