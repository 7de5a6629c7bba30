// What the executor shares with the sandboxee: the comms channel, and file descriptors mapped in or received.
import { addon } from '../native/addon.js';
import { Comms } from '../native/comms.js';
import { WireFd } from '../protocol/wire.generated.js';
import { directoryRefusal, HostEnd } from './host-end.js';
import { closeFd } from './launch-fds.js';
import { isNamespaceFailure, type SystemError } from './namespace-failure.js';

/** One fd that the sandboxee gets. */
export interface FdMapping {
  /** In the host; closed once the sandboxee has it. */
  readonly fd: number;
  /** Its number in the sandboxee; -1: any, found by its name. */
  readonly remoteFd: number;
  /** For Client.getMappedFd() in the sandboxee; empty: none. */
  readonly name: string;
  /** Made here, and not the caller's own. */
  readonly isOurs: boolean;
  /** One end of a socket pair made here, of which nobody but the host has had the other: quick to close. */
  readonly isQuick: boolean;
}

const highestMapped = WireFd.RENDEZVOUS_FD - 1;

/** Throws here, where the mistake is. */
function checkOpen(method: string, fd: number): void {
  if (addon().isOpen(fd)) return;
  throw new Error(`IPC.${method}: fd ${fd} of the host cannot be mapped: it is not open (EBADF)`);
}

function alreadyMapped(method: string, remoteFd: number): Error {
  return new Error(`IPC.${method}: fd ${remoteFd} of the sandboxee is mapped already`);
}

/** The fds and the channel of one executor. Only calls before the sandbox is started matter. */
export class IPC {
  readonly #mappings: FdMapping[] = [];
  /** Numbers of the sandboxee for what is still to be opened. */
  readonly #reserved = new Set<number>();
  /** The host's end of comms. Each sandboxee has the other one, though many never use it. */
  #hostEnd: HostEnd | undefined;
  #comms: Comms | undefined;
  #sandboxeeEnd = -1;
  #namespaceFailure: SystemError | undefined;
  #takesDirectories = false;
  #awaitsHandshake = false;
  #handedOver = false;
  #isClosed = false;

