// Sends a file to a sandboxed C tool and prints the checksum it answers with.
//
//   node dist/examples/crc4/host.js FILE [--violate]
//
// --violate: the tool makes a syscall its policy does not allow. Exit code 0: all went well; 1: it did not.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CommsError, Executor, PolicyBuilder, Sandbox2 } from '../../host/index.js';

const tool = fileURLToPath(new URL('../../../build/examples/crc4', import.meta.url));

const usage = 'usage: npm run demo -- [FILE] [--violate]';

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { violate: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const input = readFileSync(positionals[0] ?? 'README.md');

  // The tool starts up unsandboxed but inside the namespaces, and then sandboxes itself.
  const executor = new Executor(tool, values.violate ? ['crc4', '--violate'] : ['crc4']);
  executor.setEnableSandboxBeforeExec(false);
  executor.limits.setRlimitCpu(60).setWalltimeLimitMs(5000);

  // From then on it may use comms and memory, and exit.
  const policy = new PolicyBuilder()
    .allowComms()
    .allowSystemMalloc()
    .allowExit()
    .addLibrariesForBinary(tool)
    .build();

  await using sandbox = new Sandbox2(executor, policy);
  let answered = false;
  if (await sandbox.runAsync()) {
    try {
      await sandbox.comms.sendBytes(input);
      const checksum = await sandbox.comms.recvUint32();
      answered = true;
      console.log(`0x${checksum.toString(16).padStart(8, '0')}`);
    } catch (error) {
      if (!(error instanceof CommsError)) throw error; // the result says why the tool went silent
    }
  }
  const result = await sandbox.awaitResult();
  console.log(`Final execution status: ${result}`);
  return answered && result.isOk ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`crc4: ${error instanceof Error ? error.message : error}\n${usage}`);
  process.exitCode = 1;
}
