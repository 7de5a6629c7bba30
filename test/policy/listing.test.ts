// What disassemble() and explain() show.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ALLOW, ARG, JEQ, KILL, NOTIFY, PolicyBuilder } from '../../host/index.js';
import { disassemble, instructionText } from '../../host/policy/bpf/disassembler.js';
import { type Instruction, instruction as i, Opcode } from '../../host/policy/bpf/instructions.js';

const test = suite('listing');

function texts(cases: readonly (readonly [Instruction, string])[]): void {
  for (const [entry, expected] of cases) assert.is(instructionText(entry, 2), expected);
}

test('loads and memory', () => {
  texts([
    [i(Opcode.LOAD, 0), 'A := syscall number'],
    [i(Opcode.LOAD, 4), 'A := architecture'],
    [i(Opcode.LOAD, 8), 'A := instruction pointer low'],
    [i(Opcode.LOAD, 12), 'A := instruction pointer high'],
    [i(Opcode.LOAD, 16), 'A := arg 0 low'],
    [i(Opcode.LOAD, 60), 'A := arg 5 high'],
    [i(Opcode.LOAD, 3), 'A := data[0x3] (misaligned load)'],
    [i(Opcode.LOAD, 4096), 'A := data[0x1000] (invalid load)'],
    [i(Opcode.LOAD_LENGTH, 0), 'A := 64'],
    [i(Opcode.LOAD_X_LENGTH, 0), 'X := 64'],
    [i(Opcode.LOAD_IMMEDIATE, 0x1234), 'A := 0x1234'],
    [i(Opcode.LOAD_X_IMMEDIATE, 0xffffffff), 'X := 0xffffffff'],
    [i(Opcode.LOAD_MEMORY, 1), 'A := M[1]'],
    [i(Opcode.LOAD_X_MEMORY, 15), 'X := M[15]'],
    [i(Opcode.STORE, 1), 'M[1] := A'],
    [i(Opcode.STORE_X, 16), 'M[16] (invalid slot) := X'],
    [i(Opcode.TAX, 0), 'X := A'],
    [i(Opcode.TXA, 0), 'A := X'],
  ]);
});

test('returns', () => {
  const cases: [number, string][] = [
    [0x7fff0000, 'ALLOW'],
    [0x00000000, 'KILL'],
    [0x80000000, 'KILL_PROCESS'],
    [0x7ffc0000, 'LOG'],
    [0x00030012, 'TRAP 0x12'],
    [0x7ff01234, 'TRACE 0x1234'],
    [0x0005000d, 'ERRNO EACCES'],
    [0x00050fdb, 'ERRNO 4059'],
    [0x7fc00000, 'USER_NOTIF (violation)'],
    [0x7fc00001, 'USER_NOTIF (asks the host)'],
    [0x7fc00002, 'USER_NOTIF (launch)'],
    [0x7fc00003, 'USER_NOTIF 0x3'],
    [0x12345678, 'return 0x12345678'],
  ];
  for (const [value, expected] of cases) assert.is(instructionText(i(Opcode.RETURN, value), 0), expected);
  assert.is(instructionText(i(Opcode.RETURN_A, 0), 0), 'return A');
});

test('arithmetic and jumps', () => {
  texts([
    [i(Opcode.NEGATE, 0), 'A := -A'],
    [i(Opcode.ADD, 5), 'A := A + 0x5'],
    [i(Opcode.SUBTRACT_X, 0), 'A := A - X'],
    [i(Opcode.MULTIPLY, 5), 'A := A * 0x5'],
    [i(Opcode.DIVIDE, 5), 'A := A / 0x5'],
    [i(Opcode.OR, 5), 'A := A | 0x5'],
    [i(Opcode.AND_X, 0), 'A := A & X'],
    [i(Opcode.XOR, 5), 'A := A ^ 0x5'],
    [i(Opcode.SHIFT_LEFT, 5), 'A := A << 0x5'],
    [i(Opcode.SHIFT_RIGHT, 5), 'A := A >> 0x5'],
    [i(Opcode.JUMP, 2), 'jump to 5'],
    [i(Opcode.JUMP_IF_EQUAL, 0x1234, 1, 0), 'if A == 0x1234 goto 4'],
    [i(Opcode.JUMP_IF_EQUAL, 0x1234, 0, 1), 'if A != 0x1234 goto 4'],
    [i(Opcode.JUMP_IF_GREATER, 0x1234, 0, 1), 'if A <= 0x1234 goto 4'],
    [i(Opcode.JUMP_IF_GREATER, 0x1234, 1, 2), 'if A > 0x1234 then 4 else 5'],
    [i(Opcode.JUMP_IF_GREATER_OR_EQUAL, 0x1234, 1, 0), 'if A >= 0x1234 goto 4'],
    [i(Opcode.JUMP_IF_GREATER_OR_EQUAL, 0x1234, 0, 1), 'if A < 0x1234 goto 4'],
    [i(Opcode.JUMP_IF_ANY_BIT, 4, 1, 0), 'if A & 0x4 goto 4'],
    [i(Opcode.JUMP_IF_ANY_BIT, 4, 0, 1), 'if !(A & 0x4) goto 4'],
    [i(Opcode.JUMP_IF_EQUAL_X, 0, 1, 0), 'if A == X goto 4'],
    [i(228, 0), 'Invalid instruction 228'],
    [i(229, 0), 'Invalid instruction 229'],
    [i(0x28, 0), 'Invalid instruction 40'],
    [i(0x1020, 0), 'Invalid instruction 4128'],
  ]);
  assert.is(disassemble([i(Opcode.RETURN, 0x7fff0000)]), '000: ALLOW\n');
});

