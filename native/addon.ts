// Loads the native addon. No other TypeScript file knows where the build puts things.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Credentials } from '../protocol/transport.js';

/** A stream socket as native/addon/socket.cc provides it. */
export interface NativeSocket {
  readonly fd: number;
  /** Defines the calls from receive() to sendKnown(), which do not exist before. */
  defineCalls(): void;
  receive(
    into: Uint8Array,
    offset: number,
    length: number,
    fds: number[],
    wait: boolean,
    timeoutMs: number,
  ): number;
  /** timeoutMs: below 0 unless given. */
  send(
    bytes: Uint8Array,
    offset: number,
    length: number,
    fd: number,
    wait: boolean,
    timeoutMs?: number,
  ): number;
  knowInbox(inbox: Uint8Array): void;
  knowOutbox(outbox: Uint8Array): void;
  receiveKnown(offset: number, fds: number[], wait: boolean, timeoutMs: number): number;
  sendKnown(length: number, wait: boolean): number;
  watch(
    readable: boolean,
    writable: boolean,
    listener?: (readable: boolean, writable: boolean) => void,
  ): void;
  ref(keepLoopAlive: boolean): void;
  peerCredentials(): Credentials;
  enableCredentials(): void;
  writerCredentials(): Credentials | undefined;
  close(): void;
  release(): number;
}

/** The type and size of a received fd, as native/addon/foreign_fd.cc reports them. */
export interface FdDescription {
  readonly type: 'file' | 'directory' | 'pipe' | 'socket' | 'other';
  readonly size: number;
}

type Callback<T> = (error: Error | null, value: T) => void;

/** An fd that a peer has sent, on which each call may wait, as native/addon/foreign_fd.cc provides it. */
export interface NativeForeignFd {
  describe(callback: Callback<FdDescription>): void;
  /** position −1: where its description stands, or a stream. */
  read(size: number, position: number, callback: Callback<number>): void;
  /** Puts what the last read has brought into[offset, offset + count). */
  takeRead(into: Uint8Array, offset: number, count: number): void;
  write(bytes: Uint8Array, position: number, callback: Callback<undefined>): void;
  endWriting(callback: Callback<undefined>): void;
  grow(size: number, callback: Callback<number>): void;
  release(): number;
  close(): void;
}

/** libsandwire's forking client, as native/addon/forking.cc provides it. */
export interface NativeForkingClient {
  readonly errorText: string;
  waitAndFork(): number;
  enterForkLoop(): number;
  takeComms(): number;
}

/** As native/addon/open_file.h has it. */
export interface OpenFileWish {
  readonly writes: boolean;
  readonly appends: boolean;
  readonly followsLinks: boolean;
  readonly trustsRoot: boolean;
  readonly takesAnyKind: boolean;
}

/** An fd, or -1 and why there is none. */
export interface OpenedFile {
  readonly fd: number;
  readonly problem?: 'failed' | 'link' | 'many names' | 'not regular';
  readonly errno?: number;
  /** What the path had led to. */
  readonly at?: string;
  /** Of the link. */
  readonly owner?: number;
}

interface Addon {
  readonly ForkingClient: new (fd: number, maxThreads: number) => NativeForkingClient;
  watchForEnd(callback: (isLast: boolean) => void): void;
  exitNow(code: number): never;
  pollHandles(): string[];
  sharedMemory(): string | undefined;
  ownPid(): number;
  fillRandom(into: Int32Array): void;
  /** isExclusive: no duplicate of the fd is anywhere. */
  readonly Socket: new (
    fd: number,
    isExclusive?: boolean,
  ) => NativeSocket;
  readonly ForeignFd: new (fd: number) => NativeForeignFd;
  guard(): void;
  closeAside(fd: number): void;
  closeSandboxeeEnd(fd: number): void;
  refuseFds(fd: number): void;
  socketPair(): [number, number];
  /** In a network namespace that holds nothing: the second end can be given to a sandboxee. */
  socketPairForSandboxee(): [number, number];
  duplicate(fd: number): number;
  closeFd(fd: number): void;
  isDirectory(fd: number): boolean;
  isOpen(fd: number): boolean;
  shutDown(fd: number): void;
  openFile(path: string, wish: OpenFileWish): Promise<OpenedFile>;
  openTerminalAgain(fd: number, writes: boolean): number;
  limitWaits(fd: number, milliseconds: number): void;
  replaceFd(fd: number, target: number): void;
  createBufferFd(size: number): number;
  measureBufferFd(fd: number): number;
  growBufferFd(fd: number, size: number): number;
  mapBufferFd(
    fd: number,
    size: number,
  ): { readonly memory: ArrayBuffer; readonly mapping: number } | undefined;
  releaseMapping(mapping: number): void;
  listenNamed(address: string): { readonly fd: number; readonly inode: bigint };
  removeNamed(address: string, inode: bigint): void;
  acceptNamed(fd: number, timeoutMs: number): number;
  connectNamed(address: string, timeoutMs: number): number;
  /** The same for a host: what accepts the connection learns nothing of the host's network by it. Not for sandboxees. */
  connectNamedFromHost(address: string, timeoutMs: number): number;
  installPolicy(program: Uint8Array, allowSpeculation: boolean): void;
  magicSyscall(argument: number): number;
  moveFd(fd: number, target: number): number;
}

