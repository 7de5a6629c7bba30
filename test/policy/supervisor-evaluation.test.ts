// The supervisor's evaluation of a filter, in C, agrees with the interpreter here, for random programs and for a
// policy's own.
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { NOTIFY, PolicyBuilder } from '../../host/index.js';
import {
  encodeProgram,
  type Instruction,
  instruction,
  isJump,
  Opcode,
} from '../../host/policy/bpf/instructions.js';
import { checkProgram, dataWords, run } from '../../host/policy/bpf/interpreter.js';
import { sandboxeePath } from '../support/sandbox.js';

const test = suite('evaluation in the supervisor');

function evaluate(program: readonly Instruction[], data: readonly Uint32Array[]): number[] {
  const count = Buffer.alloc(4);
  count.writeUInt32LE(program.length);
  const words = data.map((each) => Buffer.from(each.buffer, each.byteOffset, each.byteLength));
  const input = Buffer.concat([count, encodeProgram(program), ...words]);
  const { stdout, status } = spawnSync(sandboxeePath('evaluate_filter'), { input });
  assert.is(status, 0);
  return String(stdout).trim().split('\n').map(Number);
}

const constant = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 0xffffffff }));
const anyStep = fc.record({
  code: fc.constantFrom(...Object.values(Opcode)),
  k: constant,
  jt: fc.integer({ min: 0, max: 3 }),
  jf: fc.integer({ min: 0, max: 3 }),
});
const memory = [Opcode.LOAD_MEMORY, Opcode.LOAD_X_MEMORY, Opcode.STORE, Opcode.STORE_X] as const;

/** A program that the kernel would accept: operands within bounds, jumps within the program, a return at the end. */
const anyProgram = fc.array(anyStep, { minLength: 1, maxLength: 40 }).map((steps) => {
  const program = steps.map(({ code, k, jt, jf }, index) => {
    const left = steps.length - 1 - index;
    if (code === Opcode.LOAD) return instruction(code, (k % 16) * 4);
    if ((memory as readonly number[]).includes(code)) return instruction(code, k % 16);
    if (code === Opcode.DIVIDE) return instruction(code, k || 1);
    if (code === Opcode.SHIFT_LEFT || code === Opcode.SHIFT_RIGHT) return instruction(code, k % 32);
    if (code === Opcode.JUMP) return instruction(code, Math.min(k % 4, left));
    if (isJump(code)) return instruction(code, k, Math.min(jt, left), Math.min(jf, left));
    return instruction(code, k);
  });
  // Memory is stored to before it is loaded: the kernel refuses other programs.
  const stored = Array.from({ length: 16 }, (_, slot) => instruction(Opcode.STORE, slot));
  return [...stored, ...program, instruction(Opcode.RETURN_A, 0)];
});
const anyData = fc
  .record({
    nr: constant,
    arch: constant,
    instructionPointer: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    args: fc.array(
      fc.oneof(fc.bigInt({ min: 0n, max: 40n }), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })),
      {
        minLength: 6,
        maxLength: 6,
      },
    ),
  })
  .map(dataWords);

test('random programs', () => {
  fc.assert(
    fc.property(anyProgram, fc.array(anyData, { minLength: 1, maxLength: 20 }), (program, data) => {
      checkProgram(program);
      assert.equal(
        evaluate(program, data),
        data.map((words) => run(program, words) ?? 0),
      );
    }),
    { numRuns: 200 },
  );
});

test('a policy with every action', () => {
  const { instructions } = new PolicyBuilder()
    .allowStaticStartup()
    .allowRead()
    .syscall('personality', (arg) => arg(0).eq(1), 'notify')
    .syscall('ioctl', (arg) => arg(1).in(1, 2, 3), { errno: 'EPERM' })
    .addPolicyOnSyscall('getpid', [NOTIFY])
    .build();
  const data = [];
  for (let nr = 0; nr < 500; nr++) {
    for (const arg of [0n, 1n, 1n << 40n, 1021n]) {
      for (const arch of [0xc000003e, 0xc00000b7]) data.push(dataWords({ nr, arch, args: [arg, arg] }));
    }
  }
  const values = evaluate(instructions, data);
  assert.equal(
    values,
    data.map((words) => run(instructions, words)),
  );
  assert.ok(new Set(values).size >= 4);
});

test('a program that no kernel accepts kills', () => {
  const data = [dataWords({ nr: 0, arch: 0 })];
  for (const program of [
    [],
    [instruction(Opcode.LOAD, 64)],
    [instruction(Opcode.LOAD, 2)],
    [instruction(Opcode.LOAD_MEMORY, 16)],
    [instruction(Opcode.STORE, 16), instruction(Opcode.RETURN, 0x7fff0000)],
    [instruction(Opcode.DIVIDE, 0), instruction(Opcode.RETURN, 0x7fff0000)],
    [instruction(Opcode.JUMP, 0xffffffff)],
    [instruction(0xffff, 0), instruction(Opcode.RETURN, 0x7fff0000)],
  ]) {
    assert.equal(evaluate(program, data), [0]);
  }
});

test.run();
