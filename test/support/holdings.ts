// The tables of docs/holdings.md, and what a process really holds.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { run } from './command.js';
import { checkout, sandboxeePath } from './sandbox.js';

/** How a sandboxee was started, by the letters of the document. */
export type Way = 'E' | 'M' | 'C' | 'N';

/** Something that is held: of a section of the document, with its name and its value there. */
export interface Holding {
  readonly section: string;
  readonly name: string;
  /** Undefined: it is there, and this test may not read it. */
  readonly value: string | undefined;
}

export interface Row {
  readonly section: string;
  readonly name: string;
  readonly ways: readonly Way[];
  readonly value: string;
  /** Of some machines only. */
  readonly isOptional: boolean;
  readonly explanation: string;
}

const sections = [
  'File descriptors',
  'Memory',
  'Mounts',
  'Namespaces',
  'What the kernel lists of a process',
  'Credentials and state',
  'What other processes can ask for',
  'What only the process itself can ask for',
  'Limits',
] as const;

/** The words of the column "value". */
const words = ['the host’s', 'its own', 'shared', 'the supervisor', 'anything'] as const;

const unquoted = (cell: string) => cell.replace(/^`(.*)`$/s, '$1');

function rowOf(section: string, line: string): Row {
  const cells = line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('\\|', '|'));
  const [title = '', who = '', value = '', explanation = ''] = cells;
  const isOptional = /^\*.*\*$/s.test(title);
  const name = isOptional ? title.slice(1, -1) : title;
  const isQuoted = (cell: string) => /^`.+`$/s.test(cell);
  if (cells.length !== 4 || !isQuoted(name) || !/^[EMCN]( [EMCN])*$/.test(who)) {
    throw new Error(`docs/holdings.md, ${section}: not a row: ${line}`);
  }
  const word = value.replace("'", '’');
  if (!isQuoted(value) && !words.some((one) => one === word)) {
    throw new Error(
      `docs/holdings.md, ${section}: ${name} has the value ${value}, which is none of the words`,
    );
  }
  return {
    section,
    name: unquoted(name),
    ways: who.split(' ') as Way[],
    value: isQuoted(value) ? value : word,
    isOptional,
    explanation,
  };
}

/** Throws Error for a document that is not as it describes itself. */
export function readTables(): readonly Row[] {
  const text = readFileSync(`${checkout}docs/holdings.md`, 'utf8');
  return sections.flatMap((section) => {
    const begin = text.indexOf(`\n## ${section}\n`);
    if (begin < 0) throw new Error(`docs/holdings.md has no section ${section}`);
    const [, body = ''] = text.slice(begin + 1).split(/^##.*$/m);
    const lines = body.split('\n');
    const rows = lines.filter((line) => line.startsWith('| ')).slice(1);
    return rows.map((line) => rowOf(section, line));
  });
}

/** A text as it stands there, or a pattern between slashes. */
export function matches(expected: string, found: string): boolean {
  const pattern = /^\/(.*)\/$/s.exec(expected)?.[1];
  return pattern === undefined ? expected === found : new RegExp(pattern, 's').test(found);
}

function readable(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined; // not for this user, or not without a capability
  }
}

const accessModes = ['r', 'w', 'rw'];
const O_PATH = 0o10000000;

function descriptorsOf(pid: number): Holding[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => {
    const target = readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/^(socket|pipe):\[\d+\]$/, '$1');
    const flags = Number.parseInt(
      /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1] ?? '',
      8,
    );
    const mode = (flags & O_PATH) !== 0 ? 'path' : accessModes[flags & 3];
    return { section: 'File descriptors', name: fd, value: `${target} ${mode}` };
  });
}

/** Out of smaps (proc_pid_smaps(5)): a line as in maps, figures, and VmFlags. */
function mappingsOf(pid: number): Holding[] {
  const text = readFileSync(`/proc/${pid}/smaps`, 'utf8');
  const line = /^[\da-f]+-[\da-f]+ (\S+) \S+ \S+ \d+ *(.*)\n(?:\w+:.*\n)*?VmFlags: (.*)$/gm;
  return [...text.matchAll(line)].map(([, permissions = '', name = '', flags = '']) => {
    const shared = flags.split(' ').includes('mw') ? 'shared for writing' : 'shared for reading';
    return { section: 'Memory', name, value: permissions[3] === 's' ? shared : 'private' };
  });
}

/** The options that say what can be done with it. */
const mountOptions = ['ro', 'rw', 'nosuid', 'nodev', 'noexec'];

function mountsOf(pid: number): Holding[] {
  const lines = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n');
  return lines.map((line) => {
    const [, , , , place = '', options = ''] = line.split(' ');
    const type = line.split(' - ')[1]?.split(' ')[0] ?? '';
    const kept = options.split(',').filter((option) => mountOptions.includes(option));
    const system = ['tmpfs', 'proc', 'sysfs'].includes(type) && place !== '/shown' ? type : 'any';
    return { section: 'Mounts', name: place, value: `${system} ${kept.join(',')}` };
  });
}

