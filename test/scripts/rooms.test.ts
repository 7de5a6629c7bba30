// Who may import whom: one table for the rooms of TypeScript and of C, held against every import and #include.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkout } from '../support/sandbox.js';

/** A room is a folder without the folders below it that are rooms themselves. */
interface Room {
  readonly room: string;
  /** Rooms, or single files of rooms, that its files may import; its own always. */
  readonly may: readonly string[];
}

/** What users have, and all that the upper rooms use. */
const publicApi = ['host/index.ts', 'sandboxee-node/index.ts', 'protocol/index.ts'];

const typescript: readonly Room[] = [
  { room: 'protocol', may: [] },
  { room: 'native', may: ['protocol'] },
  { room: 'sandboxee-node', may: ['native', 'protocol'] },
  { room: 'host/policy', may: ['protocol/wire.generated.ts', 'native/addon.ts'] },
  { room: 'host', may: ['host/policy', 'native', 'protocol'] },
  { room: 'javascript', may: publicApi },
  { room: 'pool', may: publicApi },
  { room: 'bind', may: publicApi },
  { room: 'cli', may: publicApi },
  { room: 'examples', may: publicApi },
];

/** The rooms of the supervisor, the lowest first: each may include those below it. The last one is its own folder. */
const floors = ['loop', 'cgroup', 'control', 'request', 'entry', 'sandbox', 'run', 'fork', 'probe', ''];

const supervisor = 'native/supervisor';
const roomOf = (floor: string) => path.join(supervisor, floor);

const c: readonly Room[] = [
  { room: 'sandboxee-c', may: [] },
  { room: 'native/addon', may: ['sandboxee-c'] },
  { room: 'native/unwinder', may: ['sandboxee-c'] },
  ...floors.map((floor, level) => ({
    room: roomOf(floor),
    may: [
      ...floors.slice(0, level).map(roomOf),
      'sandboxee-c',
      ...(floor === 'run' ? ['native/unwinder/request.h'] : []), // what the two say to each other
    ],
  })),
];

/** Folders that an #include is looked for in, after that of the file itself. */
const includeFolders = [supervisor, 'sandboxee-c/include', 'sandboxee-c/src'];

interface Language {
  readonly rooms: readonly Room[];
  readonly isSource: (file: string) => boolean;
  /** What a file imports, as it writes it. A group "elsewhere" is ours only if it resolves to a file of ours. */
  readonly imports: RegExp;
  /** The file that is meant; undefined: it does not exist. */
  readonly resolve: (from: string, imported: string, exists: (file: string) => boolean) => string | undefined;
}

