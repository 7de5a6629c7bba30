// Processes of this machine, read from /proc.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export function parentOf(pid: number | string): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1]);
  } catch {
    return undefined; // gone meanwhile
  }
}

/** CPU time of a process, in ticks of (mostly) 10 ms. */
export function cpuTicksOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]); // utime and stime of proc_pid_stat(5), which counts from 1
}

/** The process's comm; empty if it has ended. */
export function commOf(pid: number | string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}

export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => parentOf(candidate) === pid);
}

/** How many processes are in the pid namespace of this one. */
export function countInPidNamespace(pid: number): number {
  const namespaceOf = (of: number | string) => {
    try {
      return readlinkSync(`/proc/${of}/ns/pid`);
    } catch {
      return undefined; // gone meanwhile, or somebody else's
    }
  };
  const wanted = namespaceOf(pid);
  if (wanted === undefined) throw new Error(`the namespaces of ${pid} cannot be seen`);
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && namespaceOf(name) === wanted).length;
}

/** The pid of this process's supervisor. */
export function supervisorPid(): number {
  const isSupervisor = (child: number) => {
    try {
      return readlinkSync(`/proc/${child}/exe`).endsWith('/sandwire-supervisor');
    } catch {
      return false; // it has ended, and has no program any more
    }
  };
  const pid = childrenOf(process.pid).find(isSupervisor);
  if (pid === undefined) throw new Error('there is no supervisor');
  return pid;
}
