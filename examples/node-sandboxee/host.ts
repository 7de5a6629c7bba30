// Lets a sandboxed Node script count the words of a file and replace some of them. Values are sent both ways as they
// are; the file itself is in shared memory.
import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Buffer, CommsError, Executor, PolicyBuilder, Sandbox2 } from '../../host/index.js';

const script = fileURLToPath(new URL('sandboxee.js', import.meta.url));
const [file = 'README.md', from = 'sandbox', to = 'playground'] = process.argv.slice(2);

const policy = new PolicyBuilder().allowNode().addNodeRuntime().addDirectory(dirname(script)).build();

interface Answer {
  readonly common: Map<string, number>;
  readonly length: number;
  readonly finished: Date;
}

/** A sandboxee may send anything, so its answer is checked before it is used. */
function isAnswer(value: unknown): value is Answer {
  const { common, length, finished } = (value ?? {}) as Partial<Answer>;
  return common instanceof Map && finished instanceof Date && Number.isSafeInteger(length);
}

async function main(): Promise<number> {
  const executor = Executor.node(script, [], { execArgv: ['--max-old-space-size=128'] });
  executor.setEnableSandboxBeforeExec(false);
  executor.limits.setRlimitCpu(10).setWalltimeLimitMs(10_000);
  using buffer = Buffer.create(readFileSync(file));
  await using sandbox = new Sandbox2(executor, policy);
  let answer: unknown;
  if (await sandbox.runAsync()) {
    const { comms } = sandbox;
    try {
      await comms.sendValue({ title: basename(file), replace: new Map([[from, to]]) });
      await comms.sendFd(buffer.fd);
      answer = await comms.recvValue();
    } catch (error) {
      if (!(error instanceof CommsError)) throw error; // the result says why the script went silent
    }
  }
  const result = await sandbox.awaitResult();
  console.log(`Final execution status: ${result}`);
  if (!isAnswer(answer)) return 1;
  buffer.expand(0);
  const text = new TextDecoder().decode(buffer.data.slice(0, answer.length));
  console.log([...answer.common].map(([word, count]) => `${word}: ${count}`).join(', '));
  console.log(text.split('\n', 1)[0]);
  return result.isOk ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`node-sandboxee: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
