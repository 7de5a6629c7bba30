import type { ParseArgsConfig } from 'node:util';

export type Options = NonNullable<ParseArgsConfig['options']>;
export type OptionValues = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** One subcommand of the `sandwire` command. It has a file of its own, and its row in subcommands.ts. */
export interface Subcommand {
  readonly name: string;
  /** What it does, in one line, without a full stop. */
  readonly summary: string;
  /** What follows its name: "[--json]". */
  readonly synopsis: string;
  /** Its options, as util.parseArgs() takes them. */
  readonly options: Options;
  /** Runs it. Resolves with the exit code of the command. */
  run(values: OptionValues, positionals: readonly string[]): Promise<number>;
}
