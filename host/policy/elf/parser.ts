// Reads as much of an ELF file as the dynamic loader does before it runs the file. The file may be hostile: every
// offset and count is checked against the file and against limits, and nothing is followed twice.
import { type ByteSource, ElfError } from './source.js';

export interface DynamicInfo {
  /** e_machine: 62 for x86-64, 183 for aarch64. */
  readonly machine: number;
  /** The path in PT_INTERP; undefined for a static program or a library. */
  readonly interpreter: string | undefined;
  /** DT_NEEDED, in order. */
  readonly needed: readonly string[];
  readonly rpath: readonly string[];
  readonly runpath: readonly string[];
  /** True if the file is marked as a program: the loader does not accept it as a library. */
  readonly isProgram: boolean;
}

/** The file is for another kind of machine; the dynamic loader skips it. */
export class OtherMachineError extends ElfError {}

const ET_EXEC = 2;
const ET_DYN = 3;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;
const DT_STRSZ = 10n;
const DT_RPATH = 15n;
const DT_RUNPATH = 29n;
const DT_FLAGS_1 = 0x6ffffffbn;
const DF_1_PIE = 0x08000000n;
const maxHeaders = 500;
const maxDynamic = 10_000;
const maxNames = 1000;
const maxDirectories = 500;
const maxText = 4096;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: bigint;
  readonly size: number;
}

function range(source: ByteSource, offset: bigint, size: bigint, what: string): [number, number] {
  if (offset > BigInt(source.size) || size > BigInt(source.size) - offset)
    throw new ElfError(`${what} is outside the file`);
  return [Number(offset), Number(size)];
}

/** A text that ends in NUL before end. */
function textAt(source: ByteSource, offset: number, end: number, what: string): string {
  const bytes = source.read(offset, Math.max(0, Math.min(end - offset, maxText)));
  const stop = bytes.indexOf(0);
  if (stop < 0) throw new ElfError(`${what} has no end`);
  return bytes.toString('utf8', 0, stop);
}

function segmentsOf(source: ByteSource, header: Buffer): Segment[] {
  const size = header.readUInt16LE(54);
  const count = header.readUInt16LE(56);
  if (count > 0 && (size !== 56 || count > maxHeaders))
    throw new ElfError(`${count} program headers of ${size} bytes`);
  const [start, length] = range(
    source,
    header.readBigUInt64LE(32),
    BigInt(size * count),
    'the program header table',
  );
  const table = source.read(start, length);
  return Array.from({ length: count }, (_, index) => {
    const at = index * size;
    const type = table.readUInt32LE(at);
    const relevant = type === PT_LOAD || type === PT_DYNAMIC || type === PT_INTERP;
    const [offset, fileSize] = relevant
      ? range(source, table.readBigUInt64LE(at + 8), table.readBigUInt64LE(at + 32), 'a segment')
      : [0, 0];
    return { type, offset, address: table.readBigUInt64LE(at + 16), size: fileSize };
  });
}

function offsetOf(address: bigint, segments: readonly Segment[]): number {
  for (const segment of segments) {
    const within = address - segment.address;
    if (segment.type === PT_LOAD && within >= 0n && within < BigInt(segment.size))
      return segment.offset + Number(within);
  }
  throw new ElfError('the string table is not loaded');
}

const nothing = { needed: [], rpath: [], runpath: [], isProgram: false };

function readDynamic(source: ByteSource, dynamic: Segment, segments: readonly Segment[]) {
  const table = source.read(dynamic.offset, Math.min(dynamic.size, maxDynamic * 16));
  const entries: [bigint, bigint][] = [];
  let ended = false;
  for (let at = 0; at + 16 <= table.length && !ended; at += 16) {
    const tag = table.readBigUInt64LE(at);
    if (tag === 0n) ended = true;
    else entries.push([tag, table.readBigUInt64LE(at + 8)]);
  }
  if (!ended && table.length < dynamic.size) throw new ElfError(`more than ${maxDynamic} dynamic entries`);
  // If there are several, the loader uses the last (elf_get_dynamic_info() of glibc, decode_vec() of musl).
  const value = (tag: bigint) => entries.findLast(([entry]) => entry === tag)?.[1];
  const tableAddress = value(DT_STRTAB);
  if (tableAddress === undefined) return nothing;
  const start = offsetOf(tableAddress, segments);
  const [, size] = range(source, BigInt(start), value(DT_STRSZ) ?? 0n, 'the string table');
  const text = (offset: bigint) => {
    if (offset >= BigInt(size)) throw new ElfError('a name is outside the string table');
    return textAt(source, start + Number(offset), start + size, 'a name');
  };
  const needed = entries.filter(([tag]) => tag === DT_NEEDED).map(([, offset]) => offset);
  if (needed.length > maxNames) throw new ElfError(`it needs ${needed.length} libraries`);
  const paths = (tag: bigint) => {
    const offset = value(tag);
    const directories =
      offset === undefined
        ? []
        : text(offset)
            .split(':')
            .filter((path) => path !== '');
    if (directories.length > maxDirectories)
      throw new ElfError(`a search path of ${directories.length} directories`);
    return directories;
  };
  const flags = value(DT_FLAGS_1) ?? 0n;
  return {
    needed: needed.map(text),
    rpath: paths(DT_RPATH),
    runpath: paths(DT_RUNPATH),
    isProgram: (flags & DF_1_PIE) !== 0n,
  };
}

/**
 * machine: the required e_machine. Throws ElfError if the file is not a 64-bit little-endian program or library, or is
 * broken; OtherMachineError if it is for another machine.
 */
export function parseElf(source: ByteSource, machine?: number): DynamicInfo {
  if (source.size >= 2 && source.read(0, 2).toString('latin1') === '#!')
    throw new ElfError('it is a script; the program that runs is the one in its first line');
  if (source.size < 64) throw new ElfError('it is not an ELF file');
  const header = source.read(0, 64);
  if (header.readUInt32BE(0) !== 0x7f454c46) throw new ElfError('it is not an ELF file');
  if (header[4] !== 2 || header[5] !== 1)
    throw new OtherMachineError('it is not a 64-bit little-endian ELF file');
  const found = header.readUInt16LE(18);
  if (machine !== undefined && found !== machine)
    throw new OtherMachineError(`it is for machine ${found}, not for ${machine}`);
  const type = header.readUInt16LE(16);
  if (type !== ET_EXEC && type !== ET_DYN) throw new ElfError('it is neither a program nor a library');
  const segments = segmentsOf(source, header);
  const named = segments.find((segment) => segment.type === PT_INTERP);
  const interpreter =
    named === undefined
      ? undefined
      : textAt(source, named.offset, named.offset + named.size, 'the interpreter');
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC);
  const rest = dynamic === undefined ? nothing : readDynamic(source, dynamic, segments);
  return { machine: found, interpreter, ...rest, isProgram: type === ET_EXEC || rest.isProgram };
}
