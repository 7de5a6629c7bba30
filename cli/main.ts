#!/usr/bin/env node
// The `sandwire` command: finds the subcommand and takes its options apart. Exit code 2: a wrong command line.
import { parseArgs } from 'node:util';
import type { OptionValues, Subcommand } from './subcommand.js';
import { subcommands } from './subcommands.js';

const usageOf = ({ name, synopsis }: Subcommand) => `sandwire ${name}${synopsis && ` ${synopsis}`}`;

function usage(): string {
  const width = Math.max(...subcommands.map(({ name }) => name.length));
  return [
    ...subcommands.map((each, index) => `${index === 0 ? 'usage: ' : '       '}${usageOf(each)}`),
    '',
    ...subcommands.map(({ name, summary }) => `${name.padEnd(width)}  ${summary}`),
    '',
  ].join('\n');
}

function refuse(message: string, help: string): number {
  process.stderr.write(`sandwire: ${message}\n${help}`);
  return 2;
}

type Parsed =
  | { readonly ok: true; readonly values: OptionValues; readonly positionals: readonly string[] }
  | { readonly ok: false; readonly message: string };

function parse(subcommand: Subcommand, args: readonly string[]): Parsed {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { ...subcommand.options, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
    return { ok: true, values: { ...values }, positionals };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(usage());
    return 0;
  }
  if (name === undefined) return refuse('a subcommand is needed', usage());
  const subcommand = subcommands.find((each) => each.name === name);
  if (subcommand === undefined) return refuse(`there is no subcommand ${JSON.stringify(name)}`, usage());
  const help = `usage: ${usageOf(subcommand)}\n\n${subcommand.summary}\n`;
  const parsed = parse(subcommand, rest);
  if (!parsed.ok) return refuse(parsed.message, help);
  if (parsed.values['help'] === true) {
    process.stdout.write(help);
    return 0;
  }
  return subcommand.run(parsed.values, parsed.positionals);
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
