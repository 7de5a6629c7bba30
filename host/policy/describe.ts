// A syscall in words: name, decoded arguments.
import { constants } from 'node:os';
import { syscallName } from './syscalls.js';
import { type ArgumentKind, argumentKinds } from './tables/arguments.js';

export interface DescribedSyscall {
  /** "UNKNOWN[n/0x…]" for a number the tables do not have. */
  readonly name: string;
  readonly args: readonly { readonly index: number; readonly value: bigint; readonly text: string }[];
  /** [X86-64] openat [257](AT_FDCWD, "/etc/passwd", 0x0 [0], …) */
  readonly text: string;
}

const signals = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));
const families = new Map([
  [0, 'AF_UNSPEC'],
  [1, 'AF_UNIX'],
  [2, 'AF_INET'],
  [10, 'AF_INET6'],
  [16, 'AF_NETLINK'],
  [17, 'AF_PACKET'],
  [38, 'AF_ALG'],
  [40, 'AF_VSOCK'],
]);
const AT_FDCWD = -100;
const shownText = 200;

function signed32(value: bigint): number {
  return Number(BigInt.asIntN(32, value));
}

function hexadecimal(value: bigint): string {
  return `0x${value.toString(16)}`;
}

/** What a NUL-terminated text at this address says; undefined if it cannot be read. */
function textAt(memory: Uint8Array | undefined): string | undefined {
  if (memory === undefined || memory.length === 0) return undefined;
  const end = memory.indexOf(0);
  const text = new TextDecoder('latin1').decode(memory.subarray(0, end < 0 ? memory.length : end));
  const printable = text.replaceAll(
    /[^\x20-\x7e]/g,
    (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return `"${printable.slice(0, shownText)}"${end < 0 || printable.length > shownText ? '…' : ''}`;
}

function addressAt(memory: Uint8Array | undefined): string | undefined {
  if (memory === undefined || memory.length < 2) return undefined;
  const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  const family = view.getUint16(0, true);
  if (family === 2 && memory.length >= 8) {
    return `{AF_INET, ${memory.subarray(4, 8).join('.')}, port ${view.getUint16(2)}}`;
  }
  if (family === 10 && memory.length >= 24) {
    const groups = Array.from({ length: 8 }, (_, index) => view.getUint16(8 + 2 * index).toString(16));
    return `{AF_INET6, ${groups.join(':')}, port ${view.getUint16(2)}}`;
  }
  if (family === 1) return `{AF_UNIX, ${textAt(memory.subarray(2)) ?? '""'}}`;
  return `{${families.get(family) ?? `family ${family}`}}`;
}

function protectionText(value: bigint): string {
  const names = ['PROT_READ', 'PROT_WRITE', 'PROT_EXEC'].filter((_, bit) => (value >> BigInt(bit)) & 1n);
  return names.length === 0 ? 'PROT_NONE' : names.join('|');
}

function argumentText(kind: ArgumentKind, value: bigint, memory: Uint8Array | undefined): string {
  switch (kind) {
    case 'int':
      return String(signed32(value));
    case 'fd':
      return signed32(value) === AT_FDCWD ? 'AT_FDCWD' : String(signed32(value));
    case 'size':
      return value.toString();
    case 'long':
      return BigInt.asIntN(64, value).toString();
    case 'path':
      return textAt(memory) ?? hexadecimal(value);
    case 'address':
      return addressAt(memory) ?? hexadecimal(value);
    case 'mode':
      return `0${BigInt.asUintN(32, value).toString(8)}`;
    case 'signal':
      return signals.get(signed32(value)) ?? String(signed32(value));
    case 'family':
      return families.get(signed32(value)) ?? String(signed32(value));
    case 'protection':
      return protectionText(value);
    default:
      return hexadecimal(value);
  }
}

/**
 * arch: "X86-64", "AARCH64" or another, whose numbers are not in the tables. memory: what arguments pointed at, by
 * index; the program may have changed it since.
 */
export function describeSyscall(
  number: number,
  args: readonly bigint[],
  arch: string,
  memory: ReadonlyMap<number, Uint8Array> = new Map(),
): DescribedSyscall {
  const known =
    arch === 'X86-64'
      ? syscallName(number, 'x86-64')
      : arch === 'AARCH64'
        ? syscallName(number, 'aarch64')
        : undefined;
  const kinds = known === undefined ? undefined : argumentKinds.get(known);
  const described = args.slice(0, kinds?.length ?? 6).map((value, index) => {
    const text =
      kinds === undefined
        ? `${hexadecimal(value)} [${value}]`
        : argumentText(kinds[index] ?? 'pointer', value, memory.get(index));
    return { index, value, text };
  });
  const name = known ?? `UNKNOWN[${number}/0x${(number >>> 0).toString(16)}]`;
  const shown = described.map(({ text }) => text).join(', ');
  return {
    name,
    args: described,
    text: `[${arch}] ${name}${known === undefined ? '' : ` [${number}]`}(${shown})`,
  };
}