function namespacesOf(pid: number): Holding[] {
  return readdirSync(`/proc/${pid}/ns`).map((name) => ({
    section: 'Namespaces',
    name,
    value: readlinkSync(`/proc/${pid}/ns/${name}`),
  }));
}

function entriesOf(pid: number): Holding[] {
  const links = ['cwd', 'root', 'exe'];
  const values = [
    'uid_map',
    'gid_map',
    'projid_map',
    'setgroups',
    'environ',
    'oom_score_adj',
    'coredump_filter',
  ];
  values.push('personality', 'timers', 'timens_offsets', 'loginuid', 'sessionid', 'autogroup');
  values.push('ksm_merging_pages', 'ksm_stat');
  return readdirSync(`/proc/${pid}`).map((name) => {
    const path = `/proc/${pid}/${name}`;
    let value: string | undefined;
    if (links.includes(name)) value = readlinkSync(path);
    else if (values.includes(name))
      value = readable(path)
        ?.replace(/\n$/, '')
        .replace(/ nice -?\d+$/, '');
    return { section: 'What the kernel lists of a process', name, value };
  });
}

function stateOf(pid: number): Holding[] {
  const section = 'Credentials and state';
  const status = readFileSync(`/proc/${pid}/status`, 'utf8').trim().split('\n');
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return [
    ...status.map((line) => {
      const at = line.indexOf(':');
      return { section, name: line.slice(0, at), value: line.slice(at + 1).trim() };
    }),
    // The fields from the third on (proc_pid_stat(5)).
    { section, name: 'stat tty', value: fields[7 - 3] },
    { section, name: 'stat exit signal', value: fields[38 - 3] },
  ];
}

function limitsOf(pid: number): Holding[] {
  const lines = readFileSync(`/proc/${pid}/limits`, 'utf8').trim().split('\n').slice(1);
  return lines.map((line) => ({
    section: 'Limits',
    name: line.slice(0, 26).trim(),
    value: line.slice(26).trim().split(/\s+/).join(' '),
  }));
}

function linesAs(section: string, text: string): Holding[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [name = '', ...rest] = line.split('=');
      const value = rest.join('=');
      return { section, name, value: value === 'not ours to know' ? undefined : value };
    });
}

/** What tell_self has written. */
export const toldBySelf = (text: string): Holding[] =>
  linesAs('What only the process itself can ask for', text);

/** Of a process from outside: what can be compared between processes. */
export async function attributesOf(pid: number): Promise<readonly Holding[]> {
  const { stdout } = await run(sandboxeePath('tell_of'), [String(pid)]);
  return [
    ...namespacesOf(pid),
    ...entriesOf(pid),
    ...stateOf(pid),
    ...linesAs('What other processes can ask for', stdout),
    ...limitsOf(pid),
  ];
}

/** All that can be seen of a process from outside. */
export async function holdingsOf(pid: number): Promise<readonly Holding[]> {
  return [...descriptorsOf(pid), ...mappingsOf(pid), ...mountsOf(pid), ...(await attributesOf(pid))];
}

export interface Others {
  readonly host: readonly Holding[];
  /** Another sandboxee of the same kind. */
  readonly sibling: readonly Holding[];
  readonly supervisor: number;
}

const valueIn = (holdings: readonly Holding[], { section, name }: Holding) =>
  holdings.find((one) => one.section === section && one.name === name)?.value;

/** Why a value is not what a row says; undefined: it is. */
function differs(row: Row, holding: Holding, { host, sibling, supervisor }: Others): string | undefined {
  const { value } = holding;
  if (value === undefined) return undefined;
  const ofHost = valueIn(host, holding);
  const ofSibling = valueIn(sibling, holding);
  switch (row.value) {
    case 'anything':
      return undefined;
    case 'the host’s':
      return value === ofHost ? undefined : `it is not the host's, ${ofHost}`;
    case 'its own':
      return value !== ofHost && value !== ofSibling
        ? undefined
        : 'it is also the host’s or another sandboxee’s';
    case 'shared':
      return value !== ofHost && value === ofSibling
        ? undefined
        : `another sandboxee has ${ofSibling}, and the host ${ofHost}`;
    case 'the supervisor':
      return value === String(supervisor) ? undefined : `the supervisor is ${supervisor}`;
    default:
      return matches(unquoted(row.value), value) ? undefined : `it should be ${row.value}`;
  }
}

/** What of a sandboxee is not as the tables say, in words; and the rows that were met, added to `met`. */
export function faultsOf(
  rows: readonly Row[],
  way: Way,
  holdings: readonly Holding[],
  others: Others,
  met: Set<Row>,
): string[] {
  return holdings.flatMap((holding) => {
    const { section, name, value } = holding;
    const named = rows.filter(
      (row) => row.section === section && row.ways.includes(way) && matches(row.name, name),
    );
    const fitting = named.find((row) => differs(row, holding, others) === undefined);
    if (fitting !== undefined) {
      met.add(fitting);
      return [];
    }
    const why = named.map((row) => differs(row, holding, others)).join(', and ');
    return [`${way}, ${section}: ${name} = ${JSON.stringify(value)}: ${why || 'there is no row for it'}`];
  });
}
