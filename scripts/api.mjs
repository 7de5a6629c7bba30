// Writes docs/api.md: what the package exports, with signatures and docstrings, from the compiled declarations. With
// --check it only says whether the file is up to date. The declarations all come from one printer, so reading them line
// by line is enough: a top-level statement starts at column 0, a member at column 4.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const target = path.join(root, 'docs/api.md');
const entries = [
  ['sandwire', 'dist/host/index.d.ts', 'The host: what runs a sandboxee and talks to it.'],
  ['sandwire/sandboxee', 'dist/sandboxee-node/index.d.ts', 'A Node program in a sandbox.'],
  ['sandwire/testing', 'dist/host/testing.d.ts', 'Tests of a sandbox.'],
  ['sandwire/protocol', 'dist/protocol/index.d.ts', 'The wire, for authors of a peer.'],
];

/** The text of a docstring without its stars. Tags become words. */
function plainDoc(lines) {
  const text = lines
    .map((line) => line.replace(/^\s*(\/\*\*|\*\/|\*) ?/, '').replace(/ ?\*\/\s*$/, ''))
    .join('\n')
    .trim();
  return text
    .replaceAll(/^@param (\w+) /gm, '- `$1`: ')
    .replaceAll(/^@returns /gm, '- Returns: ')
    .replaceAll(/^@throws /gm, '- Throws: ')
    .replaceAll(/([^\n])\n- /g, '$1\n\n- ');
}

/** The pieces of a text: each is a statement or member with its docstring. */
function pieces(lines, indent) {
  const found = [];
  let doc = [];
  let code = [];
  let depth = 0;
  const prefix = ' '.repeat(indent);
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index];
    if (code.length === 0 && line.startsWith(`${prefix}/**`)) {
      doc = [];
      do doc.push(lines[index]);
      while (!lines[index++].trimEnd().endsWith('*/'));
      index--;
      continue;
    }
    if (line.trim() === '') continue;
    code.push(line.slice(indent));
    const isComment = /^\s*(\/\*\*|\*)/.test(line);
    const bare = isComment ? '' : line.replaceAll(/'[^']*'|\/\*.*?\*\//g, '');
    depth += (bare.match(/[{(]/g) ?? []).length - (bare.match(/[})]/g) ?? []).length;
    // A union continues after a comment.
    const next = lines.slice(index + 1).find((other) => !/^\s*(\/\*\*|\*)/.test(other)) ?? '';
    const ends = /;$/.test(bare.trimEnd()) || (/\}$/.test(bare.trimEnd()) && !/^\s*\|/.test(next));
    if (depth === 0 && ends) {
      found.push({ doc: plainDoc(doc), code });
      doc = [];
      code = [];
    }
  }
  return found;
}

function declarationOf({ doc, code }) {
  const [first] = code;
  const head = /^export (?:declare )?(abstract class|class|interface|type|const|function) (\w+)/.exec(first);
  if (head === null) return undefined;
  const [, kind, name] = head;
  if (kind.endsWith('class') || kind === 'interface') {
    const title = first.replace(/^export (declare )?/, '').replace(/ \{\}?$/, '');
    const members = pieces(code.slice(1, -1), 4).filter(
      (member) => !/^(#|private |protected )/.test(member.code[0]),
    );
    const base = / extends (\w+)/.exec(title)?.[1];
    return { name, kind, doc, signature: title, members, base };
  }
  const signature = code
    .join('\n')
    .replace(/^export (declare )?/, '')
    .replace(/;$/, '');
  return { name, kind, doc, signature, members: [] };
}

const moduleBeside = (file, from) => path.join(path.dirname(file), from.replace(/\.js$/, '.d.ts'));

/** The declaration of a name that a module imports or declares itself; undefined if it is not of this package. */
function lookUp(file, name) {
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const imported = /^import (?:type )?\{(.*)\} from '(\.[^']+)';$/.exec(line);
    if (imported === null) continue;
    for (const word of imported[1].split(',')) {
      const [original, alias = original] = word
        .trim()
        .replace(/^type /, '')
        .split(' as ');
      if (alias === name) return exportsOf(moduleBeside(file, imported[2])).get(original);
    }
  }
  return exportsOf(file).get(name);
}

