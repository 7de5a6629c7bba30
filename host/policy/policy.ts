// A finished policy: a seccomp program, and the contents of the sandbox's file system.
import { type Action, actionOf, describeAction, errnoName } from './actions.js';
import { disassemble } from './bpf/disassembler.js';
import { encodeProgram, type Instruction } from './bpf/instructions.js';
import { dataWords, run } from './bpf/interpreter.js';
import { notesOf } from './bpf/notes.js';
import { PolicyError } from './errors.js';
import { explain } from './explain.js';
import { compile, decide, foreignRule, numbersOf, rulesFor } from './filter.js';
import { checkGuards } from './guard.js';
import { readPolicy } from './json/read.js';
import { type PolicyData, writePolicy } from './json/write.js';
import { resolvePath } from './mount-list.js';
import type { MountEntry } from './mount-tree.js';
import type { PolicyFields } from './policy-fields.js';
import { waysToCode, waysToGivenNetworks } from './possible.js';
import { shown } from './quoting.js';
import { describeRule, possibleActions, type Rule } from './rules.js';
import type { Networking, StackTraces } from './sandbox-settings.js';
import { type Arch, auditArch, isArch, syscallName, syscallNumber } from './syscalls.js';

/** A call to evaluate. */
export interface EvaluatedCall {
  /** The syscall's name, or its number as the filter sees it: unsigned 32-bit. */
  readonly syscall: string | number;
  /** Missing arguments are 0. Negative ones are taken as two's complement. */
  readonly args?: readonly (number | bigint)[];
  /** An architecture's name or AUDIT_ARCH_* number. Default: that of the policy. */
  readonly arch?: Arch | number;
  readonly instructionPointer?: bigint;
}

/** What decided: the builder method, "preamble" or "defaultAction", and the rule as text. */
export interface DecidingRule {
  readonly by: string;
  readonly text: string;
}

/** What would happen to a call, and by which rule. */
export type Evaluation = Readonly<
  (
    | { action: 'allow' | 'violation' | 'notify' }
    | { action: 'errno'; errno: number; errnoName: string | undefined }
    | { action: 'trap'; data: number }
    /**
     * The exec, or the end of sandboxMeHere(), with which the policy comes into force; any later such call is a
     * violation.
     */
    | { action: 'launch' }
  ) & { rule: DecidingRule }
>;

function evaluation(action: Action, rule: Rule): Evaluation {
  const deciding: DecidingRule = { by: rule.by, text: describeRule(rule) };
  switch (action.kind) {
    case 'errno':
      return {
        action: 'errno',
        errno: action.errno,
        errnoName: errnoName(action.errno),
        rule: deciding,
      };
    case 'trap':
      return { action: 'trap', data: action.data, rule: deciding };
    default:
      return { action: action.kind, rule: deciding };
  }
}

/** Made by PolicyBuilder.build() or fromJSON(); never changes. */
export class Policy {
  readonly instructions: readonly Instruction[];
  /** struct sock_filter[], little-endian. */
  readonly program: Uint8Array;
  /** Parents come before what is inside them. */
  readonly mounts: readonly MountEntry[];
  readonly hostname: string;
  readonly networking: Networking;
  /**
   * True if any call that makes a socket may be allowed. A sandboxee that can make none needs no network of its own.
   */
  readonly makesSockets: boolean;
  readonly allowSpeculation: boolean;
  readonly rootWritable: boolean;
  readonly arch: Arch;
  readonly stackTraces: StackTraces;
  /** True if Landlock alone hides the host's files, in place of a mount namespace. */
  readonly landlock: boolean;
  /** True if Landlock rules back up the mounts wherever the kernel has Landlock. */
  readonly landlockFence: boolean;
  /**
   * True if a sandboxee may be given descriptors of directories. By ".." each leads to the whole machine. Only under
   * enableLandlock() is that nothing new, because every path does so there.
   */
  readonly takesDirectories: boolean;
  /** True if io_uring is refused before sandboxMeHere() too, because a ring made then would still exist afterwards. */
  readonly forbidsIoUring: boolean;
  /** The syscalls of which some calls are notified calls, by name, or by number if they have no name. */
  readonly notifiedSyscalls: readonly string[];
  /** True if calls that no rule decides are notified calls too: defaultAction("traceAllSyscalls"). */
  readonly notifiesByDefault: boolean;
  readonly #fields: PolicyFields;

