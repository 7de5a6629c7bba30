// The notes of a listing: which syscalls reach an instruction, and what its numbers mean. They are found by following
// the program with everything that is known: what A holds, and which syscall numbers are still possible.

import { Handshake } from '../../../protocol/wire.generated.js';
import { type Arch, auditArch, syscallName } from '../syscalls.js';
import { constantName } from '../tables/constants.js';
import { DataOffset, type Instruction, isJump, Opcode } from './instructions.js';

/** Sorted intervals that do not touch each other; both ends are included. */
type Numbers = readonly (readonly [first: number, last: number])[];

interface Known {
  /** The offset in struct seccomp_data of the word that A holds; undefined for anything else. */
  readonly word: number | undefined;
  readonly numbers: Numbers;
}

const everything: Numbers = [[0, 0xffffffff]];

function intersect(numbers: Numbers, first: number, last: number): Numbers {
  return numbers
    .map(([from, to]) => [Math.max(from, first), Math.min(to, last)] as const)
    .filter(([from, to]) => from <= to);
}

function unite(one: Numbers, other: Numbers): Numbers {
  const sorted = [...one, ...other].sort((a, b) => a[0] - b[0]);
  const united: [number, number][] = [];
  for (const [first, last] of sorted) {
    const before = united.at(-1);
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else united.push([first, last]);
  }
  return united;
}

/** The numbers for which a test of the syscall number succeeds, and those for which it fails. */
function split(numbers: Numbers, code: number, k: number): readonly [Numbers, Numbers] {
  const above = (first: number) => intersect(numbers, first, 0xffffffff);
  const below = (last: number) => intersect(numbers, 0, last);
  switch (code) {
    case Opcode.JUMP_IF_EQUAL:
      return [intersect(numbers, k, k), unite(below(k - 1), above(k + 1))];
    case Opcode.JUMP_IF_GREATER:
      return [above(k + 1), below(k)];
    case Opcode.JUMP_IF_GREATER_OR_EQUAL:
      return [above(k), below(k - 1)];
    default:
      return [numbers, numbers];
  }
}

function wordAfter({ code, k }: Instruction, word: number | undefined): number | undefined {
  if (code === Opcode.LOAD) return k;
  // Masked bits still belong to the argument.
  const keeps: readonly number[] = [Opcode.STORE, Opcode.STORE_X, Opcode.TAX, Opcode.AND];
  return keeps.includes(code) || isJump(code) ? word : undefined;
}

/** What is known on entry to each instruction; undefined if it is never reached. */
function follow(program: readonly Instruction[]): readonly (Known | undefined)[] {
  const known: (Known | undefined)[] = [{ word: undefined, numbers: everything }];
  program.forEach((entry, at) => {
    const here = known[at];
    if (here === undefined) return;
    const reach = (target: number, numbers: Numbers) => {
      if (numbers.length === 0) return;
      const word = wordAfter(entry, here.word);
      const there = known[target];
      known[target] =
        there === undefined
          ? { word, numbers }
          : { word: there.word === word ? word : undefined, numbers: unite(there.numbers, numbers) };
    };
    const { code, jt, jf, k } = entry;
    if (code === Opcode.RETURN || code === Opcode.RETURN_A) return;
    if (code === Opcode.JUMP) reach(at + 1 + k, here.numbers);
    else if (isJump(code)) {
      const isNumber = here.word === DataOffset.nr;
      const [yes, no] = isNumber ? split(here.numbers, code, k) : [here.numbers, here.numbers];
      reach(at + 1 + jt, yes);
      reach(at + 1 + jf, no);
    } else reach(at + 1, here.numbers);
  });
  return known;
}

const maxNamed = 4;

function nameOf(number: number, arch: Arch): string {
  return number === Handshake.MAGIC_SYSCALL ? 'magic' : (syscallName(number, arch) ?? String(number));
}

/** The names of these syscalls if they are few; empty for many. */
function syscallsOf(numbers: Numbers, arch: Arch): readonly string[] {
  const count = numbers.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  if (count > maxNamed) return [];
  return numbers.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, index) => nameOf(first + index, arch)),
  );
}

function valueName(known: Known, { code, k }: Instruction, arch: Arch): string | undefined {
  const { word, numbers } = known;
  if (word === DataOffset.nr) return syscallName(k, arch);
  if (word === DataOffset.arch) {
    return Object.entries(auditArch).find(([, number]) => number === k)?.[0];
  }
  if (word === undefined || word < DataOffset.argumentLow(0) || word % 8 !== 0) return undefined;
  const argument = (word - DataOffset.argumentLow(0)) >> 3;
  const asBits = code === Opcode.JUMP_IF_ANY_BIT || code === Opcode.AND;
  const names = new Set(
    syscallsOf(numbers, arch).map((syscall) =>
      constantName(syscall, argument, BigInt(k >>> 0), arch, asBits),
    ),
  );
  return names.size === 1 ? [...names][0] : undefined;
}

/** A note for each instruction, often empty. */
export function notesOf(program: readonly Instruction[], arch: Arch): readonly string[] {
  const known = follow(program);
  let before = '';
  return program.map((entry, at) => {
    const here = known[at];
    if (here === undefined) return 'never reached';
    const syscalls = syscallsOf(here.numbers, arch).join(', ');
    const isNew = syscalls !== before;
    before = syscalls;
    const compares = isJump(entry.code) && entry.code !== Opcode.JUMP && (entry.code & 8) === 0;
    const value = compares || entry.code === Opcode.AND ? valueName(here, entry, arch) : undefined;
    return [isNew ? syscalls : '', value ?? ''].filter((part) => part !== '').join(': ');
  });
}
