// Standard input, output and error of a sandboxee: nothing, the host's own, a file, or streams.
import type { Readable, Writable } from 'node:stream';
import { addon } from '../native/addon.js';
import { SocketReadable, SocketWritable } from '../native/socket-stream.js';
import { checkOptions } from '../protocol/options.js';
import type { IPC } from './ipc.js';
import { closeFd } from './launch-fds.js';
import { checkStdioFile, openStdioFile, placed, type StdioFile } from './stdio-file.js';

/**
 * "null": /dev/null, the default. "inherit": the host's own; a terminal is opened anew, so that the sandboxee can only read
 * or only write it, unless it belongs to another user than the host's. "pipe": a stream of the Sandbox2 (stdin, stdout,
 * stderr). A number: a duplicate of this fd of the host. { file }: a file of the host, opened when the run starts.
 */
export type StdioTarget = 'null' | 'inherit' | 'pipe' | number | StdioFile;

export interface StdioOptions {
  readonly stdin?: StdioTarget;
  readonly stdout?: StdioTarget;
  readonly stderr?: StdioTarget;
}

export interface StdioStreams {
  readonly stdin: Writable | undefined;
  readonly stdout: Readable | undefined;
  readonly stderr: Readable | undefined;
}

const names = ['stdin', 'stdout', 'stderr'] as const;

const isFile = (target: unknown): target is StdioFile => typeof target === 'object' && target !== null;

/** Throws TypeError for what is no StdioOptions. */
export function checkStdio(options: StdioOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`stdio is an object, { stdin, stdout, stderr }, and not ${JSON.stringify(options)}`);
  }
  checkOptions('stdio', options, names);
  for (const [name, target] of Object.entries(options)) {
    if (isFile(target)) {
      checkStdioFile(name, target);
      continue;
    }
    const isFd = typeof target === 'number' && Number.isInteger(target) && target >= 0;
    if (!isFd && !['null', 'inherit', 'pipe'].includes(target)) {
      throw new TypeError(`stdio.${name}: "null", "inherit", "pipe", an fd or { file } is needed`);
    }
  }
}

/** Connected, but for files, which are still to be opened. */
export interface ConnectedStdio {
  readonly streams: StdioStreams;
  /** Undefined if there are none. Rejects with an Error in words, and then none is open. */
  readonly openFiles: (() => Promise<void>) | undefined;
}

interface PendingFile {
  readonly name: string;
  readonly target: StdioFile;
  readonly fill: (fd: number) => void;
}

async function openFiles(files: readonly PendingFile[]): Promise<void> {
  const opened = await Promise.allSettled(files.map(({ name, target }) => openStdioFile(name, target)));
  const failure = opened.find((one) => one.status === 'rejected');
  opened.forEach((one, index) => {
    if (one.status === 'rejected') return;
    if (failure === undefined) files[index]?.fill(one.value);
    else closeFd({ fd: one.value, isOurs: true, isQuick: false });
  });
  if (failure !== undefined) throw failure.reason;
}

function inherit(fd: number, ipc: IPC): void {
  // One open terminal has one set of flags, and whoever may write to it may read what is typed.
  const again = addon().openTerminalAgain(fd, fd !== 0);
  if (again < 0) ipc.mapDupedFd(fd, fd);
  else ipc.reserve(fd)(again);
}

/** Maps them into the IPC. */
export function connectStdio(options: StdioOptions, ipc: IPC): ConnectedStdio {
  const files: PendingFile[] = [];
  const streams = names.map((name, fd) => {
    const target = options[name] ?? 'null';
    if (target === 'null') return undefined;
    if (target === 'pipe') {
      const own = ipc.receiveFd(fd);
      const stream = fd === 0 ? new SocketWritable(own) : new SocketReadable(own);
      // Writing to a sandboxee that has ended is EPIPE; unheard, it would end the host.
      stream.on('error', () => {});
      return stream;
    }
    if (target === 'inherit') inherit(fd, ipc);
    else if (typeof target === 'number') ipc.mapDupedFd(target, fd);
    else files.push({ name, target: placed(target), fill: ipc.reserve(fd) });
    return undefined;
  });
  const [stdin, stdout, stderr] = streams;
  return {
    streams: {
      stdin: stdin instanceof SocketWritable ? stdin : undefined,
      stdout: stdout instanceof SocketReadable ? stdout : undefined,
      stderr: stderr instanceof SocketReadable ? stderr : undefined,
    },
    openFiles: files.length === 0 ? undefined : () => openFiles(files),
  };
}

/**
 * The sandboxee has ended: its streams hold what it wrote, and then they end, whoever has its ends of them now. A
 * descriptor that it sent over comms is open for as long as nobody takes it.
 */
export function endStdio({ stdin, stdout, stderr }: StdioStreams): void {
  for (const stream of [stdin, stdout, stderr]) {
    if (stream instanceof SocketReadable || stream instanceof SocketWritable) stream.shutDown();
  }
}

export interface CaptureOptions {
  /** Of each stream; more kills the sandbox. Default: 1 MiB. */
  readonly maxBytes?: number;
}

/**
 * Collects a stream. More than maxBytes: keeps maxBytes and calls exceeded once; the rest is read and thrown away, so
 * that the writer is not left hanging.
 */
export function collect(stream: Readable, maxBytes: number, exceeded: () => void): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    stream.on('data', (chunk: Buffer) => {
      const room = maxBytes - size;
      if (room > 0) chunks.push(chunk.subarray(0, room));
      if (size <= maxBytes && size + chunk.length > maxBytes) exceeded();
      size += chunk.length;
    });
    // An error is an end as well: the sandboxee's end of the socket is gone.
    stream.on('error', () => {});
    stream.on('close', () => resolve(Buffer.concat(chunks)));
  });
}
