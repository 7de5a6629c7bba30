// Syscall numbers by name for each architecture, and the architectures' names.
import { syscallsAarch64 } from './tables/syscalls-aarch64.generated.js';
import { syscallsX8664 } from './tables/syscalls-x86-64.generated.js';

export type Arch = 'x86-64' | 'aarch64';

/** The architecture of this process. */
export const nativeArch: Arch = process.arch === 'arm64' ? 'aarch64' : 'x86-64';

/** Maps, because names come from users: an object would also have "constructor" and whatever else it inherits. */
const numbers: Record<Arch, ReadonlyMap<string, number>> = {
  'x86-64': new Map(Object.entries(syscallsX8664)),
  aarch64: new Map(Object.entries(syscallsAarch64)),
};

const names: Record<Arch, ReadonlyMap<number, string>> = {
  'x86-64': new Map(Object.entries(syscallsX8664).map(([name, number]) => [number, name])),
  aarch64: new Map(Object.entries(syscallsAarch64).map(([name, number]) => [number, name])),
};

/** AUDIT_ARCH_* of linux/audit.h. */
export const auditArch: Record<Arch, number> = { 'x86-64': 0xc000003e, aarch64: 0xc00000b7 };

/** The numbers of the x32 interface begin here (__X32_SYSCALL_BIT). */
export const foreignFrom: Record<Arch, number | undefined> = { 'x86-64': 0x40000000, aarch64: undefined };

/**
 * Numbers that belong to another interface, first and last. 512 to 547 are those of x32 without its bit, which Linux
 * before 5.4 accepts as such (arch/x86/entry/syscalls/syscall_64.tbl).
 */
export const foreignNumbers: Record<Arch, readonly (readonly [number, number])[]> = {
  'x86-64': [
    [512, 547],
    [0x40000000, 0xffffffff],
  ],
  aarch64: [],
};

/** True if something, which may come from anywhere, is the name of an architecture. */
export function isArch(something: unknown): something is Arch {
  return something === 'x86-64' || something === 'aarch64';
}

export function isForeign(number: number, arch: Arch): boolean {
  return foreignNumbers[arch].some(([first, last]) => number >= first && number <= last);
}

/** undefined: this architecture has no such syscall. */
export function syscallNumber(name: string, arch: Arch = nativeArch): number | undefined {
  return numbers[arch].get(name);
}

/** True if any architecture has the syscall: otherwise its name is a mistake. */
export function isSyscallName(name: string): boolean {
  return Object.values(numbers).some((table) => table.has(name));
}

export function syscallName(number: number, arch: Arch = nativeArch): string | undefined {
  return names[arch].get(number);
}

/** Syscall numbers of this machine by name: SYS['read']. */
export const SYS: Readonly<Record<string, number>> = Object.freeze(
  Object.assign(Object.create(null) as Record<string, number>, Object.fromEntries(numbers[nativeArch])),
);
