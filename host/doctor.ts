// What probe() found, as text for a terminal.
import type { Capability, Probe } from './probe.js';

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

export function describeProbe(probe: Probe): string {
  const conclusion = probe.isUsable
    ? 'sandwire works on this machine.'
    : 'sandwire does not work on this machine as it is.';
  return [...probe.capabilities.map(describe), conclusion, ''].join('\n');
}
