// npm run bench [-- --json FILE] [-- NAME …]: prints the tables; no figure fails it.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { benchLatency, benchThroughput } from './comms.js';
import { benchGrowth } from './growth.js';
import { benchIdle } from './idle.js';
import { benchNode } from './node.js';
import { benchBuilding, benchCalls } from './policy.js';
import { benchStarting } from './starting.js';
import { printSection, type Section } from './table.js';

const { values, positionals } = parseArgs({
  options: { json: { type: 'string' }, pinned: { type: 'boolean', default: false } },
  allowPositionals: true,
});

const printedByChild = new Set<Section>();

/** Runs the benchmark again in a process that may use only one core, like everything it starts. */
function pinned(name: string): readonly Section[] {
  const file = path.join(tmpdir(), `sandwire-bench-${process.pid}.json`);
  const self = fileURLToPath(import.meta.url);
  const run = spawnSync('taskset', ['-c', '0', process.execPath, self, '--pinned', '--json', file, name], {
    stdio: 'inherit',
  });
  if (run.error) {
    process.stdout.write(`(not pinned to one core: taskset: ${run.error.message})\n`);
    return [];
  }
  const sections = JSON.parse(readFileSync(file, 'utf8')) as Section[];
  rmSync(file);
  for (const section of sections) printedByChild.add(section);
  return sections;
}

const benches: Record<string, () => Promise<readonly Section[]>> = {
  policy: async () => [benchBuilding()],
  inside: async () => [await benchCalls()],
  idle: async () => [await benchIdle()],
  growth: async () => [await benchGrowth()],
  node: async () => [await benchNode()],
  starting: async () => [await benchStarting()],
  comms: async () =>
    values.pinned
      ? [await benchLatency('both processes on one core')]
      : [
          await benchLatency('processes where the scheduler puts them'),
          await benchThroughput(),
          ...pinned('comms'),
        ],
};

const sections: Section[] = [];
for (const [name, bench] of Object.entries(benches)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const made = await bench();
  for (const section of made) if (!printedByChild.has(section)) printSection(section);
  sections.push(...made);
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(sections, null, 2)}\n`);
