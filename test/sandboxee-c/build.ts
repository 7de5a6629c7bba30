// Builds libsandwire with its tests into build/c-tests/<variant>, incrementally, and runs what it built.
import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { whyNotCompiled } from '../support/machine.js';

/** The checkout: the nearest folder above this file that holds sandboxee-c. */
export const root = findRoot(dirname(fileURLToPath(import.meta.url)));

function findRoot(from: string): string {
  let folder = from;
  while (!existsSync(join(folder, 'sandboxee-c', 'CMakeLists.txt'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`sandboxee-c is nowhere above ${from}`);
    folder = parent;
  }
  return folder;
}

export type Variant = 'plain' | 'sanitized' | 'fuzzed';

/** Why a variant cannot be built or run here; undefined: it can. */
export function whyNotBuilt(variant: Variant): string | undefined {
  if (variant === 'sanitized') return whyNotCompiled('cc', ['-fsanitize=address,undefined']);
  if (variant === 'fuzzed') return whyNotCompiled('clang', ['-fsanitize=fuzzer,address,undefined']);
  return undefined;
}

const optionsOf: Record<Variant, string[]> = {
  plain: ['-DCMAKE_BUILD_TYPE=RelWithDebInfo'],
  sanitized: ['-DCMAKE_BUILD_TYPE=Debug', '-DSANDWIRE_SANITIZE=ON'],
  fuzzed: ['-DCMAKE_BUILD_TYPE=Debug', '-DCMAKE_C_COMPILER=clang', '-DSANDWIRE_FUZZ=ON'],
};

/** The folder for a build: in the checkout or, if another user owns that, in a temporary folder. */
export function buildFolder(name: string): string {
  const inside = join(root, 'build', 'c-tests');
  try {
    mkdirSync(join(inside, name), { recursive: true });
    accessSync(join(inside, name), constants.W_OK);
    const cache = join(inside, name, 'CMakeCache.txt');
    if (existsSync(cache)) accessSync(cache, constants.W_OK);
    return join(inside, name);
  } catch {
    const outside = join(tmpdir(), `sandwire-c-tests-${userInfo().uid}`, name);
    mkdirSync(outside, { recursive: true, mode: 0o700 });
    return outside;
  }
}

/**
 * Configures (once) and builds. Returns the folder of the test programs. Throws with the compiler's output. Test files
 * that run at the same time build one after the other.
 */
export function build(variant: Variant): string {
  const folder = buildFolder(variant);
  const steps = '[ -e "$1/Makefile" ] || cmake -B "$@" && cmake --build "$1" --parallel 2';
  const args = [folder, '-S', join(root, 'sandboxee-c'), ...optionsOf[variant]];
  run('flock', [`${folder}.lock`, 'sh', '-c', steps, 'sh', ...args]);
  return join(folder, 'test');
}

/** Runs a program to its end; throws with all its output if it failed. */
export function run(program: string, args: string[], input?: string, env?: NodeJS.ProcessEnv): string {
  const result = spawnSync(program, args, {
    encoding: 'utf8',
    timeout: 300_000,
    maxBuffer: 64 << 20,
    ...(input === undefined ? {} : { input }),
    ...(env === undefined ? {} : { env }),
  });
  if (result.error) throw result.error;
  if (result.status !== 0) {
    throw new Error(
      `${program} ${args.join(' ')}: exit ${result.status ?? result.signal}\n${result.stdout}${result.stderr}`,
    );
  }
  return result.stdout;
}

/** True if a program can be run here. */
export function isInstalled(program: string, args: readonly string[] = ['--version']): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