  /** The typed channel to the sandboxee, its fd 1023. */
  get comms(): Comms {
    if (this.#comms === undefined) {
      this.#comms = new Comms(this.#connect());
      if (this.#isClosed) this.close();
    }
    return this.#comms;
  }

  #connect(): HostEnd {
    if (this.#hostEnd === undefined) {
      const [hostEnd, sandboxeeEnd] = this.#makePair();
      this.#sandboxeeEnd = sandboxeeEnd;
      this.#hostEnd = new HostEnd(hostEnd);
      if (this.#takesDirectories) this.#hostEnd.permitDirectories();
      if (this.#awaitsHandshake) this.#hostEnd.hold();
    }
    return this.#hostEnd;
  }

  #makePair(): [number, number] {
    try {
      return addon().socketPairForSandboxee();
    } catch (error) {
      if (!isNamespaceFailure(error)) throw error;
      // Calls before the start work with it. The start itself is refused.
      this.#namespaceFailure ??= error;
      return addon().socketPair();
    }
  }

  /**
   * Why its sockets belong to the host's network and must not be given to a sandboxee: namespaces cannot be made here.
   * undefined: they do not.
   *
   * @internal
   */
  get namespaceFailure(): SystemError | undefined {
    return this.#namespaceFailure;
  }

  /**
   * Maps an fd into the sandboxee: at a number, under a name, or both. The fd becomes the IPC's, which closes it as
   * soon as the sandboxee has it. Numbers 0 to 1020; some 250 fds in all.
   *
   * A descriptor is more than what is read and written by it. That of a file is the whole file: where the policy allows
   * fchmod() and its like, whoever owns the file can change its mode, times and attributes by it, also one that is open
   * for reading. That of a directory is the whole host, by "..": the run ends as SETUP_ERROR, unless the policy has
   * enableLandlock() or the token allowPathsOutsideMounts; addDirectory() shows directories. comms.sendFd() refuses
   * them likewise. A socket stays one of the network it was made in, the host's: see docs/security.md.
   */
  mapFd(localFd: number, remoteFd: number, name?: string): void;
  mapFd(localFd: number, name: string): void;
  mapFd(localFd: number, target: number | string, name = ''): void {
    this.#map('mapFd', localFd, target, name, (fd) => fd);
  }

  /** As mapFd, with a duplicate: the caller's fd stays the caller's. */
  mapDupedFd(localFd: number, remoteFd: number, name?: string): void;
  mapDupedFd(localFd: number, name: string): void;
  mapDupedFd(localFd: number, target: number | string, name = ''): void {
    this.#map('mapDupedFd', localFd, target, name, (fd) => addon().duplicate(fd));
  }

  /**
   * Makes a socket pair, in a network that holds nothing, maps one end as mapFd does, and returns the other, which is the
   * caller's to close: to read the sandboxee's standard output, for example.
   */
  receiveFd(remoteFd: number, name?: string): number;
  receiveFd(name: string): number;
  receiveFd(target: number | string, name = ''): number {
    const [own, theirs] = this.#makePair();
    try {
      this.#map('receiveFd', theirs, target, name, (fd) => fd);
    } catch (error) {
      for (const fd of [own, theirs]) addon().closeFd(fd); // nobody has had them
      throw error;
    }
    return own;
  }

  /**
   * Whether this number of the sandboxee is mapped.
   *
   * @internal
   */
  isMapped(remoteFd: number): boolean {
    return this.#reserved.has(remoteFd) || this.#mappings.some((mapping) => mapping.remoteFd === remoteFd);
  }

  /**
   * Takes a number of the sandboxee for an fd of ours that the returned function takes over, once.
   *
   * @internal
   */
  reserve(remoteFd: number): (fd: number) => void {
    if (this.isMapped(remoteFd)) throw alreadyMapped('reserve', remoteFd);
    this.#reserved.add(remoteFd);
    return (fd) => {
      this.#reserved.delete(remoteFd);
      const mapping = { fd, remoteFd, name: '', isOurs: true, isQuick: false };
      if (this.#isClosed) closeFd(mapping);
      else this.#mappings.push(mapping);
    };
  }

  /**
   * The policy lets directories through.
   *
   * @internal
   */
  permitDirectories(): void {
    this.#takesDirectories = true;
    this.#hostEnd?.permitDirectories();
  }

  /**
   * Why one of what is mapped cannot be given to a sandboxee; undefined: all can.
   *
   * @internal
   */
  refusal(): string | undefined {
    if (this.#takesDirectories) return undefined;
    const directory = this.#mappings.find(({ fd }) => addon().isDirectory(fd));
    if (directory === undefined) return undefined;
    const { remoteFd, name } = directory;
    return `the fd mapped ${remoteFd < 0 ? `as ${JSON.stringify(name)}` : `to ${remoteFd}`}: ${directoryRefusal}`;
  }

  #map(method: string, localFd: number, target: number | string, name: string, take: (fd: number) => number) {
    const remoteFd = typeof target === 'number' ? target : -1;
    const label = typeof target === 'string' ? target : name;
    if (this.#handedOver) throw new Error(`IPC.${method}: the sandboxee has been started already`);
    if (!Number.isInteger(localFd) || localFd < 0) {
      throw new TypeError(`IPC.${method}: ${localFd} is no file descriptor number`);
    }
    if (typeof target === 'string' ? target === '' : !Number.isInteger(target)) {
      throw new TypeError(`IPC.${method}: a number in the sandboxee or a name is needed`);
    }
    if (typeof target === 'number' && (target < 0 || target > highestMapped)) {
      throw new RangeError(
        `IPC.${method}: fd ${target} cannot be mapped; numbers go from 0 to ${highestMapped}, ` +
          `those above are needed for the launch and for comms (${WireFd.COMMS_FD})`,
      );
    }
    if (/[,\0]/.test(label)) throw new TypeError(`IPC.${method}: a name cannot hold a comma or a NUL`);
    if (remoteFd >= 0 && this.isMapped(remoteFd)) throw alreadyMapped(method, remoteFd);
    if (label !== '' && this.#mappings.some((mapping) => mapping.name === label)) {
      throw new Error(`IPC.${method}: the name ${JSON.stringify(label)} is taken already`);
    }
    checkOpen(method, localFd);
    this.#mappings.push({
      fd: take(localFd),
      remoteFd,
      name: label,
      isOurs: method !== 'mapFd',
      isQuick: method === 'receiveFd',
    });
  }

  /**
   * For the launch: the sandboxee's end of comms and the mappings. Both are the caller's from here on.
   *
   * @internal
   */
  handOver(): { readonly commsFd: number; readonly mappings: readonly FdMapping[] } {
    this.#connect().start();
    this.#handedOver = true;
    const commsFd = this.#sandboxeeEnd;
    this.#sandboxeeEnd = -1;
    return { commsFd, mappings: this.#mappings.splice(0) };
  }

  /**
   * Whether a handshake comes before all that is said on comms. Throws for what has been sent already.
   *
   * @internal
   */
  awaitHandshake(isAwaited: boolean): void {
    if (isAwaited && this.#hostEnd?.hasSent) {
      throw new Error('IPC.comms: something was sent already, which would be in the way of sandboxMeHere()');
    }
    this.#awaitsHandshake = isAwaited;
    if (isAwaited) this.#hostEnd?.hold();
    else this.#hostEnd?.letGo();
  }

  /**
   * The channel for the handshake; calls on comms wait until that is over. awaitHandshake(false) then.
   *
   * @internal
   */
  handshakeComms(): Comms {
    return new Comms(this.#connect().forHandshake());
  }

  /**
   * For somebody who has comms ahead of the handshake, until that is called again.
   *
   * @internal
   */
  lendComms(): () => void {
    if (this.#awaitsHandshake) this.#hostEnd?.lend();
    return () => {
      if (this.#awaitsHandshake) this.#hostEnd?.hold();
    };
  }

  /**
   * Who has the other end of comms now.
   *
   * @internal
   */
  sandboxeeIs(pid: number): void {
    this.#hostEnd?.belongsTo(pid);
  }

  /**
   * The sandboxee has ended. Its end of comms may live on all the same, as a descriptor under way that nobody took; so the
   * stream ends here. What was sent before can be received.
   *
   * @internal
   */
  sandboxeeHasEnded(): void {
    this.#hostEnd?.shutDown();
  }

  /**
   * Closes a channel that nobody has asked for, with the descriptors that are under way in it.
   *
   * @internal
   */
  closeUnused(): void {
    if (this.#comms === undefined) this.close();
  }

  /** Closes everything that was not handed over, and the comms channel. Safe to call twice. */
  close(): void {
    this.#handedOver = true;
    this.#isClosed = true;
    for (const mapping of this.#mappings.splice(0)) closeFd(mapping);
    if (this.#sandboxeeEnd >= 0) addon().closeSandboxeeEnd(this.#sandboxeeEnd);
    this.#sandboxeeEnd = -1;
    this.#comms?.close();
    this.#hostEnd?.close();
  }
}
