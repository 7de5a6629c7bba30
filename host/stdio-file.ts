// A file of the host's as standard input, output or error. An earlier sandboxee may have left a link, a FIFO or a second
// name of another file where the path leads.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { addon, type OpenedFile } from '../native/addon.js';
import { checkOptions } from '../protocol/options.js';
import { shortageHint } from './advice.js';
import { errnoName } from './errno.js';

/**
 * Read for standard input; for the others made, or emptied, and written. The sandboxee has the file itself, and can change
 * its mode and times where its kernel uid owns it and the policy allows that.
 */
export interface StdioFile {
  /** A path of the host. A relative one counts from the working directory when the Executor is made. */
  readonly file: string;
  /** Written at its end, and not emptied. The sandboxee can still change what is in it already. Default: false. */
  readonly append?: boolean;
  /**
   * Symbolic links are followed whoever made them, and a file is written to that has several names (hard links). Default:
   * false, only links that root owns are followed. A sandboxee may have made the others, if it could write to their
   * directory.
   */
  readonly followLinks?: boolean;
  /**
   * FIFOs, devices and the like, which may act when they are opened. Nobody waits for the other end of a FIFO: to be
   * written to, it must have a reader already. Default: false, regular files only.
   */
  readonly anyKind?: boolean;
}

const switches = ['append', 'followLinks', 'anyKind'] as const;

/** Throws TypeError for what is no StdioFile. */
export function checkStdioFile(name: string, target: StdioFile): void {
  checkOptions(`stdio.${name}`, target, ['file', ...switches]);
  if (typeof target.file !== 'string' || target.file === '' || target.file.includes('\0')) {
    throw new TypeError(`stdio.${name}: file is a path, and not ${JSON.stringify(target.file)}`);
  }
  for (const option of switches) {
    if (target[option] !== undefined && typeof target[option] !== 'boolean') {
      throw new TypeError(`stdio.${name}: ${option} is true or false`);
    }
  }
  if (name === 'stdin' && target.append) throw new TypeError('stdio.stdin: append is for what is written');
}

const idOfSandboxees = 65534;

/**
 * Whether no sandboxee is root, as the host's user or as somebody else: a root host without the power to give it another
 * uid has sandboxees of its own uid (host_power.c of the supervisor).
 */
function isRootNoSandboxee(): boolean {
  if (process.geteuid?.() !== 0) return true;
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  const setsIds = (BigInt(`0x${capabilities}`) & 0xc0n) === 0xc0n; // CAP_SETGID, CAP_SETUID
  const isMapped = ['uid_map', 'gid_map'].every((map) =>
    readFileSync(`/proc/self/${map}`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
      .some(([inside = 0, , count = 0]) => idOfSandboxees >= inside && idOfSandboxees - inside < count),
  );
  return setsIds && isMapped;
}

function wordsFor({ problem, errno = 0, at, owner }: OpenedFile, isRootTrusted: boolean): string {
  switch (problem) {
    case 'link': {
      const trusted = isRootTrusted ? ', and only links of root’s are followed' : '';
      return (
        `ELOOP: ${at} is a symbolic link that uid ${owner} owns${trusted}: a sandboxee may have made it. Name the file by ` +
        'the path that the link leads to, or say { followLinks: true }'
      );
    }
    case 'many names':
      return (
        `EMLINK: ${at} has several names (hard links), and may be another file that a sandboxee wants changed. Remove it ` +
        'first, or say { followLinks: true }'
      );
    case 'not regular':
      return `${at} is no regular file but a FIFO, a device or the like; say { anyKind: true } if it is meant`;
    default: {
      const name = errnoName(errno);
      if (name === 'ENXIO') return `ENXIO: ${at} is a FIFO that nobody reads, or a device that is not there`;
      return `${name}: ${at}${shortageHint(name)}`;
    }
  }
}

/** Rejects with an Error in words. The fd is the caller's to close, by the addon. */
export async function openStdioFile(name: string, target: StdioFile): Promise<number> {
  const isRootTrusted = isRootNoSandboxee();
  const opened = await addon().openFile(target.file, {
    writes: name !== 'stdin',
    appends: target.append === true,
    followsLinks: target.followLinks === true,
    trustsRoot: isRootTrusted,
    takesAnyKind: target.anyKind === true,
  });
  if (opened.fd >= 0) return opened.fd;
  throw new Error(`stdio.${name}: cannot open ${target.file}: ${wordsFor(opened, isRootTrusted)}`);
}

/** With the path as it counts from here. */
export function placed(target: StdioFile): StdioFile {
  return path.isAbsolute(target.file) ? target : { ...target, file: `${process.cwd()}/${target.file}` };
}
