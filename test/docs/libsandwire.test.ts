// sandboxee-c/README.md: its example, compiled as written, does its work under a host.
import { runDocument } from './run-document.js';

const packageTest = 'dist/test/sandboxee-c/package.test.js';

runDocument('sandboxee-c/README.md', {
  synopsis: { kind: 'tested-by', file: packageTest },
  package: { kind: 'tested-by', file: packageTest },
  'pkg-config': { kind: 'tested-by', file: packageTest },
  tool: {
    kind: 'hosted',
    host: `import { resolve } from 'node:path';
import { Executor, PolicyBuilder, Sandbox2 } from 'sandwire';
const tool = resolve('tool');
const executor = new Executor(tool).setEnableSandboxBeforeExec(false);
const policy = new PolicyBuilder().allowComms().allowExit().allowSystemMalloc().addLibrariesForBinary(tool).build();
await using sandbox = new Sandbox2(executor, policy);
if (await sandbox.runAsync()) {
  await sandbox.comms.sendBytes(Buffer.from('hello'));
  console.log((await sandbox.comms.recvUint32()).toString(16));
}
console.log(String(await sandbox.awaitResult()));
`,
    prints: '6c6c6507\nOK - Exit code: 0\n',
  },
});
