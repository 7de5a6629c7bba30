// What Comms needs from the layer below it. Comms itself does no I/O.

/** The credentials of a process. */
export interface Credentials {
  /** The pid in this process's pid namespace; 0: not visible from here. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Where received bytes go. The object is used only until the call returns, so the caller may use it again. */
export interface ReceiveCall {
  into: Uint8Array;
  offset: number;
  /** The greatest number of bytes to receive. */
  length: number;
  /** An fd that comes with the bytes is pushed here. */
  fds: number[];
  /** True to block until something comes. */
  wait: boolean;
  /** The longest wait in milliseconds; below 0: no limit. */
  timeoutMs: number;
}

/** What to send: bytes[offset, offset + length). As with ReceiveCall the caller may use the object again. */
export interface SendCall {
  bytes: Uint8Array;
  offset: number;
  length: number;
  /** Sent with the first byte; the caller still owns it. -1: none. */
  fd: number;
  /** True to block until there is room. */
  wait: boolean;
  /** The longest wait in milliseconds; below 0: no limit. */
  timeoutMs: number;
}

/** A connected byte stream that can carry file descriptors: a socket, or a stand-in for one. */
export interface Transport {
  /** The name in messages, "fd 23" for example. */
  readonly name: string;
  readonly isOpen: boolean;
  /**
   * Receives bytes. Returns their number; 0 at the end of the stream; -1 when nothing has come (in time). At most one
   * fd comes with them; it belongs to the last bytes received. Throws an Error with code "SURPLUS_FD" when more fds
   * came than allowed (all are closed then), or a system error with code and syscall.
   */
  receive(call: ReceiveCall): number;
  /**
   * Sends bytes. Returns the number taken; -1 when there was no room (in time). Throws system errors; never raises
   * SIGPIPE.
   */
  send(call: SendCall): number;
  /**
   * Calls the listener from the event loop while the stream is readable (or at its end) or writable, as asked.
   * watch(false, false) stops that and lets the event loop end.
   */
  watch(readable: boolean, writable: boolean, listener: (readable: boolean, writable: boolean) => void): void;
  /** Closes a received fd that is not wanted. */
  closeFd(fd: number): void;
  /** Why no synchronous call can wait at this moment; undefined: it can. */
  refusalToBlock?(): string | undefined;
  /** The process that made the other end (SO_PEERCRED). */
  peerCredentials?(): Credentials;
  /** Makes the kernel attach the writer's credentials to what is received from now on (SO_PASSCRED). */
  enableCredentials?(): void;
  /** The process that wrote all of the last received bytes; undefined: the kernel attached no credentials. */
  writerCredentials?(): Credentials | undefined;
  close(): void;
}
