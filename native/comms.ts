// Comms over sockets: what host and sandboxees have in addition to the protocol's own calls, mainly file descriptors as
// Node's objects.
import type { FileHandle } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import {
  CommsError,
  Comms as ProtocolComms,
  type ReceiveOptions,
  type Transport,
} from '../protocol/index.js';
import { foreignFds } from './foreign-fd.js';
import { type ReceivedFds, receivedFds } from './received-fds.js';
import { SocketTransport } from './socket-transport.js';

/** A typed channel over a Unix stream socket. */
export class Comms extends ProtocolComms {
  readonly #transport: Transport;

  /** @param socket a connected Unix stream socket, by number, or another transport; closed with the channel */
  constructor(socket: number | Transport) {
    const transport = typeof socket === 'number' ? new SocketTransport(socket) : socket;
    super(transport);
    this.#transport = transport;
  }

  /** @internal */
  protected get [receivedFds](): ReceivedFds {
    return foreignFds;
  }

  /**
   * Receives the file descriptor of a file or directory as a FileHandle, which the caller must close. Fails with
   * INVALID_VALUE, and closes the fd, for a pipe, a socket or a device; see recvReadable() and recvWritable(). It must
   * be allowed to open "/". Each call on the FileHandle blocks one of Node's four file threads for as long as the file
   * system, or a sandboxee that has locked the file, makes it wait.
   */
  async recvFileHandle(options?: ReceiveOptions): Promise<FileHandle> {
    const fd = await this.recvFd(options);
    const handle = await this[receivedFds].fileHandle(fd);
    return handle ?? this.#refuse('recvFileHandle', `fd ${fd} is neither a file nor a directory`);
  }

  /**
   * Receives a file descriptor as a stream to read from: a file from its offset on, a pipe or a stream socket. It is
   * closed with the stream. For anything else it fails with INVALID_VALUE, and closes the fd. In a host each read that
   * waits does so in a thread of its own.
   */
  async recvReadable(options?: ReceiveOptions): Promise<Readable> {
    const fd = await this.recvFd(options);
    const stream = await this[receivedFds].readable(fd);
    return stream ?? this.#refuse('recvReadable', `fd ${fd} is not a file, pipe or stream socket`);
  }

  /** The same, to write to. */
  async recvWritable(options?: ReceiveOptions): Promise<Writable> {
    const fd = await this.recvFd(options);
    const stream = await this[receivedFds].writable(fd);
    return stream ?? this.#refuse('recvWritable', `fd ${fd} is not a file, pipe or stream socket`);
  }

  #refuse(operation: string, why: string): never {
    throw new CommsError('INVALID_VALUE', `${why}; it was closed`, {
      operation,
      peer: this.#transport.name,
    });
  }
}
