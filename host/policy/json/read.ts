// Reads a policy from a file that write.ts wrote. The file may be hostile or written by hand: nothing is accepted that
// the builder would refuse, and every comment in it must be true.
import { type Action, errnoNumber } from '../actions.js';
import { type Instruction, instruction, maxInstructions } from '../bpf/instructions.js';
import { always, type Condition, checkCondition, maxComparisons } from '../conditions.js';
import { PolicyError } from '../errors.js';
import { checkGuard } from '../guard.js';
import { checkSourcePath, checkTarget, realSource } from '../mount-paths.js';
import { type MountEntry, MountTree } from '../mount-tree.js';
import type { PolicyFields } from '../policy-fields.js';
import { completeFilter } from '../possible.js';
import { shown } from '../quoting.js';
import { checkPiece, type Entry, maxRules, type Rule, Rules } from '../rules.js';
import { checkHostname, type StackTraces } from '../sandbox-settings.js';
import { type Arch, isForeign, syscallName, syscallNumber } from '../syscalls.js';
import { constantName } from '../tables/constants.js';
import { type DangerousToken, isDangerousToken } from '../tokens.js';
import { method, Place } from './reader.js';
import { checkOrigin } from './rule-origins.js';
import { checkJsonText } from './text.js';
import { formatVersion, instructionData, type Of } from './write.js';

const maxText = 32 << 20;
const maxMounts = 100_000;

interface Argument extends Of {
  readonly arg: number;
  readonly bits: 32 | 64;
}

function readValue(place: Place, { arch, syscall, arg, bits }: Argument, asBits: boolean): bigint {
  const [, digits, name] = /^(0x[0-9a-f]{1,16})(?: (.+))?$/.exec(place.text()) ?? [];
  if (digits === undefined) place.fail('a number in hexadecimal is needed, such as "0x1f"');
  const value = BigInt(digits);
  if (value >= 1n << BigInt(bits)) place.fail(`${digits} does not fit into ${bits} bits`);
  if (name !== undefined && name !== constantName(syscall, arg, value, arch, asBits)) {
    place.fail(`${digits} is not ${name.slice(0, 100)}`);
  }
  return value;
}

function readCondition(place: Place, of: Of): Condition {
  for (const kind of ['all', 'any'] as const) {
    if (!place.has(kind)) continue;
    const parts = place.fields([kind])[kind]?.list(maxComparisons) ?? [];
    return { kind, of: parts.map((part) => readCondition(part, of)) };
  }
  if (place.has('not')) return { kind: 'not', of: readCondition(place.fields(['not'])['not'] as Place, of) };
  const {
    arg,
    bits,
    mask,
    op,
    value,
    in: values,
    anyBit,
  } = place.fields(['arg', 'bits'], ['mask', 'op', 'value', 'in', 'anyBit']);
  const common = { arg: (arg as Place).integer(0, 5), bits: (bits as Place).oneOf(32, 64) } as const;
  const number = (at: Place, asBits = false) => readValue(at, { ...of, ...common }, asBits);
  const given = [op, value, values, anyBit].map((at) => (at === undefined ? '-' : 'x')).join('');
  if (given === '---x' && mask === undefined)
    return { kind: 'anyBit', ...common, value: number(anyBit as Place, true) };
  const masked = { ...common, ...(mask === undefined ? {} : { mask: number(mask, true) }) };
  if (given === '--x-') {
    const list = (values as Place).list(maxComparisons).map((one) => number(one));
    return { kind: 'in', ...masked, values: list };
  }
  if (given !== 'xx--') place.fail('one of "op" with "value", "in", or "anyBit" without "mask" is needed');
  const comparison = (op as Place).oneOf('==', '!=', '<', '<=', '>', '>=');
  return { kind: 'compare', ...masked, op: comparison, value: number(value as Place) };
}

function readAction(place: Place): Action {
  if (typeof place.value === 'string') return { kind: place.oneOf('allow', 'violation', 'notify') };
  if (place.has('trap')) {
    return { kind: 'trap', data: (place.fields(['trap'])['trap'] as Place).integer(0, 0xffff) };
  }
  const errno = place.fields(['errno'])['errno'] as Place;
  const given = typeof errno.value === 'string' ? errno.text() : errno.integer(0, 4095);
  return { kind: 'errno', errno: errno.attempt(() => errnoNumber(given)) };
}