  /** Throws PolicyError if the program is longer than the kernel accepts. */
  constructor(fields: PolicyFields) {
    this.#fields = fields;
    if (fields.networking === 'forkServerShared' && fields.mounts.some(({ kind }) => kind === 'sysfs')) {
      throw new PolicyError(
        'useForkServerSharedNetNs',
        'a /sys needs a network of the sandbox’s own; leave one of the two out',
      );
    }
    checkGuards(fields.filter.rules, fields.filter.tokens, fields.filter.arch);
    this.instructions = compile(fields.filter);
    this.program = encodeProgram(this.instructions);
    this.mounts = fields.mounts;
    this.hostname = fields.hostname;
    this.networking = fields.networking;
    this.makesSockets = fields.filter.makesSockets;
    this.allowSpeculation = fields.filter.tokens.has('allowSpeculation');
    this.rootWritable = fields.rootWritable;
    this.arch = fields.filter.arch;
    this.stackTraces = fields.stackTraces;
    this.landlock = fields.filter.landlockOnly;
    // Under Landlock nothing can be mounted (landlock(7)).
    const { tokens } = fields.filter;
    this.forbidsIoUring = !tokens.has('allowIoUring');
    this.landlockFence = !tokens.has('allowMountSyscalls') && !tokens.has('allowPathsOutsideMounts');
    this.takesDirectories = this.landlock || tokens.has('allowPathsOutsideMounts');
    this.notifiesByDefault = fields.filter.defaultAction.kind === 'notify';
    this.notifiedSyscalls = [...numbersOf(fields.filter)]
      .filter((number) =>
        rulesFor(fields.filter, number).some(
          (rule) =>
            rule.by !== 'defaultAction' && possibleActions(rule).some(({ kind }) => kind === 'notify'),
        ),
      )
      .map((number) => syscallName(number, this.arch) ?? String(number));
  }

  /**
   * What the kernel would answer, computed from the very program that the kernel gets, and the rule that decided.
   * Throws RangeError for a syscall that the policy's architecture does not have.
   */
  evaluate(call: EvaluatedCall): Evaluation {
    const named = call.arch ?? this.arch;
    if (typeof named !== 'number' && !isArch(named)) {
      throw new RangeError(`there is no architecture ${shown(named)}`);
    }
    const arch = typeof named === 'number' ? named : auditArch[named];
    const number =
      typeof call.syscall === 'number' ? call.syscall >>> 0 : syscallNumber(call.syscall, this.arch);
    if (number === undefined) throw new RangeError(`${this.arch} has no syscall ${shown(call.syscall)}`);
    const args = Array.from({ length: 6 }, (_, index) => BigInt.asUintN(64, BigInt(call.args?.[index] ?? 0)));
    const pointer = call.instructionPointer ?? 0n;
    const words = dataWords({ nr: number, arch, args, instructionPointer: pointer });
    const action = actionOf(run(this.instructions, words) ?? 0);
    if (arch !== auditArch[this.arch]) return evaluation(action, foreignRule);
    const { rule, value } = decide(this.#fields.filter, number, args, words);
    // Program and rules must give the same answer; the tests of the compiler check that they do.
    const expected = actionOf(value);
    if (describeAction(expected) !== describeAction(action)) {
      throw new Error(
        `the program returns ${describeAction(action)} and the rules ${describeAction(expected)} for syscall ${number}: ` +
          'this is a bug in sandwire’s policy compiler',
      );
    }
    return evaluation(action, rule);
  }

  /**
   * The program the kernel gets, one instruction a line: "012: if A == 0x1 goto 20 ; socket: AF_UNIX". After ";" are
   * the syscalls that get there, if they are few, and the meaning of a number.
   */
  disassemble(): string {
    const notes = notesOf(this.instructions, this.arch);
    return disassemble(this.instructions, (at) => notes[at] ?? '');
  }

  /**
   * The policy as text: what is weakened by name; which syscalls are allowed, refused or allowed under conditions, and
   * by which call of the builder; what is visible of the file system. It is meant for people; its wording may change.
   */
  explain(): string {
    const { filter, ...rest } = this.#fields;
    return explain({
      filter,
      ...rest,
      instructionCount: this.instructions.length,
      makesCode: waysToCode(filter),
      givenNetworks: waysToGivenNetworks(filter),
    });
  }

  /** The host's path of a path inside the sandbox; undefined if the path is not the host's, or does not exist. */
  resolvePath(inside: string): string | undefined {
    return resolvePath(this.mounts, inside);
  }

  /**
   * The whole policy as plain data: JSON.stringify(policy, null, 2) is a file for reviewers, which fromJSON() reads.
   */
  toJSON(): PolicyData {
    return writePolicy(this.#fields);
  }

  /**
   * Reads the policy that toJSON() wrote: the text of such a file, or what JSON.parse() made of it. (In the latter a
   * name that was in the text twice can no longer be noticed.) The files that it mentions are looked up when it is run.
   * Throws PolicyError, with the place, for anything else: an unknown version, field, syscall or token, a
   * contradiction, a guarded syscall allowed without its token.
   */
  static fromJSON(json: unknown): Policy {
    return new Policy(readPolicy(json));
  }
}
