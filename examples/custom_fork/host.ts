// Starts a fork server, and has it fork sandboxees, one after the other.
import { fileURLToPath } from 'node:url';
import { CommsError, Executor, PolicyBuilder, Sandbox2 } from '../../host/index.js';

const binary = fileURLToPath(new URL('../../../build/examples/custom_fork', import.meta.url));
const count = Number(process.argv[2] ?? 10);

async function main(): Promise<number> {
  if (!Number.isInteger(count) || count < 1) {
    throw new Error(`a number of children is needed, not ${process.argv[2]}`);
  }
  // The fork server: not sandboxed, it prepares itself and waits.
  await using forkServer = await new Executor(binary, ['custom_fork']).startForkServer();

  // What its children may do once they are sandboxed.
  const policy = new PolicyBuilder()
    .allowComms()
    .allowExit()
    .allowSyscall('getpid')
    .allowSystemMalloc()
    .build();

  let failed = 0;
  for (let number = 0; number < count; number++) {
    await using sandbox = new Sandbox2(new Executor(forkServer), policy);
    const started = performance.now();
    if (await sandbox.runAsync()) {
      try {
        await sandbox.comms.sendInt32(number);
        const square = await sandbox.comms.recvUint32();
        console.log(`${number} squared is ${square} (${(performance.now() - started).toFixed(1)} ms)`);
      } catch (error) {
        if (!(error instanceof CommsError)) throw error; // the result says why it went silent
      }
    }
    const result = await sandbox.awaitResult();
    console.log(`Final execution status: ${result}`);
    if (result.exitCode !== number) failed += 1;
  }
  return failed === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`custom_fork: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