function readInstruction(place: Place, at: number): Instruction {
  const text = place.text();
  const match = /^([0-9a-f]{1,4}) ([0-9a-f]{1,2}) ([0-9a-f]{1,2}) ([0-9a-f]{1,8}): /.exec(text);
  const numbers = (match ?? []).slice(1).map((digits) => Number.parseInt(digits, 16));
  const [code, jt, jf, k] = numbers;
  if (code === undefined || jt === undefined || jf === undefined || k === undefined) {
    place.fail('an instruction is needed, such as "6 0 0 7fff0000: ALLOW"');
  }
  const entry = instruction(code, k, jt, jf);
  const meant = instructionData(entry, at);
  if (meant !== text) place.fail(`the instruction and its text differ: it is ${shown(meant)}`);
  return entry;
}

function readRule(place: Place, of: Of): Rule {
  const isProgram = place.has('bpf');
  const {
    by,
    do: action,
    when,
    bpf,
  } = isProgram ? place.fields(['by', 'bpf']) : place.fields(['by', 'do'], ['when']);
  const maker = (by as Place).text();
  if (isProgram) {
    const program = (bpf as Place).list(maxInstructions).map(readInstruction);
    (bpf as Place).attempt(() => checkPiece(program));
    return { by: maker, body: { kind: 'program', program } };
  }
  const condition = when === undefined ? always : readCondition(when, of);
  if (when !== undefined) when.attempt(() => checkCondition(condition));
  return { by: maker, body: { kind: 'when', condition, action: readAction(action as Place) } };
}

interface Reading {
  readonly arch: Arch;
  readonly tokens: ReadonlySet<DangerousToken>;
  readonly isOverridable: boolean;
  readonly add: (entry: Entry) => void;
}

function readRules(place: Place, { arch, tokens, isOverridable, add }: Reading): void {
  for (const [name, list] of place.entries()) {
    const number = /^\d{1,10}$/.test(name) ? Number(name) : (syscallNumber(name, arch) ?? Number.NaN);
    // A syscall that has a name must be given by its name, so that no reviewer overlooks it.
    const canonical = syscallName(number, arch) ?? String(number);
    if (!(number < 0x40000000) || isForeign(number, arch) || canonical !== name) {
      list.fail(
        Number.isNaN(number)
          ? `${arch} has no syscall of this name`
          : `${number} is not the number of a syscall without a name`,
      );
    }
    for (const entry of list.list(maxRules)) {
      const rule = readRule(entry, { arch, syscall: name });
      entry.attempt(() => {
        checkGuard(name, rule, tokens);
        checkOrigin({ syscall: name, rule }, isOverridable);
        add({ number, name, rule });
      });
    }
  }
}

function readMount(place: Place): MountEntry {
  const kinds = ['file', 'directory', 'tmpfs', 'symlink', 'emptyDirectory', 'proc', 'sysfs'] as const;
  const kind = kinds.find((one) => place.has(one));
  if (kind === undefined) place.fail(`one of ${kinds.join(', ')} is needed`);
  switch (kind) {
    case 'file':
    case 'directory': {
      const { [kind]: source, at, writable } = place.fields([kind], ['at', 'writable']);
      const outside = (source as Place).text();
      const isWritable = writable?.boolean() ?? false;
      (source as Place).attempt(() => checkSourcePath(method, outside, isWritable));
      if (outside === '/proc' || outside === '/sys') {
        (source as Place).fail(
          `a sandbox has its own: {"${outside === '/proc' ? 'proc' : 'sysfs'}": "${outside}"}`,
        );
      }
      const real = realSource(outside);
      (source as Place).attempt(() => checkSourcePath(method, real, isWritable));
      if (real === '/proc' || real === '/sys') (source as Place).fail(`it leads to the host’s ${real}`);
      const inside = at?.text() ?? outside;
      return { kind, inside, outside: real, writable: isWritable, executable: !isWritable };
    }
    case 'tmpfs': {
      const { tmpfs, sizeBytes } = place.fields(['tmpfs', 'sizeBytes']);
      const size = (sizeBytes as Place).integer(1, Number.MAX_SAFE_INTEGER);
      return { kind, inside: (tmpfs as Place).text(), sizeBytes: size, executable: false };
    }
    case 'symlink': {
      const { symlink, target } = place.fields(['symlink', 'target']);
      const leadsTo = (target as Place).text();
      (target as Place).attempt(() => checkTarget(method, leadsTo));
      return { kind, inside: (symlink as Place).text(), target: leadsTo };
    }
    case 'emptyDirectory':
    case 'proc':
    case 'sysfs':
      return { kind, inside: (place.fields([kind])[kind] as Place).text() };
  }
}

