// Runs any command in a sandbox and shows what it wrote.
//
//   node dist/examples/tool/host.js [options] -- COMMAND [ARG …]
//
// Exit code 0: the command exited with 0; 1: with another code; 2: it was not run, violated the policy, crashed or was
// ended by a limit.
import { existsSync } from 'node:fs';
import { Socket } from 'node:net';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Executor, PolicyBuilder, Sandbox2 } from '../../host/index.js';

const usage = `usage: tool [options] -- COMMAND [ARG …]
  --file PATH        show this file (again for more)
  --dir PATH         show this directory, read-only (again for more)
  --tmp              an empty writable /tmp of 64 MiB
  --cwd PATH         working directory inside
  --cpu SECONDS      limit of CPU time
  --memory MIB       limit of address space
  --file-size MIB    limit of the size of a written file
  --wall MS          limit of wall time
`;

/** Finds the command as a shell would; environments do not matter inside the sandbox. */
function find(command: string): string {
  if (command.includes('/')) return path.resolve(command);
  for (const directory of (process.env['PATH'] ?? '/usr/bin:/bin').split(':')) {
    const candidate = path.join(directory, command);
    if (existsSync(candidate)) return candidate;
  }
  throw new Error(`there is no command ${command} in PATH`);
}

function number(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0)
    throw new Error(`--${option}: a whole number is needed, not ${text}`);
  return value;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      file: { type: 'string', multiple: true, default: [] },
      dir: { type: 'string', multiple: true, default: [] },
      tmp: { type: 'boolean', default: false },
      cwd: { type: 'string', default: '/' },
      cpu: { type: 'string' },
      memory: { type: 'string' },
      'file-size': { type: 'string' },
      wall: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
    allowPositionals: true,
  });
  const [command] = positionals;
  if (values.help || command === undefined) {
    process.stderr.write(usage);
    return values.help ? 0 : 2;
  }
  const program = find(command);

  // An unknown tool: everything that is not dangerous is allowed, and only the named files are visible.
  const builder = new PolicyBuilder().defaultAction('allowAllSyscalls').addLibrariesForBinary(program);
  for (const file of values.file) builder.addFile(path.resolve(file));
  for (const directory of values.dir) builder.addDirectory(path.resolve(directory));
  if (values.tmp) builder.addTmpfs('/tmp', 64 << 20);

  const executor = new Executor(program, positionals, { cwd: values.cwd });
  const { limits } = executor;
  if (values.cpu !== undefined) limits.setRlimitCpu(number('cpu', values.cpu));
  if (values.memory !== undefined) limits.setRlimitAs(number('memory', values.memory) * 2 ** 20);
  if (values['file-size'] !== undefined)
    limits.setRlimitFsize(number('file-size', values['file-size']) * 2 ** 20);
  if (values.wall !== undefined) limits.setWalltimeLimitMs(number('wall', values.wall));

  // Its standard output arrives here over a socket. It shares our standard input and standard error.
  const output = new Socket({ fd: executor.ipc.receiveFd(1), readable: true, writable: false });
  output.pipe(process.stdout, { end: false });
  executor.ipc.mapDupedFd(0, 0);
  executor.ipc.mapDupedFd(2, 2);

  const ended = new Promise((resolve) => output.on('close', resolve));
  const result = await new Sandbox2(executor, builder.build()).run();
  await ended;
  process.stderr.write(`Final execution status: ${result}\n`);
  return result.finalStatus === 'OK' ? (result.exitCode === 0 ? 0 : 1) : 2;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`tool: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 2;
}