/** The native part of sandwire cannot be used here; the message says what is missing and what to do. */
export class NativeUnavailableError extends Error {
  override readonly name = 'NativeUnavailableError';
}

/** How Node must be started to be forked: V8 without threads, which a child would not have. Node insists on one. */
export const forkableNodeFlags = ['--single-threaded', '--v8-pool-size=1'] as const;

/**
 * What makes its children faster: Node's code in pages of 2 MiB, which a child has from the start; other pages of a
 * file are fetched one by one. If the machine has no such pages, Node does without.
 */
export const fasterNodeFlags = ['--use-largepages=silent'] as const;

// dist/native/addon.js → the package's root.
const packageRoot = new URL('../../', import.meta.url);
const addonPath = fileURLToPath(new URL('build/Release/sandwire.node', packageRoot));
const supervisorFile = fileURLToPath(new URL('build/Release/sandwire-supervisor', packageRoot));

function checkPlatform(): void {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
    throw new NativeUnavailableError(
      `sandwire needs Linux on x86-64 or aarch64; this is ${process.platform} on ${process.arch}`,
    );
  }
}

function notBuilt(file: string, what: string): NativeUnavailableError {
  const folder = fileURLToPath(packageRoot);
  const isPackage = existsSync(path.join(folder, 'CMakeLists.txt'));
  const command = folder.includes('/node_modules/') ? 'npm rebuild sandwire' : `npm run build (in ${folder})`;
  return new NativeUnavailableError(
    isPackage
      ? `sandwire's ${what} is not built: ${file} does not exist. Build it with: ${command}`
      : `sandwire's ${what} is not beside its code: ${file} does not exist, and ${folder} is not sandwire's package. ` +
          'If a bundler has moved the code, exclude sandwire from the bundle (external: ["sandwire"])',
  );
}

let loaded: Addon | undefined;

/** The addon of this Node environment. Throws NativeUnavailableError. */
export function addon(): Addon {
  if (loaded === undefined) {
    checkPlatform();
    if (!existsSync(addonPath)) throw notBuilt(addonPath, 'addon');
    loaded = createRequire(import.meta.url)(addonPath) as Addon;
  }
  return loaded;
}

/** The path of the supervisor's executable. Throws NativeUnavailableError. */
export function supervisorPath(): string {
  checkPlatform();
  if (!existsSync(supervisorFile)) throw notBuilt(supervisorFile, 'supervisor');
  return supervisorFile;
}

/** Where a Node sandboxee finds the files that "sandwire/sandboxee" consists of. */
export interface SandboxeePackage {
  readonly root: string;
  readonly files: readonly string[];
  readonly directories: readonly string[];
  /** Packages that it imports. */
  readonly dependencies: readonly string[];
}

/** The part of the package that a Node sandboxee loads. Throws NativeUnavailableError. */
export function sandboxeePackage(): SandboxeePackage {
  checkPlatform();
  if (!existsSync(addonPath)) throw notBuilt(addonPath, 'addon');
  const root = fileURLToPath(packageRoot).replace(/\/$/, '');
  return {
    root,
    files: [path.join(root, 'package.json'), addonPath],
    directories: ['sandboxee-node', 'protocol', 'native'].map((room) => path.join(root, 'dist', room)),
    dependencies: ['msgpackr', 'protobufjs'],
  };
}