/** The exported declarations of a module by name, in order, re-exported ones included. Overloads are one. */
function exportsOf(file) {
  const found = new Map();
  const add = (name, declaration) => {
    const known = found.get(name);
    if (known === undefined) found.set(name, declaration);
    else if (declaration.kind === 'function') known.signature += `\n${declaration.signature}`;
  };
  for (const piece of pieces(readFileSync(file, 'utf8').split('\n'), 0)) {
    const text = piece.code.join(' ');
    const passed = /^export (?:type )?(?:\{(.*)\}|\*) from '([^']+)';$/.exec(text);
    if (passed === null) {
      const declaration = declarationOf(piece);
      if (declaration !== undefined) add(declaration.name, { ...declaration, file });
      continue;
    }
    const [, list, from] = passed;
    const module = exportsOf(moduleBeside(file, from));
    const names = list?.split(',').map((word) => word.trim().replace(/^type /, '')) ?? [...module.keys()];
    for (const name of names.filter((word) => word !== '')) {
      const [original, alias = original] = name.split(' as ');
      const declaration = module.get(original);
      if (declaration === undefined) throw new Error(`${file}: ${from} has no ${original}`);
      add(alias, { ...declaration, name: alias });
    }
  }
  return found;
}

const code = (text) => (text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``);

function memberText({ doc, code: lines }) {
  const signature = lines.join(' ').replaceAll(/\s+/g, ' ').replace(/;$/, '');
  const text = doc.replaceAll(/\n+- /g, '; ').replaceAll(/\s*\n\s*/g, ' ');
  return `- ${code(signature)}${text === '' ? '' : ` – ${text}`}`;
}

const nameOf = ({ code: [first] }) =>
  /^(?:static |readonly |abstract |get |set )*(\[[\w.]+\]|\w+)/.exec(first)?.[1];

/** The class as it was declared, so that a re-exported one is recognised under another name. */
const originOf = ({ file, kind, signature }) => `${file}: ${kind} ${signature}`;

/** The members of a class and of its base classes, except those that are already described. */
function allMembers(declaration, described) {
  const members = [...declaration.members];
  const notes = [];
  const own = new Set(members.map(nameOf));
  let at = declaration;
  while (at.base !== undefined) {
    const base = lookUp(at.file, at.base);
    if (base === undefined) break;
    const where = described.get(originOf(base));
    if (where !== undefined) {
      notes.push(`Has the members of ${where} as well.`);
      break;
    }
    for (const member of base.members) {
      const name = nameOf(member);
      if (name === 'constructor' || own.has(name)) continue;
      members.push(member);
    }
    for (const member of base.members) own.add(nameOf(member));
    at = base;
  }
  return { members, notes };
}

function declarationText(declaration, described) {
  const { name, doc, signature } = declaration;
  const parts = [`### ${name}`, `\`\`\`ts\n${signature}\n\`\`\``];
  if (doc !== '') parts.push(doc);
  const { members, notes } = allMembers(declaration, described);
  if (members.length > 0) parts.push(members.map(memberText).join('\n'));
  return [...parts, ...notes].join('\n\n');
}

const parts = [
  '# API',
  'Every export of the package, from its docstrings; written by `npm run api`. How the parts work together is in ' +
    '[guide.md](guide.md). The C library has its own [manual](../sandboxee-c/README.md).',
];
const shown = new Map();
const described = new Map();
for (const [entry, file, about] of entries) {
  parts.push(`## ${entry}`, about);
  const again = [];
  for (const declaration of exportsOf(path.join(root, file)).values()) {
    const text = declarationText(declaration, described);
    if (shown.get(declaration.name) === text) again.push(code(declaration.name));
    else parts.push(text);
    shown.set(declaration.name, text);
    if (!described.has(originOf(declaration))) {
      described.set(originOf(declaration), `${code(declaration.name)} of ${code(entry)}`);
    }
  }
  if (again.length > 0) parts.push(`Also exported here: ${again.join(', ')}.`);
}
const text = `${parts.join('\n\n')}\n`;

if (process.argv.includes('--check')) {
  let current = '';
  try {
    current = readFileSync(target, 'utf8');
  } catch {}
  if (current !== text) {
    console.error(
      'docs/api.md is not what the docstrings say: run npm run api, and look at what has changed',
    );
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
