// Runs the plain C programs of bench/floors.
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const directory = fileURLToPath(new URL('../../build/bench/', import.meta.url));

export const nothing = `${directory}nothing`;
/** Not a floor: a fork server whose children sandbox themselves and end. */
export const forkServer = `${directory}fork_server`;

function samplesOf(program: string, args: readonly string[]): number[] {
  const output = execFileSync(`${directory}${program}`, args, { encoding: 'utf8' });
  return output
    .trim()
    .split('\n')
    .map((line) => Number(line) / 1000);
}

export const syscalls = `${directory}syscalls`;

/** Microseconds of one call, from the output of bench/floors/syscalls.c. */
export function callTimes(output: string): number[] {
  return output
    .trim()
    .split('\n')
    .map((line) => Number(line) / 1e6);
}

/** Microseconds of one call without a sandbox. */
export function callFloor(syscall: string, batches: number): number[] {
  return callTimes(execFileSync(syscalls, [syscall, String(batches)], { encoding: 'utf8' }));
}

/** Microseconds of posix_spawn and wait, from C. */
export function spawnFloor(count: number, command: readonly string[]): number[] {
  return samplesOf('spawn_floor', [String(count), ...command]);
}

/** Microseconds from a call that kills to the parent's knowing it, from C. */
export function violationFloor(count: number): number[] {
  return samplesOf('violation_floor', [String(count)]);
}

export const violate = `${directory}violate`;

/** Path of a program of bench/floors. */
export function floorPath(program: string): string {
  return `${directory}${program}`;
}

export function isInstalled(command: string): boolean {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}
