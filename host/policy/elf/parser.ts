// As much of an ELF file as the dynamic loader looks at before it runs it. The file may be hostile: every offset and
// count is checked against the file and against limits, and nothing is followed twice.

export interface DynamicInfo {
  /** What PT_INTERP names; undefined for a static program or a library. */
  readonly interpreter: string | undefined;
  /** DT_NEEDED, in order. */
  readonly needed: readonly string[];
  readonly rpath: readonly string[];
  readonly runpath: readonly string[];
}

export class ElfError extends Error {}

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;
const DT_STRSZ = 10n;
const DT_RPATH = 15n;
const DT_RUNPATH = 29n;
const maxHeaders = 500;
const maxDynamic = 10_000;
const maxText = 4096;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: bigint;
  readonly size: number;
}

function range(bytes: Buffer, offset: bigint, size: bigint, what: string): [number, number] {
  if (offset > BigInt(bytes.length) || size > BigInt(bytes.length) - offset)
    throw new ElfError(`${what} lies outside the file`);
  return [Number(offset), Number(size)];
}

function textAt(bytes: Buffer, offset: number, end: number, what: string): string {
  const limit = Math.min(end, offset + maxText);
  const stop = bytes.subarray(offset, limit).indexOf(0);
  if (offset >= end || stop < 0) throw new ElfError(`${what} has no end`);
  return bytes.toString('utf8', offset, offset + stop);
}

function segmentsOf(bytes: Buffer): Segment[] {
  const size = bytes.readUInt16LE(54);
  const count = bytes.readUInt16LE(56);
  if (size !== 56 || count > maxHeaders) throw new ElfError(`${count} program headers of ${size} bytes`);
  const [start] = range(bytes, bytes.readBigUInt64LE(32), BigInt(size * count), 'the program header table');
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * size;
    const type = bytes.readUInt32LE(at);
    const relevant = type === PT_LOAD || type === PT_DYNAMIC || type === PT_INTERP;
    const [offset, fileSize] = relevant
      ? range(bytes, bytes.readBigUInt64LE(at + 8), bytes.readBigUInt64LE(at + 32), 'a segment')
      : [0, 0];
    return { type, offset, address: bytes.readBigUInt64LE(at + 16), size: fileSize };
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

function readDynamic(bytes: Buffer, dynamic: Segment, segments: readonly Segment[]) {
  const entries: [bigint, bigint][] = [];
  for (let at = dynamic.offset; at + 16 <= dynamic.offset + dynamic.size; at += 16) {
    const tag = bytes.readBigUInt64LE(at);
    if (tag === 0n) break;
    entries.push([tag, bytes.readBigUInt64LE(at + 8)]);
    if (entries.length > maxDynamic) throw new ElfError(`more than ${maxDynamic} dynamic entries`);
  }
  const value = (tag: bigint) => entries.find(([entry]) => entry === tag)?.[1];
  const tableAddress = value(DT_STRTAB);
  if (tableAddress === undefined) return { needed: [], rpath: [], runpath: [] };
  const table = offsetOf(tableAddress, segments);
  const [, size] = range(bytes, BigInt(table), value(DT_STRSZ) ?? 0n, 'the string table');
  const text = (offset: bigint) => {
    if (offset >= BigInt(size)) throw new ElfError('a name lies outside the string table');
    return textAt(bytes, table + Number(offset), table + size, 'a name');
  };
  const texts = (tag: bigint) => entries.filter(([entry]) => entry === tag).map(([, offset]) => text(offset));
  const paths = (tag: bigint) =>
    texts(tag)
      .flatMap((list) => list.split(':'))
      .filter((path) => path !== '');
  return { needed: texts(DT_NEEDED), rpath: paths(DT_RPATH), runpath: paths(DT_RUNPATH) };
}

/** Throws ElfError for what is no 64-bit little-endian ELF file, or a broken one. */
export function parseElf(bytes: Buffer): DynamicInfo {
  if (bytes.length < 64 || bytes.readUInt32BE(0) !== 0x7f454c46) throw new ElfError('it is no ELF file');
  if (bytes[4] !== 2 || bytes[5] !== 1) throw new ElfError('it is no 64-bit little-endian ELF file');
  const segments = segmentsOf(bytes);
  const named = segments.find((segment) => segment.type === PT_INTERP);
  const interpreter =
    named === undefined
      ? undefined
      : textAt(bytes, named.offset, named.offset + named.size, 'the interpreter');
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC);
  if (dynamic === undefined) return { interpreter, needed: [], rpath: [], runpath: [] };
  return { interpreter, ...readDynamic(bytes, dynamic, segments) };
}
