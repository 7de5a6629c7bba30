// What Comms needs of the thing below it. Comms itself does no I/O.

/** Who a process is. */
export interface Credentials {
  /** As this process's pid namespace sees it; 0: not visible from here. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** A connected byte stream that can carry file descriptors: a socket, or a stand-in for one. */
export interface Transport {
  /** What messages call it, "fd 23" for example. */
  readonly name: string;
  readonly isOpen: boolean;
  /**
   * Receives up to length bytes into into[offset…]. Returns their number, 0 at the end of the stream, -1 when nothing
   * is there (wait false) or nothing came in time (wait true; timeoutMs < 0: no limit). At most one fd comes along and
   * is pushed to fds; it belongs to the last bytes received. Throws an Error with code "SURPLUS_FD" when more fds came
   * than may (all are closed then), or a system error with code and syscall.
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
   * Sends bytes[offset, offset + length). Returns the number taken, -1 when there is no room (wait false) or there was
   * none in time (wait true; timeoutMs < 0: no limit). fd -1: none; otherwise it goes with the first byte and stays the
   * caller's. Throws system errors; never SIGPIPE.
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
   * Calls the listener from the event loop as long as the stream is readable (or at its end) or writable, as asked.
   * watch(false, false) stops that and lets the event loop end.
   */
  watch(readable: boolean, writable: boolean, listener: (readable: boolean, writable: boolean) => void): void;
  /** Closes an fd that was received and is not wanted. */
  closeFd(fd: number): void;
  /** Why no call can wait where it stands at this moment; undefined: it can. */
  refusalToBlock?(): string | undefined;
  /** Who made the other end (SO_PEERCRED). */
  peerCredentials?(): Credentials;
  /** Has the kernel attach the writer to what is received from now on (SO_PASSCRED). */
  enableCredentials?(): void;
  /** Who wrote the bytes that were received last, all of them; undefined: that was not attached. */
  writerCredentials?(): Credentials | undefined;
  close(): void;
}
