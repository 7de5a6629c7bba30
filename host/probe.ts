// Finds out what this machine allows, by trying it.
import { execFile } from 'node:child_process';
import { constants } from 'node:os';
import { supervisorPath } from '../native/addon.js';
import { adviceFor, type CapabilityName, type CapabilityText, capabilities } from './capabilities.js';
import { errnoName } from './errno.js';
import { Executor } from './executor.js';
import { PolicyBuilder } from './policy/index.js';
import { Sandbox2 } from './sandbox2.js';

/** One thing that was tried. */
export interface Capability {
  readonly name: CapabilityName;
  /** Its name, "user namespaces" for example. */
  readonly title: string;
  readonly isAvailable: boolean;
  /** True if no sandbox can be made without it. */
  readonly isRequired: boolean;
  /** A number that belongs to it: Landlock's ABI version, the hard limit of open files. */
  readonly value?: number;
  /** Why it was refused: the name of an errno or a signal, or a sentence. */
  readonly reason?: string;
  /** What is missing without it; only where it is not available. */
  readonly without?: string;
  /** What to do; only where it is not available. */
  readonly advice?: string;
}

/** What probe() found. Plain data. */
export interface Probe {
  /** True if sandboxes can be made here: everything that is required is available. */
  readonly isUsable: boolean;
  readonly capabilities: readonly Capability[];
}

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));
const makesNamespaces: ReadonlySet<CapabilityName> = new Set([
  'userNamespace',
  'mountNamespace',
  'pidNamespace',
  'networkNamespace',
  'ipcNamespace',
  'utsNamespace',
  'cgroupNamespace',
  'idMaps',
]);
const triedInNamespaces: ReadonlySet<CapabilityName> = new Set([
  'idMaps',
  'enterNamespaces',
  'mounts',
  'procMount',
  'sysfsMount',
]);
const valued: ReadonlySet<CapabilityName> = new Set(['openFiles', 'landlock']);

function reasonOf(error: number): string {
  if (error < 0) return `ended by ${signalNames.get(-error) ?? `signal ${-error}`}`;
  return errnoName(error);
}

function capability(name: CapabilityName, reason: string | undefined, value?: number): Capability {
  const text: CapabilityText = capabilities[name];
  return {
    name,
    title: text.title,
    isAvailable: reason === undefined,
    isRequired: text.isRequired,
    ...(value !== undefined && valued.has(name) && { value }),
    ...(reason !== undefined && { reason, without: text.without, advice: adviceFor(name, reason) }),
  };
}

const isName = (text: string): text is CapabilityName => Object.hasOwn(capabilities, text);

/** Lines of sandwire-supervisor --probe: name, error, value. */
export function parseProbe(output: string): Capability[] {
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [name = '', error = '', value = ''] = line.split(' ');
      if (!isName(name) || !/^-?\d+$/.test(error) || !/^-?\d+$/.test(value)) {
        throw new Error(`sandwire-supervisor --probe: an unknown line: ${JSON.stringify(line)}`);
      }
      return capability(name, Number(error) === 0 ? undefined : reasonOf(Number(error)), Number(value));
    });
}

/**
 * If the sandbox in which something was tried could not even be made, refers to the cause that was already reported.
 */
export function withCauses(found: readonly Capability[]): Capability[] {
  return found.map((each, place) => {
    if (each.isAvailable || !triedInNamespaces.has(each.name)) return each;
    const cause = found
      .slice(0, place)
      .find(({ name, reason }) => makesNamespaces.has(name) && reason === each.reason);
    return cause === undefined ? each : { ...each, advice: `see: ${cause.title}` };
  });
}

function runHelper(): Promise<string> {
  return new Promise((resolve, reject) => {
    // Enough time for every attempt to use all of its own.
    execFile(supervisorPath(), ['--probe'], { env: {}, timeout: 150_000 }, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`sandwire-supervisor --probe failed: ${error.message}`));
    });
  });
}

async function trySandbox(): Promise<Capability> {
  const program = supervisorPath();
  const policy = new PolicyBuilder().defaultAction('allowAllSyscalls').addLibrariesForBinary(program).build();
  await using sandbox = new Sandbox2(new Executor(program, ['sandwire-supervisor', '--nothing']), policy);
  const result = await sandbox.run();
  return capability('sandbox', result.isOk ? undefined : String(result));
}

/**
 * Tries everything that sandwire needs of the machine, as the user this process runs as, and finally runs a program in
 * a sandbox. It leaves nothing behind. Takes some 50 ms. Throws NativeUnavailableError if nothing is built.
 */
export async function probe(): Promise<Probe> {
  const found = [...withCauses(parseProbe(await runHelper())), await trySandbox()];
  return {
    isUsable: found.every((each) => each.isAvailable || !each.isRequired),
    capabilities: found,
  };
}
