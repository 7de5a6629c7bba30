// The table of arguments against the kernel's own prototypes, where tracefs is mounted and may be read.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { argumentBits } from '../../host/policy/arguments.js';
import { nativeArch, syscallNumber } from '../../host/policy/syscalls.js';
import { argumentKinds } from '../../host/policy/tables/arguments.js';
import { syscallsX8664 } from '../../host/policy/tables/syscalls-x86-64.generated.js';
import { skip } from '../support/skip.js';

const test = suite('arguments');
const events = '/sys/kernel/tracing/events/syscalls';

/** Arguments declared with 64 bits of which the kernel uses 32, or refuses the call if others are set. */
const narrowed = new Set(
  `clone 0; unshare 0; mmap 2; mmap 3; mmap 4; mprotect 2; pkey_mprotect 2; mremap 3; mount 3; remap_file_pages 2
  remap_file_pages 4; process_vm_readv 5; process_vm_writev 5; readv 0; readv 2; writev 0; writev 2; preadv 0; preadv2 0
  pwritev 0; pwritev2 0`.split(/[;\n]\s*/),
);

/** Functions whose names differ from their syscalls'. */
const otherNames: Readonly<Record<string, string>> = {
  newstat: 'stat',
  newlstat: 'lstat',
  newfstat: 'fstat',
  newuname: 'uname',
  umount: 'umount2',
  sendfile64: 'sendfile',
};

function bitsOf(type: string): 32 | 64 {
  if (type.includes('*')) return 64;
  return /\b(long|size_t|loff_t|off_t|aio_context_t|_*u64|cap_user_header_t|cap_user_data_t)\b/.test(type)
    ? 64
    : 32;
}

test('widths are those of the kernel', () => {
  if (!existsSync(events)) {
    skip('widths of arguments', `tracefs is not mounted or may not be read (${events})`);
    return;
  }
  let compared = 0;
  for (const event of readdirSync(events)) {
    const [, called] = /^sys_enter_(.+)$/.exec(event) ?? [];
    const syscall = otherNames[called ?? ''] ?? called ?? '';
    if (syscallNumber(syscall, nativeArch) === undefined) continue;
    const format = readFileSync(`${events}/${event}/format`, 'utf8');
    const types = [...format.matchAll(/field:(.+?) ?(\w+);\s+offset:(\d+);/g)]
      .filter(([, , , offset]) => Number(offset) >= 16)
      .map(([, type = '']) => type);
    types.forEach((type, index) => {
      if (narrowed.has(`${syscall} ${index}`)) {
        assert.is(argumentBits(syscall, index), 32, `${syscall} ${index}`);
        return;
      }
      const known = argumentBits(syscall, index);
      if (known === undefined) return;
      assert.is(known, bitsOf(type), `argument ${index} of ${syscall}: ${type}`);
      compared++;
    });
  }
  assert.ok(compared > 500, String(compared));
});

test('the table has the arguments of every current syscall', () => {
  // Syscalls that no kernel has any more, or never had.
  const gone = new Set(
    `uselib _sysctl create_module get_kernel_syms query_module nfsservctl getpmsg putpmsg afs_syscall tuxcall security
    epoll_ctl_old epoll_wait_old vserver`.split(/\s+/),
  );
  const missing = Object.keys(syscallsX8664).filter((name) => !argumentKinds.has(name) && !gone.has(name));
  assert.equal(missing, []);
});

test.run();
