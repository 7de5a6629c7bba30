// What disassemble() and explain() show.
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ALLOW,
  ARG,
  ARG_32,
  anyOf,
  ERRNO,
  JA,
  JA32,
  JEQ,
  JEQ32,
  JUMP,
  KILL,
  LABEL,
  NOTIFY,
  not,
  PolicyBuilder,
} from '../../host/index.js';
import { disassemble, instructionText } from '../../host/policy/bpf/disassembler.js';
import { type Instruction, instruction as i, Opcode } from '../../host/policy/bpf/instructions.js';
import { run } from '../../host/policy/bpf/interpreter.js';
import { possibleReturns } from '../../host/policy/bpf/outcomes.js';
import { checkPiece } from '../../host/policy/rules.js';

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

test('a policy as text', () => {
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
  has(
    '  socket\n    errno EAFNOSUPPORT when arg 0 is AF_VSOCK or AF_QIPCRTR\n' +
      '    allow when arg 0 is AF_UNIX or AF_INET  (syscall)\n    otherwise violation\n',
  );
  has('  madvise\n    errno EPERM when arg 2 == MADV_DONTNEED  (syscall)\n    otherwise violation\n');
  has('    by 11 instructions of BPF  (addPolicyOnSyscall)\n      0: A := arg 0 low\n');
  has('    violation when arg 0 & (CLONE_NEWNS|');
  has('Everything else is a violation.\n');
  has(
    '  R /data/ from /usr/\n  R /proc/ of the sandbox (proc)\n  W /tmp/ in memory, at most 64 MiB, executable\n',
  );
  has(
    'Network: a loopback device of its own, nothing else.\n' +
      'Warning: a socket that is mapped or inherited stays one of the network it was made in, the host’s for example.\n' +
      'Allowed on it: connect.\nHost name: box\n',
  );
});

test('whether a socket can be made, whatever it depends on', () => {
  type Say = (builder: PolicyBuilder) => PolicyBuilder;
  const cases: readonly [Say, boolean][] = [
    [(b) => b, false],
    [(b) => b.allowNode().allowComms().allowSyscalls(['accept4', 'connect', 'bind']), false],
    [(b) => b.allowSyscall('socket'), true],
    [(b) => b.allowSyscall('socketpair'), true],
    [(b) => b.syscall('socket', (arg) => [arg(0).eq(1), arg(2).eq(12_345)]), true],
    [(b) => b.syscall('socket', 'notify'), true],
    [(b) => b.syscall('socket', { errno: 1 }).syscall('socketpair', 'kill'), false],
    [(b) => b.addPolicyOnSyscall('socket', [ARG_32(0), JEQ32(1, ALLOW), KILL]), true],
    [(b) => b.addPolicyOnSyscall('socket', [ARG_32(0), JEQ32(1, ERRNO(1)), KILL]), false],
    [(b) => b.allow('allowIoUring').allowSyscall('io_uring_setup'), true],
    [(b) => b.defaultAction('allowAllSyscalls'), true],
    [(b) => b.defaultAction('traceAllSyscalls'), true],
    [
      (b) =>
        b
          .defaultAction('allowAllSyscalls')
          .syscall('socket', { errno: 1 })
          .syscall('socketpair', { errno: 1 }),
      false,
    ],
  ];
  for (const [say, expected] of cases) {
    for (const arch of ['x86-64', 'aarch64'] as const) {
      const policy = say(new PolicyBuilder({ arch })).build();
      assert.is(policy.makesSockets, expected, `${arch} ${say}`);
      assert.is(policy.explain().includes('Network: none, because no socket can be made.'), !expected);
    }
  }
});

