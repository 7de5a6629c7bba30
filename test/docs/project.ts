// An empty project of somebody who uses sandwire, in which samples are compiled and run.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run } from '../support/command.js';
import { checkout } from '../support/sandbox.js';

const require = createRequire(import.meta.url);
const compiler = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin/tsc');

export interface Project extends Disposable {
  readonly folder: string;
  /** Writes NAME.ts, NAME.js or NAME.c. */
  add(file: string, code: string): void;
  /** Type-checks and compiles what TypeScript there is. Returns the compiler's complaints. */
  compileTypeScript(): string;
  /** Compiles NAME.c with libsandwire into NAME. Returns the compiler's complaints. */
  compileC(name: string): string;
  start(command: string, args: readonly string[]): ReturnType<typeof run>;
}

export function makeProject(): Project {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-samples-'));
  chmodSync(folder, 0o755); // root's sandboxees are not root
  mkdirSync(path.join(folder, 'node_modules/@types'), { recursive: true });
  symlinkSync(checkout, path.join(folder, 'node_modules/sandwire'));
  symlinkSync(path.join(checkout, 'node_modules/@types/node'), path.join(folder, 'node_modules/@types/node'));
  writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }\n');
  const options = {
    target: 'es2022',
    module: 'nodenext',
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'],
    strict: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: true,
  };
  writeFileSync(
    path.join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, include: ['*.ts'] }),
  );
  return {
    folder,
    add: (file, code) => writeFileSync(path.join(folder, file), code),
    compileTypeScript() {
      const result = spawnSync(process.execPath, [compiler, '-p', folder], { encoding: 'utf8', cwd: folder });
      return result.status === 0 ? '' : result.stdout + result.stderr;
    },
    compileC(name) {
      const library = path.join(checkout, 'build/sandboxee-c/libsandwire.a');
      const include = path.join(checkout, 'sandboxee-c/include');
      const flags = ['-std=c11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', `-I${include}`];
      const result = spawnSync('cc', [...flags, `${name}.c`, library, '-o', name], {
        encoding: 'utf8',
        cwd: folder,
      });
      return result.status === 0 ? '' : `${result.error ?? ''}${result.stderr}`;
    },
    start: (command, args) => run(command, args, '', folder),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
