// Runs a string of untrusted JavaScript and prints its outcome.
//
//   node dist/examples/untrusted-js/host.js [--memory MIB] [--cpu SECONDS] [--wall MS] [CODE [VALUES]]
//
// VALUES: a JSON object, whose members are the code's globals. Exit code 0: a value; 1: it threw; 2: it was ended.
import { parseArgs } from 'node:util';
import { UntrustedRunner } from './run-untrusted.js';

async function main(): Promise<number> {
  const { values: options, positionals } = parseArgs({
    options: {
      memory: { type: 'string', default: '64' },
      cpu: { type: 'string', default: '2' },
      wall: { type: 'string', default: '5000' },
    },
    allowPositionals: true,
  });
  const [code = 'numbers.map((n) => n * 2)', values = '{ "numbers": [1, 2, 3] }'] = positionals;
  await using runner = await UntrustedRunner.start({
    memoryMiB: Number(options.memory),
    cpuSeconds: Number(options.cpu),
    wallMs: Number(options.wall),
  });
  const outcome = await runner.run(code, JSON.parse(values) as Record<string, unknown>);
  switch (outcome.kind) {
    case 'value':
      console.log(JSON.stringify(outcome.value));
      return 0;
    case 'thrown':
      console.log(outcome.message);
      return 1;
    case 'ended':
      console.log(String(outcome.result));
      return 2;
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`untrusted-js: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 2;
}
