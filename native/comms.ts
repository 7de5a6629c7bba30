// Comms over sockets: what host and sandboxees have in addition to the protocol's own calls, mainly file descriptors as
// Node's objects.
import { createReadStream, createWriteStream, fstatSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import {
  CommsError,
  Comms as ProtocolComms,
  type ReceiveOptions,
  type Transport,
} from '../protocol/index.js';
import { addon } from './addon.js';
import { SocketTransport } from './socket-transport.js';

function refuse(fd: number, operation: string, peer: string, why: string): never {
  addon().closeFd(fd);
  throw new CommsError('INVALID_VALUE', `${why}; it was closed`, { operation, peer });
}

/** A typed channel over a Unix stream socket. */
export class Comms extends ProtocolComms {
  readonly #transport: Transport;

  /** @param socket a connected Unix stream socket, by number, or another transport; closed with the channel */
  constructor(socket: number | Transport) {
    const transport = typeof socket === 'number' ? new SocketTransport(socket) : socket;
    super(transport);
    this.#transport = transport;
  }

  /**
   * Receives the file descriptor of a file or directory as a FileHandle, which the caller must close. Fails with
   * INVALID_VALUE, and closes the fd, for a pipe, a socket or a device, because reading from one could block a thread
   * of Node's for ever; see recvReadable() and recvWritable(). It must be allowed to open "/".
   */
  async recvFileHandle(options?: ReceiveOptions): Promise<FileHandle> {
    const fd = await this.recvFd(options);
    const status = fstatSync(fd);
    if (!status.isFile() && !status.isDirectory()) {
      refuse(fd, 'recvFileHandle', this.#transport.name, `fd ${fd} is neither a file nor a directory`);
    }
    // Node makes FileHandles only for files it opens itself, so the fd replaces one of those.
    let handle: FileHandle;
    try {
      handle = await open('/', 'r');
    } catch (error) {
      addon().closeFd(fd);
      throw error;
    }
    try {
      addon().replaceFd(fd, handle.fd);
    } catch (error) {
      await handle.close();
      addon().closeFd(fd);
      throw error;
    }
    return handle;
  }

  /**
   * Receives a file descriptor as a stream to read from: a file from its offset on, a pipe or a socket. It is closed
   * with the stream. For anything else it fails with INVALID_VALUE, and closes the fd.
   */
  async recvReadable(options?: ReceiveOptions): Promise<Readable> {
    const fd = await this.recvFd(options);
    return this.#stream('recvReadable', fd, () => createReadStream('', { fd, autoClose: true }));
  }

  /** The same, to write to. */
  async recvWritable(options?: ReceiveOptions): Promise<Writable> {
    const fd = await this.recvFd(options);
    return this.#stream('recvWritable', fd, () => createWriteStream('', { fd, autoClose: true }));
  }

  #stream<T>(operation: 'recvReadable' | 'recvWritable', fd: number, openFile: () => T): T | Socket {
    const status = fstatSync(fd);
    if (status.isFile()) return openFile();
    if (status.isFIFO() || status.isSocket()) {
      const readable = operation === 'recvReadable';
      try {
        return new Socket({ fd, readable, writable: !readable });
      } catch {
        // A socket, but not a stream: refused like the rest.
      }
    }
    return refuse(fd, operation, this.#transport.name, `fd ${fd} is not a file, pipe or stream socket`);
  }
}