test('every way to run code of its own is reported, in one step or in two', () => {
  type Say = (builder: PolicyBuilder) => PolicyBuilder;
  const ways = (say: Say) => {
    const told = say(new PolicyBuilder({ arch: 'x86-64' }))
      .build()
      .explain();
    return /^Memory can be made executable: (.*)\.$/m.exec(told)?.[1];
  };
  const prot = ARG_32(2);
  const cases: readonly [Say, string | undefined][] = [
    [(b) => b.allowDynamicStartup().allowSystemMalloc(), 'mprotect'],
    [(b) => b.allowStaticStartup().allowSystemMalloc(), undefined],
    [(b) => b.allowMmapWithoutExec().allowMprotectWithoutExec().allowPkeyMprotectWithoutExec(), undefined],
    [(b) => b.syscall('mmap', (arg) => arg(2).hasOnly(5)), undefined],
    [(b) => b.syscall('mmap', (arg) => arg(2).hasOnly(5)).allowSyscall('memfd_create'), 'memfd_create'],
    [(b) => b.allowMmapWithoutExec().allowSyscall('memfd_create'), undefined],
    // However narrow, and whatever else it depends on.
    [(b) => b.syscall('mprotect', (arg) => [arg(2).eq(4), arg(1).eq(12_345), arg(0).u64.gt(7)]), 'mprotect'],
    [(b) => b.syscall('mmap', (arg) => not(anyOf(arg(2).ne(7), arg(4).ne(3)))), 'mmap'],
    [(b) => b.syscall('mmap', (arg) => [arg(3).eq(0x22), arg(2).hasNone(4)]), undefined],
    [(b) => b.syscall('mmap', (arg) => arg(2).hasAny(4), { errno: 1 }).allowSyscall('mmap'), undefined],
    [(b) => b.syscall('mmap', (arg) => arg(1).gt(9), { errno: 1 }).allowSyscall('mmap'), 'mmap'],
    [(b) => b.syscall('shmat', (arg) => arg(2).hasNone(0x8000)), undefined],
    [(b) => b.allowSyscall('shmat'), 'shmat'],
    [(b) => b.allowLlvmSanitizers(), undefined],
    [(b) => b.syscall('personality', (arg) => arg(0).hasAny(0x400000)), 'personality'],
    // By pieces of BPF.
    [(b) => b.addPolicyOnSyscall('mprotect', [prot, JA32(4, KILL), ALLOW]), undefined],
    [(b) => b.addPolicyOnSyscall('mprotect', [ARG(2), JA(4, KILL), ALLOW]), undefined],
    [
      (b) => b.addPolicyOnSyscall('mprotect', [ARG_32(1), JEQ32(3, JUMP('on')), KILL, LABEL('on'), ALLOW]),
      'mprotect',
    ],
    [(b) => b.addPolicyOnSyscall('mprotect', [prot, JA32(4, KILL)]).allowSyscall('mprotect'), undefined],
    [(b) => b.addPolicyOnMmap([prot, JEQ32(7, ERRNO('EPERM'))]).allowSyscall('mmap'), 'mmap'],
    [
      (b) => b.addPolicyOnMmap([prot, JEQ32(7, ERRNO(1)), JEQ32(6, ERRNO(1))]).allowSyscall('mmap'),
      undefined,
    ],
  ];
  for (const [index, [say, expected]] of cases.entries()) assert.is(ways(say), expected, `case ${index}`);
});

