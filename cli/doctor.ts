// sandwire doctor: what probe() finds, as text for a terminal or as JSON. Exit code 1 where no sandbox can be made.
import { type Capability, type Probe, probe } from '../host/index.js';
import type { Subcommand } from './subcommand.js';

function describe(found: Capability): string {
  const value =
    found.value === undefined ? '' : ` (${found.name === 'landlock' ? 'ABI ' : ''}${found.value})`;
  if (found.isAvailable) return `  ok       ${found.title}${value}`;
  const mark = found.isRequired ? 'MISSING' : 'absent ';
  return (
    `  ${mark}  ${found.title}${value}: ${found.reason}\n` +
    `           Without it, ${found.without}.\n` +
    `           To do: ${found.advice}.`
  );
}

/** The text of the terminal. */
export function describeProbe(found: Probe): string {
  const conclusion = found.isUsable
    ? 'sandwire works on this machine.'
    : 'sandwire does not work on this machine as it is.';
  return [...found.capabilities.map(describe), conclusion, ''].join('\n');
}

export const doctor: Subcommand = {
  name: 'doctor',
  summary: 'tries what sandwire needs of this machine, and says what to do about what is missing',
  synopsis: '[--json]',
  options: { json: { type: 'boolean' } },
  async run(values) {
    const found = await probe();
    process.stdout.write(
      values['json'] === true ? `${JSON.stringify(found, null, 2)}\n` : describeProbe(found),
    );
    return found.isUsable ? 0 : 1;
  },
};
