// Standard input, output and error of a sandboxee: nothing, the host's own, a file, or streams.
import { closeSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { addon } from '../native/addon.js';
import { checkOptions } from '../protocol/options.js';
import type { IPC } from './ipc.js';

/**
 * "null": /dev/null, the default. "inherit": the host's own. "pipe": a stream of the Sandbox2 (stdin, stdout, stderr).
 * A number: a duplicate of this fd of the host. { file }: a path, read for standard input, made or emptied and written
 * for the others; the sandboxee has the file itself, and can change its mode and times where its kernel uid owns it and the
 * policy allows that.
 */
export type StdioTarget = 'null' | 'inherit' | 'pipe' | number | { readonly file: string };

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

/** Of the streams made here. */
const fdOf = new WeakMap<Socket, number>();

const names = ['stdin', 'stdout', 'stderr'] as const;

/** Throws TypeError for what is no StdioOptions. */
export function checkStdio(options: StdioOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`stdio is an object, { stdin, stdout, stderr }, and not ${JSON.stringify(options)}`);
  }
  checkOptions('stdio', options, names);
  for (const [name, target] of Object.entries(options)) {
    const isFile =
      typeof target === 'object' && target !== null && typeof target.file === 'string' && target.file !== '';
    const isFd = typeof target === 'number' && Number.isInteger(target) && target >= 0;
    if (!isFile && !isFd && !['null', 'inherit', 'pipe'].includes(target)) {
      throw new TypeError(`stdio.${name}: "null", "inherit", "pipe", an fd or { file } is needed`);
    }
  }
}

/** Maps them into the IPC. Throws what opening a file throws. */
export function connectStdio(options: StdioOptions, ipc: IPC): StdioStreams {
  const streams: (Socket | undefined)[] = names.map((name, fd) => {
    const target = options[name] ?? 'null';
    if (target === 'null') return undefined;
    if (target === 'pipe') {
      const own = ipc.receiveFd(fd);
      const stream = new Socket({ fd: own, readable: fd !== 0, writable: fd === 0 });
      fdOf.set(stream, own);
      // Writing to a sandboxee that has ended is EPIPE; unheard, it would end the host.
      stream.on('error', () => {});
      return stream;
    }
    if (target === 'inherit' || typeof target === 'number') {
      ipc.mapDupedFd(target === 'inherit' ? fd : target, fd);
      return undefined;
    }
    const opened = openSync(target.file, fd === 0 ? 'r' : 'w');
    try {
      ipc.mapFd(opened, fd);
    } catch (error) {
      closeSync(opened);
      throw error;
    }
    return undefined;
  });
  const [stdin, stdout, stderr] = streams;
  return { stdin, stdout, stderr };
}

/**
 * The sandboxee has ended: its streams hold what it wrote, and then they end, whoever has its ends of them now. A
 * descriptor that it sent over comms is open for as long as nobody takes it.
 */
export function endStdio({ stdin, stdout, stderr }: StdioStreams): void {
  for (const stream of [stdin, stdout, stderr]) {
    // A stream closes its fd as it is destroyed, and not before.
    if (stream instanceof Socket && !stream.destroyed) addon().shutDown(fdOf.get(stream) ?? -1);
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
