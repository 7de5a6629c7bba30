// docs/guide.md: every sample is run, and prints what the guide says.
import { existsSync } from 'node:fs';
import { runDocument } from './run-document.js';

const skipIf = () => (existsSync('/usr/bin/wc') ? undefined : 'there is no /usr/bin/wc');
const end = 'console.log(String(await new Sandbox2(executor, policy).run()));\n';
const imports = "import { PolicyBuilder, Sandbox2 } from 'sandwire';\n";
/** A policy under which anything that is harmless works, for samples about something else. */
const lenient = `const lenient = new PolicyBuilder().defaultAction('allowAllSyscalls');\n`;
const runWc = `${imports}${lenient}const shown = lenient.addLibrariesForBinary(path).addFile('/etc/hosts').build();
console.log(String(await new Sandbox2(executor, shown).run()));\n`;

/** A host for a Node sandboxee of the guide. */
const nodeHost = (script: string, talk: string) => `
import { Executor, PolicyBuilder, Sandbox2 } from 'sandwire';
const nodePolicy = new PolicyBuilder().allowNode().allowSharedMemory().addNodeRuntime().addDirectory(process.cwd()).build();
const node = Executor.node(process.cwd() + '/${script}', [], { stdio: { stderr: 'inherit' } })
  .setEnableSandboxBeforeExec(false);
await using run = new Sandbox2(node, nodePolicy);
if (await run.runAsync()) {
  ${talk}
}
console.log(String(await run.awaitResult()));
`;
const ok = 'OK - Exit code: 0\n';

runDocument('docs/guide.md', {
  executor: { kind: 'run', added: runWc, prints: ok, skipIf },
  'me-here': {
    kind: 'run',
    added: `${imports}const policy = new PolicyBuilder().allowExit().addLibrariesForBinary(tool).build();
      const ready = new Executor(resolve('ready')).setEnableSandboxBeforeExec(false);
      console.log(String(await new Sandbox2(ready, policy).run()));
      void executor;\n`,
    prints: ok,
    needs: ['ready'],
  },
  ready: { kind: 'needed' },
  'ready-node': {
    kind: 'hosted',
    host: nodeHost('ready-node.js', 'console.log(await run.comms.recvString());'),
    prints: `everything from here on is under the policy\n${ok}`,
  },
  'node-host': {
    kind: 'run',
    prints: 'everything from here on is under the policy\n',
    needs: ['ready-node'],
  },
  forked: {
    kind: 'run',
    prints: 'OK - Exit code: 0\nOK - Exit code: 1\nOK - Exit code: 2\n',
    needs: ['fork-server'],
  },
  'fork-server': { kind: 'needed' },
  'node-forking': { kind: 'needed' },
  'node-forked': {
    kind: 'run',
    prints: '7692c3ad3540bb80\n3fc4ccfe745870e2\n',
    needs: ['node-forking'],
  },
  expression: { kind: 'run', added: 'console.log(policy.program.length > 0);\n', prints: 'true\n' },
  'which-files': { kind: 'run', prints: /\n\/etc\/hosts\n$/, skipIf },
  policy: {
    kind: 'run',
    added: 'console.log(policy.program.length > 0);\n',
    prints: 'true\n',
  },
  'from-nothing': { kind: 'run', prints: /^Result: SYSCALL VIOLATION/, skipIf },
  'stack-trace': { kind: 'run', prints: /\n.+\+0x[0-9a-f]+\(0x[0-9a-f]+\)\n/, skipIf },
  'second-try': { kind: 'run', prints: /Result: OK - Exit code: 0\n$/, skipIf },
  files: { kind: 'run', added: 'console.log(policy.mounts.length);\n', prints: '4\n' },
  limits: { kind: 'run', added: runWc, prints: ok, skipIf },
  cgroup: {
    kind: 'run',
    added: runWc,
    prints: /^(OK - Exit code: 0|SETUP_ERROR - Code: FAILED_LIMITS.*)\n$/,
    skipIf,
  },
  run: { kind: 'run', prints: `Result of the run: ${ok}`, skipIf },
  'wc-policy': { kind: 'run', added: `import { Sandbox2 } from 'sandwire';\n${end}`, prints: ok, skipIf },
  capture: { kind: 'run', prints: /^words: \d+\n$/, skipIf },
  notify: { kind: 'run', prints: /^fadvise64 of fd 3\nOK - Exit code: 0\n$/, skipIf },
  'run-async': { kind: 'run', prints: `Final execution status: ${ok}`, skipIf },
  'map-fd': {
    kind: 'run',
    added:
      "import { Sandbox2 } from 'sandwire';\nconsole.log(String(await new Sandbox2(input, policy).run()));\n",
    prints: ok,
    skipIf,
  },
  'receive-fd': {
    kind: 'run',
    added: "import { Sandbox2 } from 'sandwire';\nawait new Sandbox2(input, policy).run();\n",
    prints: 'lines: 1\n',
    skipIf,
  },
  comms: { kind: 'run', prints: /^0x6c6c6507\n/, needs: ['crc4'] },
  crc4: { kind: 'needed' },
  'crc4-node': {
    kind: 'hosted',
    host: nodeHost(
      'crc4-node.js',
      `await run.comms.sendBytes(Buffer.from('hello'));
      console.log((await run.comms.recvUint32()).toString(16), await run.comms.recvValue());`,
    ),
    prints: /^6c6c6507 \{ length: 5, at: 20.*Z \}\nOK/,
  },
  'crc4-policy': { kind: 'run', added: 'console.log(policy.hostname);\n', prints: 'sandwire\n' },
  'more-comms': { kind: 'run', added: 'console.log(typeof talk);\n', prints: 'function\n' },
  buffer: { kind: 'run', prints: /^1048576 XXX\n/, needs: ['fill'] },
  fill: { kind: 'needed' },
  'fill-policy': { kind: 'run', added: 'console.log(policy.hostname);\n', prints: 'sandwire\n' },
  'fill-node': {
    kind: 'hosted',
    host: nodeHost(
      'fill-node.js',
      `const { Buffer: SharedBuffer } = await import('sandwire');
      const buffer = SharedBuffer.create(5000);
      await run.comms.sendFd(buffer);
      await run.comms.recvBarrier();
      console.log(buffer.data.every((byte) => byte === 88));`,
    ),
    prints: /^true\nOK/,
  },
  'named-sockets': { kind: 'run', prints: 'true\nhello\n' },
  'comms-errors': { kind: 'run', prints: /^TAG_MISMATCH/, needs: ['crc4'] },
  kill: { kind: 'run', prints: /killed by user/, skipIf },
  violation: { kind: 'run', prints: /\nfadvise64 of \S+: first argument .*3.*\n$/, skipIf },
  'failing-test': { kind: 'run', prints: /^Result.*\nAssertionError/, skipIf },
  test: { kind: 'run', prints: /^(#|ℹ) pass 2$/m, skipIf },
});