const languages: readonly Language[] = [
  {
    rooms: typescript,
    isSource: (file) => file.endsWith('.ts'),
    imports: /(?:\bfrom|\bimport|\bimport\(|\brequire\()\s*['"](\.[^'"]*)['"]/g,
    resolve: (from, imported, exists) => {
      const file = path.join(path.dirname(from), imported).replace(/\.js$/, '.ts');
      return exists(file) ? file : undefined;
    },
  },
  {
    rooms: c,
    isSource: (file) => /\.(c|cc|h)$/.test(file),
    imports: /^[ \t]*#[ \t]*include[ \t]*(?:"([^"]*)"|<(?<elsewhere>[^>]*)>)/gm,
    resolve: (from, imported, exists) =>
      [path.dirname(from), ...includeFolders].map((folder) => path.join(folder, imported)).find(exists),
  },
];

/** Whether the file lies in the folder, or is it. */
const within = (file: string, folder: string) => file === folder || file.startsWith(`${folder}/`);

const roomWith = (rooms: readonly Room[], file: string): Room | undefined =>
  rooms
    .filter(({ room }) => within(file, room))
    .sort((one, other) => other.room.length - one.room.length)
    .at(0);

/** One line for each import that its room forbids, or that leads nowhere. */
function breaches(language: Language, files: ReadonlyMap<string, string>): string[] {
  const { rooms } = language;
  const found: string[] = [];
  for (const [file, text] of files) {
    const room = roomWith(rooms, file);
    if (room === undefined || !language.isSource(file)) continue;
    for (const match of text.matchAll(language.imports)) {
      const elsewhere = match.groups?.['elsewhere'];
      const imported = match[1] ?? elsewhere ?? '';
      const at = `${file}:${text.slice(0, match.index).split('\n').length}: imports ${JSON.stringify(imported)}`;
      const target = language.resolve(file, imported, (name) => files.has(name));
      if (target === undefined) {
        if (elsewhere !== undefined) continue;
        found.push(`${at}, which does not exist`);
        continue;
      }
      const other = roomWith(rooms, target)?.room;
      if (other !== room.room && !room.may.some((allowed) => allowed === other || allowed === target)) {
        found.push(`${at}, but ${room.room} may import only ${room.may.join(', ') || 'its own files'}`);
      }
    }
  }
  return found;
}

/** Every source file, by its path in the checkout; sandboxee-c/test is no part of the library. */
function sources(): Map<string, string> {
  const files = new Map<string, string>();
  const folders = [...new Set([...typescript, ...c].map(({ room }) => room.split('/')[0] ?? ''))];
  for (const folder of folders.filter((name) => existsSync(path.join(checkout, name)))) {
    for (const entry of readdirSync(path.join(checkout, folder), { recursive: true, withFileTypes: true })) {
      const file = path.relative(checkout, path.join(entry.parentPath, entry.name));
      if (entry.isFile() && !/\/(node_modules|build)\//.test(file) && !within(file, 'sandboxee-c/test')) {
        files.set(file, readFileSync(path.join(checkout, file), 'utf8'));
      }
    }
  }
  return files;
}

const [ofTypescript, ofC] = languages as [Language, Language];
const test = suite('rooms');
const files = sources();

for (const [language, name] of [
  [ofTypescript, 'import'],
  [ofC, '#include'],
] as const) {
  test(`no ${name} leads where its room may not look`, () => {
    const looked = [...files.keys()].filter(
      (file) => language.isSource(file) && roomWith(language.rooms, file) !== undefined,
    );
    assert.ok(looked.length > 50, `only ${looked.length} files were looked at`);
    assert.is(breaches(language, files).join('\n'), '');
  });
}

test('every source file of the supervisor lies in a room of the table', () => {
  const known = new Set(floors.map(roomOf));
  const strangers = [...files.keys()].filter(
    (file) => within(file, supervisor) && ofC.isSource(file) && !known.has(path.dirname(file)),
  );
  assert.equal(strangers, []);
});

test('no room may import, on any way round, itself', () => {
  for (const { rooms } of languages) {
    const below = (room: string, seen: readonly string[]): void => {
      assert.not.ok(seen.includes(room), `a circle: ${[...seen, room].join(' → ')}`);
      for (const allowed of rooms.find((each) => each.room === room)?.may ?? []) {
        const next = roomWith(rooms, allowed)?.room;
        if (next !== undefined) below(next, [...seen, room]);
      }
    };
    for (const { room } of rooms) below(room, []);
  }
});

test('no header includes, on any way round, itself', () => {
  const included = (file: string) =>
    [...(files.get(file) ?? '').matchAll(ofC.imports)]
      .map((match) => match[1] ?? match.groups?.['elsewhere'] ?? '')
      .map((imported) => ofC.resolve(file, imported, (name) => files.has(name)))
      .filter((target) => target !== undefined);
  const done = new Set<string>();
  const visit = (file: string, seen: readonly string[]): void => {
    assert.not.ok(seen.includes(file), `a circle: ${[...seen, file].join(' → ')}`);
    if (done.has(file)) return;
    for (const target of included(file)) visit(target, [...seen, file]);
    done.add(file);
  };
  for (const file of files.keys()) if (file.endsWith('.h')) visit(file, []);
});

test('docs/architecture.md lists the floors as the table has them, from the top', () => {
  const text = readFileSync(path.join(checkout, 'docs/architecture.md'), 'utf8');
  const table = text.split('In `native/supervisor`').at(1)?.split('\n\n').at(1) ?? '';
  const listed = [...table.matchAll(/^\| `([a-z_.]+)\/?`/gm)].map((match) => match[1] ?? '');
  assert.equal(
    listed,
    [...floors].reverse().map((floor) => floor || 'main.c'),
  );
});

// ---- that a wrong import is found ----

const wrong: readonly (readonly [Language, Record<string, string>, string])[] = [
  [
    ofC,
    {
      'native/supervisor/sandbox/init.c': '#include "init.h"\n\n#include "run/run.h"\n',
      'native/supervisor/sandbox/init.h': '',
      'native/supervisor/run/run.h': '',
    },
    'native/supervisor/sandbox/init.c:3: imports "run/run.h", but native/supervisor/sandbox may import only ' +
      'native/supervisor/loop, native/supervisor/cgroup, native/supervisor/control, native/supervisor/request, ' +
      'native/supervisor/entry, sandboxee-c',
  ],
  [
    ofC,
    { 'native/supervisor/run/run.h': '#  include "../dispatch.h"\n', 'native/supervisor/dispatch.h': '' },
    'native/supervisor/run/run.h:1: imports "../dispatch.h", but native/supervisor/run may import only ' +
      'native/supervisor/loop, native/supervisor/cgroup, native/supervisor/control, native/supervisor/request, ' +
      'native/supervisor/entry, native/supervisor/sandbox, sandboxee-c, native/unwinder/request.h',
  ],
  [
    ofC,
    {
      'native/supervisor/loop/a.c': '#include <stdio.h>\n#include <cgroup/a.h>\n',
      'native/supervisor/cgroup/a.h': '',
    },
    'native/supervisor/loop/a.c:2: imports "cgroup/a.h", but native/supervisor/loop may import only sandboxee-c',
  ],
  [
    ofC,
    { 'sandboxee-c/src/a.c': '#include "../../native/addon/b.h"', 'native/addon/b.h': '' },
    'sandboxee-c/src/a.c:1: imports "../../native/addon/b.h", but sandboxee-c may import only its own files',
  ],
  [
    ofC,
    { 'native/addon/a.cc': '\n#include "gone.h"\n' },
    'native/addon/a.cc:2: imports "gone.h", which does not exist',
  ],
  [
    ofTypescript,
    { 'protocol/a.ts': `import { b } from '../native/b.js';`, 'native/b.ts': '' },
    'protocol/a.ts:1: imports "../native/b.js", but protocol may import only its own files',
  ],
  [
    ofTypescript,
    { 'host/policy/a.ts': `export {\n  b,\n} from '../b.js';`, 'host/b.ts': '' },
    'host/policy/a.ts:3: imports "../b.js", but host/policy may import only protocol/wire.generated.ts, native/addon.ts',
  ],
  [
    ofTypescript,
    { 'pool/queue/a.ts': `const b = await import('../../host/b.js');`, 'host/b.ts': '' },
    'pool/queue/a.ts:1: imports "../../host/b.js", but pool may import only host/index.ts, sandboxee-node/index.ts, ' +
      'protocol/index.ts',
  ],
  [
    ofTypescript,
    { 'javascript/a.ts': `import '../cli/b.js';\n`, 'cli/b.ts': '' },
    'javascript/a.ts:1: imports "../cli/b.js", but javascript may import only host/index.ts, sandboxee-node/index.ts, ' +
      'protocol/index.ts',
  ],
];

for (const [language, tree, breach] of wrong) {
  test(`found: ${breach.split(', ')[0]}`, () => {
    assert.equal(breaches(language, new Map(Object.entries(tree))), [breach]);
  });
}

test.run();
