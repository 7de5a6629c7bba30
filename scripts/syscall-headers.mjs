// Compares host/policy/tables/syscalls.json with the kernel headers of this machine (Debian: linux-libc-dev), and
// prints which syscalls of the headers are missing or different in the table. x86-64 has a header of its own numbers;
// aarch64 uses the generic one, read through the C preprocessor.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const first = (paths) => paths.find((candidate) => existsSync(candidate));
const x86 = first(['/usr/include/x86_64-linux-gnu/asm/unistd_64.h', '/usr/include/asm/unistd_64.h']);
const i386 = first(['/usr/include/x86_64-linux-gnu/asm/unistd_32.h', '/usr/include/asm/unistd_32.h']);
const x32 = first(['/usr/include/x86_64-linux-gnu/asm/unistd_x32.h', '/usr/include/asm/unistd_x32.h']);
const generic = first(['/usr/include/asm-generic/unistd.h']);
// The macros that aarch64's own asm/unistd.h defines before it includes the generic one.
const aarch64Defines = [
  '__ARCH_WANT_RENAMEAT',
  '__ARCH_WANT_NEW_STAT',
  '__ARCH_WANT_SET_GET_RLIMIT',
  '__ARCH_WANT_TIME32_SYSCALLS',
  '__ARCH_WANT_MEMFD_SECRET',
  '__ARCH_WANT_SYS_CLONE3',
];
// The generic header also contains numbers for 32-bit machines and for other architectures' own use.
const notOnAarch64 =
  /^(syscalls|arch_specific_syscall)$|(_time64|_time32)$|^(sync_file_range2|timerfd_gettime64)$/;

function macros(header, defines) {
  const input = `${defines.map((name) => `#define ${name}\n`).join('')}#include "${header}"\n`;
  const output = execFileSync('cc', ['-E', '-dM', '-D__BITS_PER_LONG=64', '-x', 'c', '-'], {
    input,
    encoding: 'utf8',
  });
  return new Map(
    [...output.matchAll(/^#define (__NR\w+) (.+)$/gm)].map((match) => [match[1], match[2].trim()]),
  );
}

function numbersOf(header, defines, leaveOut) {
  const defined = macros(header, defines);
  const entries = [];
  for (const [name, text] of defined) {
    if (!name.startsWith('__NR_')) continue;
    let value = text;
    while (defined.has(value)) value = defined.get(value); // __NR_fcntl is __NR3264_fcntl is 25
    value = value.replace(/^\(__X32_SYSCALL_BIT \+ (\d+)\)$/, '$1');
    const short = name.slice('__NR_'.length);
    if (/^\d+$/.test(value) && !leaveOut.test(short)) entries.push([short, Number(value)]);
  }
  return entries.sort((a, b) => a[1] - b[1]);
}

const table = JSON.parse(readFileSync(path.join(root, 'host/policy/tables/syscalls.json'), 'utf8'));
const headers = [
  ['x86-64', x86, [], /^$/],
  ['i386', i386, [], /^$/],
  ['x32', x32, [], /^$/],
  ['aarch64', generic, aarch64Defines, notOnAarch64],
];
let differences = 0;
for (const [name, header, defines, leaveOut] of headers) {
  if (header === undefined) {
    console.log(`${name}: no header here`);
    continue;
  }
  const known = { ...table[name], ...table.everywhere };
  for (const [syscall, number] of numbersOf(header, defines, leaveOut)) {
    if (known[syscall] === number) continue;
    differences += 1;
    console.log(`${name}: ${syscall} is ${number} in ${header}, ${known[syscall] ?? 'missing'} in the table`);
  }
}
process.exitCode = differences > 0 ? 1 : 0;
