// What Comms needs from the layer below it. Comms itself does no I/O.

/** The credentials of a process. */
export interface Credentials {
  /** The pid in this process's pid namespace; 0: not visible from here. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** A connected byte stream that can carry file descriptors: a socket, or a stand-in for one. */
export interface Transport {
  /** Its name in messages, "fd 23" for example. */
  readonly name: string;
  readonly isOpen: boolean;
  /**
   * Receives up to length bytes into into[offset…]. Returns their number; 0 at the end of the stream; -1 when nothing
   * has arrived (wait false) or nothing came in time (wait true; timeoutMs < 0: no limit). At most one fd comes with
   * them and is pushed to fds; it belongs to the last bytes received. Throws an Error with code "SURPLUS_FD" when more
   * fds came than allowed (all are closed then), or a system error with code and syscall.
   */
  receive(
    into: Uint8Array,
    offset: number,
    length: number,
    fds: number[],
    wait: boolean,
    timeoutMs: number,
  ): number;
  /**
   * Sends bytes[offset, offset + length). Returns the number of bytes that were taken; -1 when there is no room (wait
   * false) or there was none in time (wait true; timeoutMs < 0: no limit). fd -1: none; otherwise the fd is sent with
   * the first byte, and the caller still owns it. Throws system errors; never raises SIGPIPE.
   */
  send(
    bytes: Uint8Array,
    offset: number,
    length: number,
    fd: number,
    wait: boolean,
    timeoutMs: number,
  ): number;
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
