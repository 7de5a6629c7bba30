// The cost of a policy: of building it, and at each syscall of a C program in the sandbox.
import { Executor, type Policy, PolicyBuilder, Sandbox2, SYS } from '../host/index.js';
import { guardOf } from '../host/policy/tokens.js';
import { callFloor, callTimes, syscalls } from './floors.js';
import { type Section, summarise } from './table.js';

const rounds = 15;
const batchesPerRound = 40;

const names = Object.keys(SYS).filter((name) => guardOf(name) === undefined);
/** What the C program does besides the measured calls. */
const ofTheProgram = (builder: PolicyBuilder) =>
  builder.allowStaticStartup().allowSystemMalloc().allowStat().allowWrite().allowTime().allowExit();

/** Allows the measured calls, and nothing else. */
function small(): Policy {
  return ofTheProgram(new PolicyBuilder())
    .allowSyscall('getpid')
    .syscall('getpgid', (arg) => arg(0).eq(0))
    .build();
}

/** 300 syscalls, 60 of them with conditions on three arguments. */
function large(): Policy {
  const builder = ofTheProgram(new PolicyBuilder())
    .allowSyscall('getpid')
    .syscall('getpgid', (arg) => arg(0).eq(0));
  const conditional = names.filter((name) => name !== 'getpid' && name !== 'getpgid').slice(100, 159);
  conditional.forEach((name, index) => {
    builder.syscall(name, (arg) => [
      arg(0).u32.in(index, index + 2, index + 9),
      arg(1).u64.le(1n << 40n),
      arg(2).u32.hasNone(0x40),
    ]);
  });
  const rest = names.filter((name) => !conditional.includes(name) && name !== 'getpgid').slice(0, 239);
  return builder.allowSyscalls(rest).build();
}

function buildTimes(count: number): number[] {
  return Array.from({ length: count }, () => {
    const started = performance.now();
    large();
    return (performance.now() - started) * 1000;
  });
}

async function inSandbox(policy: Policy, syscall: string): Promise<number[]> {
  const executor = new Executor(syscalls, ['syscalls', syscall, String(batchesPerRound)]);
  await using sandbox = new Sandbox2(executor, policy);
  const { result, stdout } = await sandbox.run({ capture: { maxBytes: 1 << 20 } });
  if (!result.isOk) throw new Error(String(result));
  return callTimes(stdout.toString());
}

interface Measured {
  readonly what: string;
  readonly syscall: string;
  readonly policy?: Policy;
}

export async function benchCalls(): Promise<Section> {
  const [short, long] = [small(), large()];
  const measured: readonly Measured[] = [
    { what: 'floor: getpid, no sandbox', syscall: 'getpid' },
    { what: 'getpid, allowed', syscall: 'getpid', policy: short },
    {
      what: `getpid, allowed, policy of ${long.instructions.length} instructions`,
      syscall: 'getpid',
      policy: long,
    },
    { what: 'floor: getpgid, no sandbox', syscall: 'getpgid' },
    { what: 'getpgid, allowed by its argument', syscall: 'getpgid', policy: short },
    {
      what: `getpgid, by its argument, policy of ${long.instructions.length} instructions`,
      syscall: 'getpgid',
      policy: long,
    },
  ];
  const times = measured.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { syscall, policy }] of measured.entries()) {
      const took =
        policy === undefined ? callFloor(syscall, batchesPerRound) : await inSandbox(policy, syscall);
      times[index]?.push(...took);
    }
  }
  let floor: ReturnType<typeof summarise> | undefined;
  const rows = measured.map(({ what, policy }, index) => {
    const isFloor = policy === undefined;
    const row = summarise(what, times[index] ?? [], isFloor ? undefined : floor);
    if (isFloor) floor = row;
    return row;
  });
  return { title: 'Inside the sandbox: one syscall of a C program', rows };
}

export function benchBuilding(): Section {
  buildTimes(20); // the JIT
  const building = summarise('300 syscalls, 60 with rules on three arguments', buildTimes(200));
  return { title: 'Building a policy', rows: [building] };
}