function readMounts(place: Place, writeExecutable: boolean): readonly MountEntry[] {
  const tree = new MountTree();
  for (const entry of place.list(maxMounts)) entry.attempt(() => tree.add(method, readMount(entry)));
  return tree.list(writeExecutable);
}

const defaultActions = {
  violation: 'violation',
  allowAllSyscalls: 'allow',
  traceAllSyscalls: 'notify',
} as const;
const moments = ['onViolation', 'onSignal', 'onTimeout', 'onKill', 'onExit', 'allThreads'] as const;

function readStackTraces(place: Place): StackTraces {
  const fields = place.fields(moments);
  const entries = moments.map((moment) => [moment, (fields[moment] as Place).boolean()] as const);
  return Object.fromEntries(entries) as Record<(typeof moments)[number], boolean>;
}

function parse(json: unknown): unknown {
  if (ArrayBuffer.isView(json))
    throw new PolicyError(method, 'bytes were given; read them as a text: "utf8"');
  if (typeof json !== 'string') return json;
  if (json.length > maxText) throw new PolicyError(method, `a text of ${json.length} characters is too long`);
  try {
    const parsed: unknown = JSON.parse(json);
    checkJsonText(json);
    return parsed;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new PolicyError(method, error instanceof SyntaxError ? `this is not JSON: ${why}` : why);
  }
}

/** Throws PolicyError. */
export function readPolicy(json: unknown): PolicyFields {
  const whole = new Place(parse(json));
  if (!whole.has('sandwirePolicy')) whole.fail('this is not a policy: "sandwirePolicy" is missing');
  const names = [
    ...['sandwirePolicy', 'arch', 'tokens', 'defaultAction', 'syscalls', 'overridable', 'mounts'],
    ...['hostname', 'networking', 'rootWritable', 'landlock', 'stackTraces'],
  ];
  const version = new Place((whole.value as Record<string, unknown>)['sandwirePolicy'], 'sandwirePolicy');
  if (version.value !== formatVersion) {
    version.fail(`version ${shown(version.value)} is not known; this sandwire reads ${formatVersion}`);
  }
  const found = whole.fields(names);
  const field = (name: string) => found[name] as Place;
  const arch = field('arch').oneOf('x86-64', 'aarch64');
  const tokens = new Set(
    field('tokens')
      .list(1000)
      .map((place) => {
        const token = place.text();
        return isDangerousToken(token) ? token : place.fail(`there is no token ${shown(token)}`);
      }),
  );
  const rules = new Rules();
  readRules(field('syscalls'), { arch, tokens, isOverridable: false, add: (entry) => rules.add([entry]) });
  readRules(field('overridable'), {
    arch,
    tokens,
    isOverridable: true,
    add: (entry) => rules.addOverridable([entry]),
  });
  const networking = field('networking').oneOf('private', 'unrestricted', 'forkServerShared');
  if ((networking === 'unrestricted') !== tokens.has('allowUnrestrictedNetworking')) {
    field('networking').fail('"unrestricted" and the token "allowUnrestrictedNetworking" go together');
  }
  const hostname = field('hostname').text();
  field('hostname').attempt(() => checkHostname(method, hostname));
  const filter = completeFilter({
    arch,
    rules: rules.snapshot(),
    tokens,
    landlockOnly: field('landlock').boolean(),
    defaultAction: {
      kind: defaultActions[field('defaultAction').oneOf('violation', 'allowAllSyscalls', 'traceAllSyscalls')],
    },
  });
  return {
    filter,
    mounts: readMounts(field('mounts'), tokens.has('allowWriteExecutable')),
    hostname,
    networking,
    rootWritable: field('rootWritable').boolean(),
    stackTraces: readStackTraces(field('stackTraces')),
  };
}
