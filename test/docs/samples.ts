// Takes the samples out of a Markdown file.
//
// Every fenced block is a sample and has a name, as the second word behind the fence: ```ts executor. A block of
// TypeScript or C may go on from others of its document (```ts limits after=executor). A block of text named
// "output-of=NAME" is what sample NAME prints.
import { readFileSync } from 'node:fs';

export type Language = 'ts' | 'js' | 'c' | 'sh' | 'text' | 'cmake' | 'make';

export interface Sample {
  readonly document: string;
  readonly line: number;
  readonly language: Language;
  readonly name: string;
  /** Names of the samples in front of it, first one first. */
  readonly after: readonly string[];
  readonly outputOf: string | undefined;
  readonly code: string;
}

const languages = new Set<string>(['ts', 'js', 'c', 'sh', 'text', 'cmake', 'make']);

/** Throws, with file and line, for a block without a language or a name. */
export function samplesOf(path: string, document: string): Sample[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  const samples: Sample[] = [];
  for (let index = 0; index < lines.length; index++) {
    const opening = /^(`{3,})(.*)$/.exec(lines[index] ?? '');
    if (opening === null) continue;
    const start = index;
    const end = lines.indexOf(opening[1] ?? '```', start + 1);
    const at = `${document}:${start + 1}`;
    if (end < 0) throw new Error(`${at}: the block is never closed`);
    const [language = '', name = '', ...rest] = (opening[2] ?? '').trim().split(/\s+/);
    if (!languages.has(language)) throw new Error(`${at}: a block needs a language, not "${language}"`);
    const options = new Map(
      [name, ...rest].filter((word) => word.includes('=')).map((word) => word.split('=') as [string, string]),
    );
    if (name === '') throw new Error(`${at}: a block needs a name: \`\`\`${language} NAME`);
    const after = options.get('after');
    samples.push({
      document,
      line: start + 1,
      language: language as Language,
      name,
      after: after === undefined ? [] : after.split('+'),
      outputOf: options.get('output-of'),
      code: `${lines.slice(start + 1, end).join('\n')}\n`,
    });
    index = end;
  }
  for (const sample of samples) {
    const twice = samples.some((other) => other !== sample && other.name === sample.name);
    if (twice && sample.outputOf === undefined) {
      throw new Error(`${document}:${sample.line}: two samples are named ${sample.name}`);
    }
    for (const name of sample.outputOf === undefined ? sample.after : [sample.outputOf]) {
      if (!samples.some((other) => other.name === name)) {
        throw new Error(`${document}:${sample.line}: there is no sample ${name}`);
      }
    }
  }
  return samples;
}

const importForm = /^import (type )?(?:\{([^}]*)\}|\* as (\w+)|(\w+)) from '([^']+)';\n/gm;

/** One module of several pieces: their imports in front, each name once. */
export function joinModules(pieces: readonly string[]): string {
  const named = new Map<string, Set<string>>();
  const others = new Set<string>();
  const bodies = pieces.map((piece) =>
    piece.replace(importForm, (whole, type: string | undefined, names: string | undefined, ...rest) => {
      const from = String(rest[2]);
      if (names === undefined) {
        others.add(whole);
        return '';
      }
      const list = named.get(from) ?? new Set();
      for (const name of names.split(',').map((text) => text.trim())) {
        if (name !== '') list.add(`${type ?? ''}${name}`);
      }
      named.set(from, list);
      return '';
    }),
  );
  const imports = [...named].map(([from, names]) => `import { ${[...names].join(', ')} } from '${from}';\n`);
  return [...imports, ...others, ...bodies].join('');
}

/** The code of a sample behind that of all it goes on from, and in front of what a test adds. */
export function wholeCode(sample: Sample, all: readonly Sample[], added = ''): string {
  const seen = new Set<string>();
  const pieces: string[] = [];
  const visit = (current: Sample): void => {
    if (seen.has(current.name)) return;
    seen.add(current.name);
    for (const name of current.after) {
      const before = all.find((other) => other.name === name);
      if (before !== undefined) visit(before);
    }
    pieces.push(current.code);
  };
  visit(sample);
  if (sample.language !== 'ts' && sample.language !== 'js') return pieces.join('') + added;
  return joinModules([...pieces, added]);
}
