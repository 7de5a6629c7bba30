// Helpers that run the tiny sandboxees of test/sandboxees.
import { existsSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import {
  Executor,
  type ExecutorOptions,
  type ForkServer,
  type Policy,
  PolicyBuilder,
  type Result,
  Sandbox2,
} from '../../host/index.js';
import { hangMs } from './time.js';

// dist/test/support/ → the checkout
export const checkout = fileURLToPath(new URL('../../../', import.meta.url));
export const isRoot = process.geteuid?.() === 0;

/** Path of a compiled sandboxee. */
export function sandboxeePath(name: string): string {
  const path = `${checkout}build/sandboxees/${name}`;
  if (!existsSync(path)) throw new Error(`${path} is not built`);
  return path;
}

/** A policy that allows the sandboxees' syscalls, for tests of something other than the policy. */
export function lenientPolicy(
  extend: (builder: PolicyBuilder) => PolicyBuilder = (builder) => builder,
): Policy {
  return extend(new PolicyBuilder().defaultAction('allowAllSyscalls')).build();
}

export function sandboxee(
  name: string,
  args: readonly string[] = [],
  options: ExecutorOptions = {},
): Executor {
  return new Executor(sandboxeePath(name), [name, ...args], options);
}

/** Everything that is read from an fd (a socket end) until its other side is closed. Takes ownership of the fd. */
export function readAll(fd: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new Socket({ fd, readable: true, writable: false });
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
  });
}

export interface Finished {
  readonly result: Result;
  readonly output: string;
}

/** Runs to the end, with standard output captured. */
export async function runToEnd(executor: Executor, policy: Policy = lenientPolicy()): Promise<Finished> {
  const output = readAll(executor.ipc.receiveFd(1));
  const sandbox = new Sandbox2(executor, policy);
  const result = await sandbox.run();
  await sandbox[Symbol.asyncDispose]();
  return { result, output: await output };
}

/** True if a process exists and is not a zombie (whose parent, on this machine, may reap it late). */
export function isAlive(pid: number): boolean {
  try {
    const state = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.[0];
    return state !== 'Z' && state !== 'X';
  } catch {
    return false;
  }
}

/** Waits until the condition holds; throws with the description after limitMs. */
export async function eventually(what: string, condition: () => boolean, limitMs = hangMs): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`still not true after ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A fork server whose children do what the sandboxee of the same name does; see test/sandboxees/behave.c. */
export function startForkServer(options: ExecutorOptions = {}, how = ''): Promise<ForkServer> {
  return sandboxee('behave', ['fork', how], options).startForkServer();
}

/** Sends a sandboxee of behave.c its command line, and waits until it has it. */
export async function tellBehaviour(
  sandbox: Sandbox2,
  name: string,
  args: readonly string[] = [],
): Promise<void> {
  const line = [name, ...args].map((word) => `${word}\0`).join('');
  await sandbox.comms.sendBytes(new TextEncoder().encode(line));
  await sandbox.comms.recvBarrier();
}
