// Makes a test of each sample of a document. A sample nobody says how to run is a failing test, and so is a way of
// running one that is not there.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../support/command.js';
import { checkout } from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { makeProject, type Project } from './project.js';
import { type Sample, samplesOf, wholeCode } from './samples.js';

/** How a sample is tried. */
export type Trial =
  /** TypeScript: type-checked, and run to the end with what is added behind it. */
  | {
      readonly kind: 'run';
      readonly added?: string;
      readonly prints: string | RegExp;
      readonly exitCode?: number;
      /** Samples and files it needs beside it. */
      readonly needs?: readonly string[];
      readonly skipIf?: () => string | undefined;
    }
  /** A sandboxee: compiled, and run by a host of the test's own. */
  | { readonly kind: 'hosted'; readonly host: string; readonly prints: string | RegExp }
  /** Shell commands: what stands behind them, run in the checkout. */
  | {
      readonly kind: 'command';
      readonly command: readonly string[];
      readonly prints: string | RegExp;
      readonly exitCode?: number;
    }
  /** Compiled, and run by the samples that need it. */
  | { readonly kind: 'needed' }
  /** Run by another test of the project, which must be there. */
  | { readonly kind: 'tested-by'; readonly file: string };

export type Trials = Readonly<Record<string, Trial>>;

const sources = new Map([
  ['ts', 'ts'],
  ['js', 'js'],
  ['c', 'c'],
]);

function checkTable(samples: readonly Sample[], trials: Trials): void {
  const names = samples.map((sample) => sample.name);
  for (const sample of samples) {
    const where = `${sample.document}:${sample.line}: the sample ${sample.name}`;
    if (sample.outputOf !== undefined) continue; // compared with what it prints
    const trial = trials[sample.name];
    assert.ok(trial, `${where} is not run: say how in the table of its test`);
    const needed = Object.values(trials).some(
      (other) => other.kind === 'run' && other.needs?.includes(sample.name),
    );
    if (trial.kind === 'needed') assert.ok(needed, `${where} is needed by no sample that is run`);
  }
  for (const [name, trial] of Object.entries(trials)) {
    assert.ok(names.includes(name), `there is no sample ${name}`);
    if (trial.kind === 'tested-by') assert.ok(existsSync(path.join(checkout, trial.file)), trial.file);
  }
}

/** What differs from one run to the next. */
function normalized(text: string): string {
  return text
    .replaceAll(/0x[0-9a-f]{3,}/g, '0x…')
    .replaceAll(/\]\([^)]*\) IP/g, '](…) IP')
    .replaceAll(/PID: \d+/g, 'PID: …')
    .replaceAll(/'\/[^']*\//g, "'…/")
    .replaceAll(/Stack: .*/g, 'Stack: …')
    .trim();
}

function compile(project: Project, samples: readonly Sample[], trials: Trials): void {
  for (const sample of samples) {
    const extension = sources.get(sample.language);
    const trial = trials[sample.name];
    if (extension === undefined || trial?.kind === 'tested-by') continue;
    const added = trial?.kind === 'run' ? trial.added : undefined;
    project.add(`${sample.name}.${extension}`, wholeCode(sample, samples, added));
    if (trial?.kind === 'hosted') project.add(`${sample.name}-host.ts`, trial.host);
  }
  assert.is(project.compileTypeScript(), '');
  for (const sample of samples) {
    if (sample.language === 'c' && trials[sample.name]?.kind !== 'tested-by') {
      assert.is(project.compileC(sample.name), '', sample.name);
    }
  }
}

type Started = Exclude<Trial, { kind: 'needed' | 'tested-by' }>;

function start(project: Project, sample: Sample, trial: Started): ReturnType<typeof run> {
  if (trial.kind === 'run') return project.start(process.execPath, [`${sample.name}.js`]);
  if (trial.kind === 'hosted') return project.start(process.execPath, [`${sample.name}-host.js`]);
  const [command = '', ...args] = trial.command;
  return run(command, args, '', checkout);
}

/** Adds the tests and runs them. */
export function runDocument(document: string, trials: Trials): void {
  const test = suite(document);
  const samples = samplesOf(path.join(checkout, document), document);
  const project = makeProject();
  const printed = new Map<string, string>();

  test('every sample is run, and nothing is run that is not there', () => checkTable(samples, trials));
  test('every sample compiles', () => compile(project, samples, trials));
  for (const sample of samples) {
    const trial = trials[sample.name];
    if (trial === undefined || trial.kind === 'needed' || trial.kind === 'tested-by') continue;
    test(`${sample.name} (line ${sample.line})`, async () => {
      const reason = trial.kind === 'run' ? trial.skipIf?.() : undefined;
      if (reason !== undefined) return skip(`${document}: ${sample.name}`, reason);
      const { code, stdout, stderr } = await start(project, sample, trial);
      printed.set(sample.name, stdout);
      if (typeof trial.prints === 'string') assert.is(stdout, trial.prints, stderr);
      else assert.match(stdout, trial.prints, `it printed ${JSON.stringify(stdout)}\n${stderr}`);
      assert.is(code, 'exitCode' in trial ? trial.exitCode : 0, stderr);
    });
  }
  for (const sample of samples) {
    if (sample.outputOf === undefined) continue;
    test(`${sample.outputOf} prints what the document says`, () => {
      const output = printed.get(sample.outputOf ?? '');
      if (output === undefined) return skip(`${document}: output of ${sample.outputOf}`, 'it was not run');
      for (const line of normalized(sample.code).split('\n')) {
        assert.ok(normalized(output).includes(line), `${line}\nis not in\n${output}`);
      }
    });
  }
  test.after(() => project[Symbol.dispose]());
  test.run();
}