test('a policy names syscalls and constants', () => {
  const listing = new PolicyBuilder({ arch: 'x86-64' })
    .syscall('socket', (arg) => arg(0).in(1, 2))
    .syscall('mprotect', (arg) => arg(2).eq(3))
    .blockSyscallWithErrno('openat', 'ENOENT')
    .build()
    .disassemble();
  assert.match(listing, /^000: A := architecture\n001: if A != 0xc000003e goto \d+ +; x86-64\n/);
  assert.match(listing, /A := arg 0 low +; socket\n/);
  assert.match(listing, /if A == 0x1 goto \d+ +; AF_UNIX\n/);
  assert.match(listing, /if A == 0x3 then \d+ else \d+ +; PROT_READ\|PROT_WRITE\n/);
  assert.match(listing, /ERRNO ENOENT +; openat\n/);
  assert.match(listing, /\d+: USER_NOTIF \(violation\)\n$/);
  assert.not.match(listing, /never reached/);
});

test('a policy in words', () => {
  const text = new PolicyBuilder({ arch: 'x86-64' })
    .allow('allowWriteExecutable', 'allowKeyrings')
    .allowRead()
    .allowFork()
    .allowMmap('allowMapExec')
    .allowSyscall('keyctl')
    .syscall('socket', (arg) => arg(0).in(1, 2))
    .syscall('madvise', (arg) => arg(2).eq(4), { errno: 'EPERM' })
    .syscall('connect', 'notify')
    .blockSyscallsWithErrno(['umask', 'open'], 'ENOENT')
    .addPolicyOnSyscall('write', [ARG(0), JEQ(1, ALLOW), KILL])
    .addPolicyOnSyscall('getpid', [NOTIFY])
    .overridableBlockSyscallWithErrno('sethostname', 'EPERM')
    .addTmpfs('/tmp', 64 << 20)
    .addDirectoryAt('/usr', '/data')
    .addDirectory('/proc')
    .setHostname('box')
    .build()
    .explain();
  const has = (line: string) => assert.ok(text.includes(line), `${line}\nin\n${text}`);
  has('A policy for x86-64: ');
  has('Weakened by name: allowKeyrings, allowWriteExecutable\n');
  has('Memory can be made executable: mmap.\n');
  has('Allowed: fork, keyctl, mmap, pread64, preadv, preadv2, read, readv, vfork\n');
  has('Refused with an errno: open ENOENT, sethostname EPERM, umask ENOENT\n');
  has('Asked of the host: connect, getpid\n');
  has('  socket\n    allow when arg 0 is AF_UNIX or AF_INET  (syscall)\n    otherwise violation\n');
  has('  madvise\n    errno EPERM when arg 2 == MADV_DONTNEED  (syscall)\n    otherwise violation\n');
  has('    by 11 instructions of BPF  (addPolicyOnSyscall)\n      0: A := arg 0 low\n');
  has('    violation when arg 0 & (CLONE_NEWNS|');
  has('Everything else is a violation.\n');
  has(
    '  R /data/ from /usr/\n  R /proc/ of the sandbox (proc)\n  W /tmp/ in memory, at most 64 MiB, executable\n',
  );
  has('Network: a loopback device of its own, nothing else.\nHost name: box\n');
});

test('what a default leaves out, in words', () => {
  const plain = new PolicyBuilder().build().explain();
  assert.match(plain, /Nothing is weakened by name\./);
  assert.not.match(plain, /Allowed:/);
  const all = new PolicyBuilder().defaultAction('allowAllSyscalls').build().explain();
  assert.match(all, /Weakened by name: allowAllSyscalls\n/);
  assert.match(all, /A violation for want of a token:[\s\S]*ptrace \(allowPtrace\)/);
  assert.match(all, /Everything else is allowed\./);
  assert.match(all, /Memory can be made executable: mmap, mprotect, pkey_mprotect\./);
  const open = new PolicyBuilder().allowUnrestrictedNetworking().defaultAction('traceAllSyscalls').build();
  assert.match(open.explain(), /Weakened by name: traceAllSyscalls, allowUnrestrictedNetworking\n/);
  assert.match(open.explain(), /Network: that of the host\./);
});

test.run();
