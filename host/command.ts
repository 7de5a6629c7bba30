#!/usr/bin/env node
// The `sandwire` command. sandwire doctor [--json]: exit code 0 where sandboxes can be had, 1 where not, 2 for a
// wrong command line.
import { describeProbe } from './doctor.js';
import { probe } from './probe.js';

const usage = `usage: sandwire doctor [--json]

doctor  tries what sandwire needs of this machine, and says what to do about what is missing
`;

async function main(args: readonly string[]): Promise<number> {
  const [command, ...options] = args;
  if (command === '--help' || command === 'help') {
    process.stdout.write(usage);
    return 0;
  }
  const unknown = options.find((option) => option !== '--json');
  if (command !== 'doctor' || unknown !== undefined) {
    process.stderr.write(unknown === undefined ? usage : `sandwire: there is no option ${unknown}\n${usage}`);
    return 2;
  }
  const found = await probe();
  process.stdout.write(
    options.includes('--json') ? `${JSON.stringify(found, null, 2)}\n` : describeProbe(found),
  );
  return found.isUsable ? 0 : 1;
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`sandwire: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  },
);