test('a piece of BPF returns one of the predicted values, whatever the unknown words are', () => {
  const piece = fc
    .array(
      fc.record({
        code: fc.constantFrom(...Object.values(Opcode)),
        k: fc.oneof(fc.nat(63), fc.nat(0xffffffff)),
        jumps: fc.tuple(fc.nat(4), fc.nat(4)),
      }),
      { minLength: 1, maxLength: 12 },
    )
    .map((entries) =>
      entries.map(({ code, k, jumps: [jt, jf] }, index) => {
        const ahead = entries.length - index;
        if (code === Opcode.JUMP) return i(code, k % ahead);
        if ((code & 7) === 5) return i(code, k, jt % ahead, jf % ahead);
        if (code === Opcode.LOAD) return i(code, (k % 16) * 4);
        const isSmall = [0x60, 0x61, 0x02, 0x03, 0x64, 0x74].includes(code);
        return i(code, isSmall ? k % 16 : k);
      }),
    )
    .filter((program) => {
      try {
        checkPiece(program);
        return true;
      } catch {
        return false;
      }
    });
  const word = fc.oneof(fc.nat(3), fc.nat(0xffffffff));
  const words = fc.array(word, { minLength: 16, maxLength: 16 });
  const known = fc.array(fc.boolean(), { minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(piece, words, known, (program, all, isKnown) => {
      const told = possibleReturns(
        program,
        all.map((value, at) => (isKnown[at] === true ? value : undefined)),
      );
      const result = run(program, Uint32Array.from(all), all[0]);
      assert.ok(told.has(result), `${result} is not among ${[...told]}`);
      // With everything known there is exactly one.
      assert.equal([...possibleReturns(program, all)], [result]);
    }),
    { numRuns: 500 },
  );
});

test('-1 is not a set of flags', () => {
  const told = new PolicyBuilder({ arch: 'x86-64' }).syscall('openat', (arg) => arg(2).eq(-1)).build();
  assert.match(told.explain(), /allow when arg 2 == 0xffffffff {2}\(syscall\)/);
  assert.match(JSON.stringify(told), /"value":"0xffffffff"/);
});

test('what a default action leaves out, as text', () => {
  const plain = new PolicyBuilder().build().explain();
  assert.match(plain, /Nothing is weakened by name\./);
  assert.not.match(plain, /Allowed:/);
  const all = new PolicyBuilder().defaultAction('allowAllSyscalls').build().explain();
  assert.match(all, /Weakened by name: allowAllSyscalls\n/);
  assert.match(all, /A violation for want of a token:[\s\S]*ptrace \(allowPtrace\)/);
  assert.match(all, /Everything else is allowed\./);
  assert.match(
    all,
    /Memory can be made executable: mmap, mprotect, pkey_mprotect, memfd_create, shmat, personality\./,
  );
  // Calls that always need a token, although no rule mentions them.
  for (const token of ['allowAllSyscalls', 'traceAllSyscalls'] as const) {
    const told = new PolicyBuilder({ arch: 'x86-64' }).defaultAction(token).build().explain();
    const otherwise = token === 'allowAllSyscalls' ? 'allow' : 'notify';
    assert.ok(
      told.includes(
        token === 'allowAllSyscalls'
          ? 'Refused with an errno: clone3 ENOSYS, inotify_add_watch EACCES, listmount ENOSYS, listns ENOSYS,\n  statmount ENOSYS\n'
          : 'Refused with an errno: clone3 ENOSYS\n',
      ),
      told,
    );
    for (const part of [
      `  clone\n    violation when arg 0 & CLONE_PARENT is not 0\n    violation when arg 0 & (CLONE_NEWNS|`,
      `  unshare\n    violation when arg 0 & (CLONE_NEWTIME|`,
      '  ioctl\n    violation when arg 1 is TIOCEXCL or TIOCNXCL or TIOCSETD or TCXONC or ',
      '\n    errno EPERM when arg 1 is TCSETS or TCSETSW or TCSETSF or ',
      `\n    violation when arg 1 is TIOCSTI or TIOCLINUX\n    errno EPERM when arg 1 is TIOCSCTTY\n    errno EPERM when arg 1 is SIOCGSKNS\n    otherwise ${otherwise}\n`,
      '  seccomp\n    violation when arg 1 & SECCOMP_FILTER_FLAG_NEW_LISTENER is not 0\n    errno EINVAL when ',
    ]) {
      assert.ok(told.includes(part), `${part}\nin\n${told}`);
    }
    assert.not.match(told, /launch/);
  }
  const tokens = [
    'allowNewNamespaces',
    'allowTerminalInjection',
    'allowTerminalSettings',
    'allowSeccompListener',
    'allowSeccompFilters',
  ] as const;
  const waived = new PolicyBuilder()
    .allow(...tokens)
    .defaultAction('allowAllSyscalls')
    .build()
    .explain();
  assert.not.match(waived, /TIOCSTI|TCSETS|NEW_LISTENER|CLONE_NEW/);
  const open = new PolicyBuilder().allowUnrestrictedNetworking().defaultAction('traceAllSyscalls').build();
  assert.match(open.explain(), /Weakened by name: traceAllSyscalls, allowUnrestrictedNetworking\n/);
  assert.match(open.explain(), /Network: that of the host\./);
});

test.run();
