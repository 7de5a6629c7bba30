// A syscall as text: name, decoded arguments.
import { constants } from 'node:os';
import { escaped } from './quoting.js';
import { socketAddressText } from './socket-address.js';
import { type Arch, foreignFrom, syscallName } from './syscalls.js';
import { type ArgumentKind, argumentKinds } from './tables/arguments.js';
import { constantsOf, constantText } from './tables/constants.js';
import { syscallsI386 } from './tables/syscalls-i386.generated.js';
import { syscallsX32 } from './tables/syscalls-x32.generated.js';

export interface DescribedSyscall {
  /** "UNKNOWN[n/0x…]" for a number that the tables do not have. */
  readonly name: string;
  readonly args: readonly { readonly index: number; readonly value: bigint; readonly text: string }[];
  /** [X86-64] openat [257](AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC, 00) */
  readonly text: string;
}

interface Interface {
  readonly nameOf: (number: number) => string | undefined;
  /** The architecture whose flags apply. */
  readonly flags: Arch;
  readonly wordBits: 32 | 64;
}

const byNumber = (table: Readonly<Record<string, number>>) =>
  new Map(Object.entries(table).map(([name, number]) => [number, name]));
const i386Names = byNumber(syscallsI386);
const x32Names = byNumber(syscallsX32);
const x32Bit = foreignFrom['x86-64'] ?? 0;

const interfaces = new Map<string, Interface>([
  ['X86-64', { nameOf: (number) => syscallName(number, 'x86-64'), flags: 'x86-64', wordBits: 64 }],
  ['X86-32', { nameOf: (number) => i386Names.get(number), flags: 'x86-64', wordBits: 32 }],
  ['X32', { nameOf: (number) => x32Names.get(number - x32Bit), flags: 'x86-64', wordBits: 64 }],
  ['AARCH64', { nameOf: (number) => syscallName(number, 'aarch64'), flags: 'aarch64', wordBits: 64 }],
]);

/** Calls of the 32-bit interface that have the name of another call but other arguments. */
const i386Kinds = new Map<string, readonly ArgumentKind[]>([
  ['mmap', ['pointer']],
  ['select', ['pointer']],
  ['mmap2', ['pointer', 'size', 'protection', 'flags', 'fd', 'size']],
  ['fcntl64', ['fd', 'int', 'long']],
  ['socketcall', ['int', 'pointer']],
  ['waitpid', ['int', 'pointer', 'flags']],
]);

/** Arguments that point at bytes which the call passes in, and the argument that says how many. */
const handedOver = new Map<string, readonly [bytes: number, size: number]>([
  ['write', [1, 2]],
  ['pwrite64', [1, 2]],
  ['sendto', [1, 2]],
]);

const signals = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));
const AT_FDCWD = -100;
const shownText = 200;
const shownData = 32;

function signed32(value: bigint): number {
  return Number(BigInt.asIntN(32, value));
}

function hexadecimal(value: bigint): string {
  return `0x${value.toString(16)}`;
}

/** The bytes in quotes, without anything that a terminal or a log would take for more than text. */
export function quoted(bytes: Uint8Array, limit: number, isWhole: boolean): string {
  const text = new TextDecoder('latin1').decode(bytes);
  const printable = escaped(text);
  return `"${printable.slice(0, limit)}"${!isWhole || printable.length > limit ? '…' : ''}`;
}

/** The NUL-terminated text at this address; undefined if it cannot be read. */
function textAt(memory: Uint8Array | undefined): string | undefined {
  if (memory === undefined || memory.length === 0) return undefined;
  const end = memory.indexOf(0);
  return quoted(memory.subarray(0, end < 0 ? memory.length : end), shownText, end >= 0);
}

/** Bytes whose number another argument gives. */
function dataAt(memory: Uint8Array | undefined, size: bigint): string | undefined {
  if (memory === undefined || memory.length === 0 || size === 0n) return undefined;
  const count = size < BigInt(memory.length) ? Number(size) : memory.length;
  return quoted(memory.subarray(0, count), shownData, BigInt(count) === size);
}

interface Call {
  readonly name: string;
  readonly args: readonly bigint[];
  readonly memory: ReadonlyMap<number, Uint8Array>;
  readonly interface: Interface;
}

function argumentText(call: Call, kind: ArgumentKind, index: number): string {
  const value = call.args[index] ?? 0n;
  const memory = call.memory.get(index);
  const named = constantsOf(call.name, index, call.interface.flags);
  const named32 = named && constantText(named, BigInt.asUintN(32, value));
  switch (kind) {
    case 'int':
    case 'family':
      return named32 ?? String(signed32(value));
    case 'fd':
      return signed32(value) === AT_FDCWD ? 'AT_FDCWD' : String(signed32(value));
    case 'size':
      return value.toString();
    case 'count':
      return BigInt.asUintN(32, value).toString();
    case 'long':
      return BigInt.asIntN(call.interface.wordBits, value).toString();
    case 'path':
      return textAt(memory) ?? pointerText(value);
    case 'address':
      return socketAddressText(memory, call.args[index + 1] ?? 0n, textAt) ?? pointerText(value);
    case 'mode':
    case 'permissions':
      return named32 ?? `0${BigInt.asUintN(32, value).toString(8)}`;
    case 'signal':
      return signals.get(signed32(value)) ?? String(signed32(value));
    case 'pointer': {
      const [bytes, size] = handedOver.get(call.name) ?? [];
      const data = bytes === index ? dataAt(memory, call.args[size ?? 0] ?? 0n) : undefined;
      return data ?? pointerText(value);
    }
    default:
      return named32 ?? hexadecimal(value);
  }
}

function pointerText(value: bigint): string {
  return value === 0n ? 'NULL' : hexadecimal(value);
}

/**
 * arch: "X86-64", "AARCH64", "X86-32" (int 0x80), "X32", or another, whose numbers are not in the tables. memory: what
 * arguments pointed at, by index; the program may have changed it since.
 */
export function describeSyscall(
  number: number,
  args: readonly bigint[],
  arch: string,
  memory: ReadonlyMap<number, Uint8Array> = new Map(),
): DescribedSyscall {
  const known = interfaces.get(arch);
  const name = known?.nameOf(number);
  const kinds =
    name === undefined
      ? undefined
      : ((arch === 'X86-32' ? i386Kinds.get(name) : undefined) ?? argumentKinds.get(name));
  const described = args.slice(0, kinds?.length ?? 6).map((value, index) => {
    const kind = kinds?.[index];
    const text =
      known === undefined || name === undefined || kind === undefined
        ? `${hexadecimal(value)} [${value}]`
        : argumentText({ name, args, memory, interface: known }, kind, index);
    return { index, value, text };
  });
  const shownName = name ?? `UNKNOWN[${number}/0x${(number >>> 0).toString(16)}]`;
  const shown = described.map(({ text }) => text).join(', ');
  return {
    name: shownName,
    args: described,
    text: `[${arch}] ${shownName}${name === undefined ? '' : ` [${number}]`}(${shown})`,
  };
}
