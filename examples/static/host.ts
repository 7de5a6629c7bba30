// Runs an unsuspecting static program under the guide's policy; its standard input is /proc/version.
//
//   node dist/examples/static/host.js
import { constants, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  ALLOW,
  ARG,
  ARG_32,
  Executor,
  JEQ,
  JNE,
  JNE32,
  KILL,
  PolicyBuilder,
  Sandbox2,
} from '../../host/index.js';

const PROT_READ = 1;
const PROT_WRITE = 2;
const tool = fileURLToPath(new URL('../../../build/examples/static', import.meta.url));

const policy = new PolicyBuilder()
  .allowRead()
  .allowTime()
  .allowStaticStartup()
  .addPolicyOnSyscall('write', [
    ARG(0), // the file descriptor
    JEQ(1, ALLOW), // standard output, and nothing else
    KILL,
  ])
  .addPolicyOnSyscall('mprotect', [
    ARG_32(2), // the protection
    JNE32(PROT_READ | PROT_WRITE, KILL),
    ARG(1), // the length
    JNE(0x1000, KILL), // single pages only
    ALLOW,
  ])
  .blockSyscallWithErrno('open', 'ENOENT')
  .blockSyscallWithErrno('openat', 'ENOENT')
  .allowExit()
  .build();

const executor = new Executor(tool);
executor.ipc.mapFd(openSync('/proc/version', constants.O_RDONLY), 0);
executor.ipc.mapDupedFd(1, 1); // its standard output is ours

const result = await new Sandbox2(executor, policy).run();
console.log(`Final execution status: ${result}`);
process.exitCode = result.isOk ? 0 : 1;
