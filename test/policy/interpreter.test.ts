// The interpreter compared with the meaning of BPF, and its checks with those of the kernel.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Instruction, instruction, Opcode } from '../../host/policy/bpf/instructions.js';
import { checkProgram, dataWords, run } from '../../host/policy/bpf/interpreter.js';

const test = suite('BPF interpreter');

const words = dataWords({
  nr: 5,
  arch: 0xc000003e,
  instructionPointer: 0x1122334455667788n,
  args: [-1n, 0x500000007n],
});
const i = instruction;
const returnA = i(Opcode.RETURN_A, 0);

function result(...program: Instruction[]): number | undefined {
  checkProgram(program);
  return run(program, words);
}

test('every word of the data', () => {
  const load = (k: number) => result(i(Opcode.LOAD, k), returnA);
  assert.is(load(0), 5);
  assert.is(load(4), 0xc000003e);
  assert.is(load(8), 0x55667788);
  assert.is(load(12), 0x11223344);
  assert.is(load(16), 0xffffffff);
  assert.is(load(20), 0xffffffff);
  assert.is(load(24), 7);
  assert.is(load(28), 5);
  assert.is(load(60), 0);
  assert.is(result(i(Opcode.LOAD_LENGTH, 0), returnA), 64);
  assert.is(result(i(Opcode.LOAD_X_LENGTH, 0), i(Opcode.TXA, 0), returnA), 64);
});

test('arithmetic is that of 32 unsigned bits', () => {
  const calculate = (a: number, code: number, k: number) =>
    result(i(Opcode.LOAD_IMMEDIATE, a), i(code, k), returnA);
  const withX = (a: number, code: number, x: number) =>
    result(i(Opcode.LOAD_X_IMMEDIATE, x), i(Opcode.LOAD_IMMEDIATE, a), i(code, 0), returnA);
  const cases: [number, number, number, number, number][] = [
    [Opcode.ADD, Opcode.ADD_X, 0xffffffff, 2, 1],
    [Opcode.SUBTRACT, Opcode.SUBTRACT_X, 1, 2, 0xffffffff],
    [Opcode.MULTIPLY, Opcode.MULTIPLY_X, 0xfffffffb, 0xfffffffd, 15],
    [Opcode.DIVIDE, Opcode.DIVIDE_X, 0xffffffff, 2, 0x7fffffff],
    [Opcode.OR, Opcode.OR_X, 0x80000000, 1, 0x80000001],
    [Opcode.AND, Opcode.AND_X, 0xff00ff00, 0x80ffff00, 0x8000ff00],
    [Opcode.XOR, Opcode.XOR_X, 0xffffffff, 0x80000000, 0x7fffffff],
    [Opcode.SHIFT_LEFT, Opcode.SHIFT_LEFT_X, 0x80000001, 1, 2],
    [Opcode.SHIFT_RIGHT, Opcode.SHIFT_RIGHT_X, 0x80000001, 31, 1],
  ];
  for (const [k, x, a, operand, expected] of cases) {
    assert.is(calculate(a, k, operand), expected, `0x${k.toString(16)}`);
    assert.is(withX(a, x, operand), expected, `0x${x.toString(16)}`);
  }
  assert.is(calculate(1, Opcode.NEGATE, 0), 0xffffffff);
  assert.is(withX(7, Opcode.DIVIDE_X, 0), 0, 'a division by 0 at run time kills');
});

test('memory and registers', () => {
  assert.is(
    result(
      i(Opcode.LOAD_IMMEDIATE, 7),
      i(Opcode.STORE, 15),
      i(Opcode.TAX, 0),
      i(Opcode.STORE_X, 0),
      i(Opcode.LOAD_IMMEDIATE, 0),
      i(Opcode.LOAD_MEMORY, 15),
      i(Opcode.LOAD_X_MEMORY, 0),
      i(Opcode.ADD_X, 0),
      returnA,
    ),
    14,
  );
});

test('jumps', () => {
  const jump = (code: number, a: number, k: number) =>
    result(
      i(Opcode.LOAD_X_IMMEDIATE, k),
      i(Opcode.LOAD_IMMEDIATE, a),
      i(code, k, 1, 0),
      i(Opcode.RETURN, 0),
      i(Opcode.RETURN, 1),
    );
  const cases: [number, number, number, number, number][] = [
    [Opcode.JUMP_IF_EQUAL, Opcode.JUMP_IF_EQUAL_X, 0xffffffff, 0xffffffff, 1],
    [Opcode.JUMP_IF_EQUAL, Opcode.JUMP_IF_EQUAL_X, 1, 2, 0],
    [Opcode.JUMP_IF_GREATER, Opcode.JUMP_IF_GREATER_X, 0x80000000, 1, 1],
    [Opcode.JUMP_IF_GREATER, Opcode.JUMP_IF_GREATER_X, 1, 1, 0],
    [Opcode.JUMP_IF_GREATER_OR_EQUAL, Opcode.JUMP_IF_GREATER_OR_EQUAL_X, 1, 1, 1],
    [Opcode.JUMP_IF_GREATER_OR_EQUAL, Opcode.JUMP_IF_GREATER_OR_EQUAL_X, 1, 0xffffffff, 0],
    [Opcode.JUMP_IF_ANY_BIT, Opcode.JUMP_IF_ANY_BIT_X, 0x80000000, 0x80000001, 1],
    [Opcode.JUMP_IF_ANY_BIT, Opcode.JUMP_IF_ANY_BIT_X, 2, 5, 0],
  ];
  for (const [k, x, a, operand, expected] of cases) {
    assert.is(jump(k, a, operand), expected);
    assert.is(jump(x, a, operand), expected);
  }
  assert.is(result(i(Opcode.JUMP, 1), i(Opcode.RETURN, 1), i(Opcode.RETURN, 2)), 2);
});

test('what the kernel refuses', () => {
  const refused = (pattern: RegExp, ...program: Instruction[]) =>
    assert.throws(() => checkProgram(program), pattern);
  refused(/no instruction/);
  refused(/is not a return/, i(Opcode.LOAD, 0));
  refused(/misaligned read \(3\)/, i(Opcode.LOAD, 3), returnA);
  refused(/out of bounds read \(64\)/, i(Opcode.LOAD, 64), returnA);
  refused(/jumps past the end/, i(Opcode.JUMP, 1), returnA);
  refused(/jumps past the end/, i(Opcode.JUMP_IF_EQUAL, 0, 0, 2), returnA, returnA);
  refused(/division by 0/, i(Opcode.DIVIDE, 0), returnA);
  refused(/shift by 32/, i(Opcode.SHIFT_LEFT, 32), returnA);
  refused(/there is no M\[16\]/, i(Opcode.STORE, 16), returnA);
  refused(/M\[3\] is read before it is written/, i(Opcode.LOAD_MEMORY, 3), returnA);
  refused(/0x28 is not an instruction/, i(0x28, 0), returnA);
  // Written on one path only.
  refused(/M\[0\]/, i(Opcode.JUMP_IF_EQUAL, 0, 0, 1), i(Opcode.STORE, 0), i(Opcode.LOAD_MEMORY, 0), returnA);
  checkProgram([i(Opcode.LOAD, 0)], true);
});

test.run();
