// What to run: a program, its arguments and its environment.
import { fasterNodeFlags, forkableNodeFlags } from '../native/addon.js';
import { checkOptions } from '../protocol/options.js';
import { ForkServer, type ForkServerOptions } from './fork-server.js';
import { IPC } from './ipc.js';
import { Limits } from './limits.js';
import { checkStdio, type StdioOptions } from './stdio.js';

export interface ExecutorOptions {
  /** The whole environment of the sandboxee. Default: empty. */
  readonly envs?: Readonly<Record<string, string>>;
  /** Working directory inside the sandbox. Default: "/". */
  readonly cwd?: string;
  /**
   * Kernel uid and gid of the sandboxee, which is 1000 inside; only root can choose them. Default: 65534 when the
   * host runs as root, otherwise the host's own.
   */
  readonly uid?: number;
  readonly gid?: number;
  /** Standard input, output and error. Default: /dev/null for each that is not mapped by the IPC. */
  readonly stdio?: StdioOptions;
  /**
   * How many sandboxes like this one are kept prewarmed for later runs (0 to 64; 0: none, and this run uses none). A
   * run that finds one starts in less than half the time. Each is used once and holds some 300 KiB. It ends if no run
   * takes it for five seconds, when the machine's mounts change, and with the host. At most 256 are kept in all.
   * Default: after its second use, as many as were in use at once, up to 8.
   */
  readonly sparesAhead?: number;
}

export interface NodeExecutorOptions extends ExecutorOptions {
  /** Options for Node itself, before the script: ["--max-old-space-size=64"]. */
  readonly execArgv?: readonly string[];
}

function checkText(what: string, text: string): void {
  if (typeof text !== 'string') throw new TypeError(`Executor: ${what} must be a string`);
  if (text.includes('\0'))
    throw new TypeError(`Executor: ${what} must not contain a NUL: ${JSON.stringify(text)}`);
}

function checkEnvs(envs: Readonly<Record<string, string>>): void {
  // For an array or a Map, Object.entries() would return something that the caller did not mean.
  if (Object.prototype.toString.call(envs) !== '[object Object]') {
    throw new TypeError('Executor: envs must be an object of strings, { NAME: "value" }');
  }
  for (const [name, value] of Object.entries(envs)) {
    checkText('an environment variable', name);
    checkText(`the environment variable ${name}`, value);
    if (name === '' || name.includes('=')) {
      throw new TypeError(`Executor: ${JSON.stringify(name)} cannot be the name of an environment variable`);
    }
  }
}

function checkId(what: string, id: number | undefined): void {
  if (id === undefined) return;
  if (!Number.isInteger(id) || id < 0 || id >= 0xffffffff) {
    throw new RangeError(`Executor: ${what} must be a whole number from 0 to 4294967294, not ${id}`);
  }
}

const knownOptions = ['envs', 'cwd', 'uid', 'gid', 'stdio', 'sparesAhead'];

/**
 * Says what to run and how it starts; a Sandbox2 then runs it, once.
 *
 * By default the policy is in force from the program's first instruction. After setEnableSandboxBeforeExec(false)
 * the program starts inside the namespaces without a filter and calls sandboxMeHere() itself.
 */
export class Executor {
  /** The fds and the channel shared with the sandboxee. */
  readonly ipc = new IPC();
  /** The limits of what the sandboxee may use. */
  readonly limits = new Limits();
  /** The fork server whose children it starts, if there is one. */
  readonly forkServer: ForkServer | undefined;
  /** The program, or the fork server's. */
  readonly path: string;
  readonly args: readonly string[];
  readonly envs: Readonly<Record<string, string>>;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly stdio: StdioOptions;
  readonly sparesAhead: number | undefined;
  #script: string | undefined;
  #cwd: string;
  #sandboxBeforeExec = true;
  #used = false;
  #sealed = false;

  /**
   * @param path the program, on the host; it need not be in the sandbox's file system. A policy that shows a /proc also
   * shows the program, read-only, if the sandboxee's kernel uid could change its mode or times through /proc/self/exe
   * @param args argv, argv[0] included. Default: [path]
   */
  constructor(path: string, args?: readonly string[], options?: ExecutorOptions);
  /** Starts sandboxees that a fork server forks. They have the fork server's arguments and environment. */
  constructor(forkServer: ForkServer, options?: Omit<ExecutorOptions, 'envs'>);
  constructor(
    origin: string | ForkServer,
    argsOrOptions?: readonly string[] | ExecutorOptions,
    programOptions: ExecutorOptions = {},
  ) {
    if (origin instanceof Promise) {
      throw new TypeError('Executor: this is a promise of a fork server: await startForkServer()');
    }
    const isForked = origin instanceof ForkServer;
    const path = isForked ? origin.path : origin;
    const args = isForked ? [path] : (argsOrOptions ?? [path]);
    const options = isForked ? ((argsOrOptions ?? {}) as ExecutorOptions) : programOptions;
    this.forkServer = isForked ? origin : undefined;
    if (isForked) {
      if (Array.isArray(options))
        throw new TypeError('Executor: a forked sandboxee has its fork server’s args');
      if (options.envs !== undefined)
        throw new TypeError(
          'Executor: a forked sandboxee has its fork server’s environment; envs cannot be set',
        );
      this.#sandboxBeforeExec = false;
      this.ipc.awaitHandshake(true);
    }
    checkText('the path', path);
    if (path === '') throw new TypeError('Executor: the path is empty');
    if (!Array.isArray(args) || args.length === 0) {
      throw new TypeError('Executor: args is argv with argv[0], the program’s own name, in front');
    }
    for (const arg of args) checkText('an argument', arg);
    checkOptions('Executor', options, knownOptions);
    const envs = options.envs ?? {};
    checkEnvs(envs);
    checkId('uid', options.uid);
    checkId('gid', options.gid);
    const spares = options.sparesAhead;
    if (spares !== undefined && (!Number.isInteger(spares) || spares < 0 || spares > 64)) {
      throw new RangeError(`Executor: sparesAhead must be a whole number from 0 to 64, not ${spares}`);
    }
    this.sparesAhead = spares;
    this.path = path;
    this.args = [...args];
    this.envs = { ...envs };
    this.uid = options.uid;
    this.gid = options.gid;
    checkStdio(options.stdio ?? {});
    this.stdio = { ...options.stdio };
    this.#cwd = '/';
    if (options.cwd !== undefined) this.setCwd(options.cwd);
  }

