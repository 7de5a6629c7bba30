// Opens the program, and refuses early and with a message what exec could only refuse with a number.
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { shortageAdvice } from './advice.js';
import { errorCode } from './errno.js';
import { parseElf } from './policy/elf/parser.js';
import { withFile } from './policy/elf/source.js';

/** O_PATH of open(2), the same on x86-64 and aarch64; Node does not name it. */
const O_PATH = 0o10000000;

export interface OpenedProgram {
  /** An O_PATH fd for execveat; the caller must close it. */
  readonly fd: number;
  readonly status: Stats;
  /** The path in PT_INTERP; undefined for a static program, or one that may be executed but not read. */
  readonly interpreter: string | undefined;
  /** True if it searches libraries beside itself: $ORIGIN in its DT_RPATH or DT_RUNPATH. */
  readonly looksBesideItself: boolean;
}

export type ProgramOpening =
  | { readonly ok: true; readonly program: OpenedProgram }
  | { readonly ok: false; readonly message: string };

function readStart(path: string): Buffer {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return Buffer.alloc(0); // executable but not readable is allowed; exec decides
  }
  try {
    const start = Buffer.alloc(4096);
    return start.subarray(0, readSync(fd, start, 0, start.length, 0));
  } finally {
    closeSync(fd);
  }
}

/** The path in PT_INTERP of a 64-bit little-endian ELF file, if it is in the first page. */
function interpreterOf(start: Buffer): string | undefined {
  if (start.length < 64 || start.readUInt32BE(0) !== 0x7f454c46 || start[4] !== 2 || start[5] !== 1)
    return undefined;
  const headers = Number(start.readBigUInt64LE(32));
  const size = start.readUInt16LE(54);
  const count = start.readUInt16LE(56);
  for (let index = 0; index < count; index++) {
    const at = headers + index * size;
    if (at + 56 > start.length) return undefined;
    if (start.readUInt32LE(at) !== 3) continue;
    const offset = Number(start.readBigUInt64LE(at + 8));
    const length = Number(start.readBigUInt64LE(at + 32));
    if (offset + length > start.length || length === 0) return undefined;
    return start.toString('utf8', offset, offset + length - 1);
  }
  return undefined;
}

/** True if a program needs a dynamic loader; false if the file cannot be read. */
export function isDynamic(path: string): boolean {
  return interpreterOf(readStart(path)) !== undefined;
}

function looksBesideItself(path: string): boolean {
  try {
    const { rpath, runpath } = withFile(path, (source) => parseElf(source));
    return [...rpath, ...runpath].some((directory) => /\$(ORIGIN|\{ORIGIN\})/.test(directory));
  } catch {
    return false; // exec reports a broken or unreadable file
  }
}

/** What a program's file contains about itself. */
interface Nature {
  /** The first line of a script, without "#!"; undefined for anything else. */
  readonly scriptLine: string | undefined;
  readonly interpreter: string | undefined;
  readonly looksBesideItself: boolean;
}

function natureOf(path: string): Nature {
  const start = readStart(path);
  if (start.length >= 2 && start[0] === 0x23 && start[1] === 0x21) {
    const scriptLine = start.toString('utf8', 2, start.indexOf(10) < 0 ? 64 : start.indexOf(10)).trim();
    return { scriptLine, interpreter: undefined, looksBesideItself: false };
  }
  const interpreter = interpreterOf(start);
  return {
    scriptLine: undefined,
    interpreter,
    looksBesideItself: interpreter !== undefined && looksBesideItself(path),
  };
}

/** By file and last change, because most programs are run many times. */
const natures = new Map<string, Nature>();
const mostNatures = 256;
/** A file's clock may not show a change soon after another one. */
const settledMs = 2000;

function knownNatureOf(path: string, { dev, ino, size, ctimeMs }: Stats): Nature {
  const file = `${dev} ${ino} ${size} ${ctimeMs}`;
  let nature = natures.get(file);
  if (nature === undefined) {
    nature = natureOf(path);
    if (natures.size === mostNatures) natures.clear();
    if (Date.now() - ctimeMs > settledMs) natures.set(file, nature);
  }
  return nature;
}

/** Opens it by path. The fd is executed, whatever the path names by then. */
export function openProgram(path: string): ProgramOpening {
  let fd: number;
  try {
    fd = openSync(path, O_PATH);
  } catch (error) {
    const code = errorCode(error) ?? String(error);
    const why =
      code === 'ENOENT'
        ? `there is no such file${path.includes('/') ? '' : '; PATH is not searched, so give a path'}`
        : code === 'EACCES'
          ? 'a directory of the path may not be entered'
          : shortageAdvice(code) || code;
    return {
      ok: false,
      message: `cannot open the program ${path}: ${code === why ? code : `${code} (${why})`}`,
    };
  }
  const refuse = (message: string): ProgramOpening => {
    closeSync(fd);
    return { ok: false, message: `cannot run ${path}: ${message}` };
  };
  const status = fstatSync(fd);
  if (status.isDirectory()) return refuse('it is a directory');
  if (!status.isFile()) return refuse('it is not a regular file');
  if ((status.mode & 0o111) === 0) return refuse(`it is not executable (chmod +x ${path})`);
  const { scriptLine, interpreter, looksBesideItself } = knownNatureOf(path, status);
  if (scriptLine !== undefined) {
    return refuse(
      `it is a script; run its interpreter (${scriptLine}) with the script among the arguments and in the policy`,
    );
  }
  return { ok: true, program: { fd, status, interpreter, looksBesideItself } };
}
