// Describes a violation that the supervisor read.
import { ViolationCause, type Violation as ViolationMessage } from '../protocol/messages.generated.js';
import { describeSyscall } from './policy/index.js';
import { printable } from './policy/quoting.js';
import type { Violation } from './result.js';

/** AUDIT_ARCH_* of linux/audit.h. */
const archNames = new Map([
  [0xc000003e, 'X86-64'],
  [0x40000003, 'X86-32'],
  [0xc00000b7, 'AARCH64'],
  [0x40000028, 'ARM-32'],
]);
const nativeArch = process.arch === 'arm64' ? 'AARCH64' : 'X86-64';
/** The x32 interface of x86-64 marks its syscall numbers with this bit. */
const x32Bit = 0x40000000;

const causes: Record<ViolationCause, Violation['cause']> = {
  [ViolationCause.CAUSE_POLICY]: 'policy',
  [ViolationCause.CAUSE_HOST]: 'host',
  [ViolationCause.CAUSE_NO_ANSWER]: 'noAnswer',
  [ViolationCause.CAUSE_TOO_MANY]: 'tooManyQuestions',
};

export function isForeignArch(violation: Violation): boolean {
  return violation.arch !== nativeArch;
}

function hexadecimal(value: bigint): string {
  return `0x${value.toString(16)}`;
}

export function describeViolation(message: ViolationMessage): Violation {
  const number = Number(message.syscall ?? 0n);
  const isX32 = message.arch === 0xc000003e && number >= x32Bit;
  const arch = isX32
    ? 'X32'
    : (archNames.get(message.arch ?? 0) ?? `UNKNOWN[${hexadecimal(BigInt(message.arch ?? 0))}]`);
  const args = [...(message.args ?? [])];
  while (args.length < 6) args.push(0n);
  const memory = new Map(
    (message.memory ?? []).map((entry) => [entry.argument ?? 0, entry.bytes ?? new Uint8Array()]),
  );
  const described = describeSyscall(number, args, arch, memory);
  const instructionPointer = hexadecimal(message.instructionPointer ?? 0n);
  const program = new TextDecoder().decode(message.program);
  const comm = new TextDecoder().decode(message.comm);
  const pid = message.pid ?? -1;
  const tid = message.tid ?? pid;
  return {
    syscall: described.name,
    number,
    args: args.map((value, index) => ({
      value: hexadecimal(value),
      text: described.args[index]?.text ?? hexadecimal(value),
    })),
    arch,
    instructionPointer,
    pid,
    tid,
    program,
    cause: causes[message.cause ?? ViolationCause.CAUSE_POLICY],
    comm,
    description: `${described.text} IP: ${instructionPointer}, PID: ${pid}${tid === pid ? '' : `, TID: ${tid}`}, PROG: '${printable(program).replaceAll("'", '?')}'`,
  };
}