  /**
   * Runs a Node script with the Node that runs this process. The policy needs allowNode(), addNodeRuntime() and the
   * script's files.
   *
   * @param script absolute path of the script, inside the sandbox
   * @param args what the script gets from process.argv[2] on
   */
  static node(script: string, args: readonly string[] = [], options: NodeExecutorOptions = {}): Executor {
    checkOptions('Executor.node', options, [...knownOptions, 'execArgv']);
    const { execArgv = [], ...rest } = options;
    checkText('the script', script);
    if (!script.startsWith('/')) {
      throw new TypeError(`Executor.node: an absolute path is needed, not ${JSON.stringify(script)}`);
    }
    if (!Array.isArray(args) || !Array.isArray(execArgv)) {
      throw new TypeError('Executor.node: args and execArgv are arrays of strings');
    }
    const executor = new Executor(process.execPath, [process.execPath, ...execArgv, script, ...args], rest);
    executor.#script = script;
    return executor;
  }

  /**
   * Runs a Node script that is a fork server (ForkingClient): Executor.node() with the flags that Node needs to be
   * forked, and with the host's standard error, where the script says why it cannot be forked. Its startForkServer()
   * starts it.
   */
  static nodeForkServer(
    script: string,
    args: readonly string[] = [],
    options: NodeExecutorOptions = {},
  ): Executor {
    const execArgv = [...forkableNodeFlags, ...fasterNodeFlags, ...(options.execArgv ?? [])];
    const stdio = { stderr: 'inherit', ...options.stdio } as const;
    return Executor.node(script, args, { ...options, execArgv, stdio });
  }

  /** Sets whether the policy is in force before exec (the default) or from sandboxMeHere() on. */
  setEnableSandboxBeforeExec(enable: boolean): this {
    this.#checkOpen('setEnableSandboxBeforeExec');
    if (typeof enable !== 'boolean')
      throw new TypeError('Executor.setEnableSandboxBeforeExec: true or false');
    if (enable && this.forkServer !== undefined)
      throw new Error('Executor.setEnableSandboxBeforeExec: a forked sandboxee execs nothing');
    this.ipc.awaitHandshake(!enable);
    this.#sandboxBeforeExec = enable;
    return this;
  }

  /** Sets the working directory inside the sandbox. If it does not exist, the set-up fails. */
  setCwd(cwd: string): this {
    this.#checkOpen('setCwd');
    checkText('cwd', cwd);
    if (!cwd.startsWith('/'))
      throw new TypeError(`Executor.setCwd: an absolute path is needed, not ${JSON.stringify(cwd)}`);
    this.#cwd = cwd;
    return this;
  }

  /**
   * The path inside the sandbox of the Node script, if one is run.
   *
   * @internal
   */
  get script(): string | undefined {
    return this.#script;
  }

  get sandboxBeforeExec(): boolean {
    return this.#sandboxBeforeExec;
  }

  get cwd(): string {
    return this.#cwd;
  }

  /**
   * Starts the program as a fork server: it is not sandboxed, and forks a sandboxee for each Executor made with the
   * returned ForkServer. It runs as the host's user, without capabilities, with this executor's arguments, environment,
   * working directory (on the host), mapped fds and standard streams, and without limits except the walltime, if that
   * was set. Neither it nor its children have io_uring, and the children do not have what it has open. If the program
   * could not be started, the ForkServer's awaitResult() says why.
   */
  async startForkServer(options: ForkServerOptions = {}): Promise<ForkServer> {
    if (this.forkServer !== undefined) throw new Error('Executor.startForkServer: it has one already');
    this.claim();
    this.seal();
    this.ipc.awaitHandshake(false); // its children do that
    return ForkServer.start(this, options);
  }

  /**
   * Called by the Sandbox2 that uses it: an executor starts one sandboxee.
   *
   * @internal
   */
  claim(): void {
    if (this.#used) throw new Error('Executor: it has been used already; make a new one for each run');
    this.#used = true;
  }

  /**
   * Called at the start: from now on setting anything is an error, because it would have no effect.
   *
   * @internal
   */
  seal(): void {
    this.#sealed = true;
    this.limits.seal();
  }

  #checkOpen(method: string): void {
    if (this.#sealed) throw new Error(`Executor.${method}: the program has been started already`);
  }
}
