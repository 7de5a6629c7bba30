// What a process has started, and where it stands: for a test file that does not end.
import { readdirSync, readFileSync } from 'node:fs';

function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').trim();
  } catch {
    return ''; // it has ended, or is not ours to look into
  }
}

/** A line for each: pid, parent, state, the kernel function it waits in, and its command line. */
export function describeDescendants(root) {
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      const [state = '', parent = ''] = read(pid, 'stat').split(') ').at(-1)?.split(' ') ?? [];
      return { pid, parent, state };
    });
  const found = processes.filter(({ pid }) => pid === String(root));
  for (const { pid } of found) found.push(...processes.filter(({ parent }) => parent === pid));
  return found
    .map(({ pid, parent, state }) => {
      const command = read(pid, 'cmdline').replaceAll('\0', ' ').slice(0, 120) || `[${read(pid, 'comm')}]`;
      return `  ${pid} (of ${parent}) ${state} ${read(pid, 'wchan') || '-'} ${command}`;
    })
    .join('\n');
}
