// What a rule does with a syscall, as data and as the value that a seccomp program returns for it.
import { constants } from 'node:os';
import { NotificationReason, ReturnAction } from './bpf/instructions.js';
import { shown } from './quoting.js';

export type Action =
  | { readonly kind: 'allow' }
  /** The syscall does nothing and fails. */
  | { readonly kind: 'errno'; readonly errno: number }
  /** The syscall does nothing, and the sandbox ends. */
  | { readonly kind: 'violation' }
  /** The syscall does nothing, and the thread gets SIGSYS with this number in si_errno. */
  | { readonly kind: 'trap'; readonly data: number }
  /** The host decides. */
  | { readonly kind: 'notify' }
  /** Used by the supervisor only: the exec, or the end of sandboxMeHere(), that puts the policy in force. */
  | { readonly kind: 'launch' };

const errnoNumbers: ReadonlyMap<unknown, number> = new Map(Object.entries(constants.errno));
const errnoNames = new Map<number, string>();
for (const [name, number] of Object.entries(constants.errno)) {
  if (!errnoNames.has(number)) errnoNames.set(number, name);
}

/** "ENOENT"; undefined for a number without a name. */
export function errnoName(number: number): string | undefined {
  return errnoNames.get(number);
}

/** An errno by number or name. Throws RangeError. The kernel takes 0 to 4095 (MAX_ERRNO). */
export function errnoNumber(errno: unknown): number {
  const number = typeof errno === 'number' ? errno : errnoNumbers.get(errno);
  if (number === undefined || !Number.isInteger(number) || number < 0 || number > 4095) {
    throw new RangeError(`${shown(errno)} is not an errno`);
  }
  return number;
}

/** The number that a trap carries. Throws RangeError. */
export function trapNumber(data: unknown): number {
  if (typeof data === 'number' && Number.isInteger(data) && data >= 0 && data <= 0xffff) return data;
  throw new RangeError(`a trap carries a number from 0 to 65535, not ${shown(data)}`);
}

export function returnValue(action: Action): number {
  switch (action.kind) {
    case 'allow':
      return ReturnAction.ALLOW;
    case 'errno':
      return ReturnAction.ERRNO | action.errno;
    case 'violation':
      return ReturnAction.USER_NOTIF | NotificationReason.VIOLATION;
    case 'trap':
      return ReturnAction.TRAP | action.data;
    case 'notify':
      return ReturnAction.USER_NOTIF | NotificationReason.NOTIFY;
    case 'launch':
      return ReturnAction.USER_NOTIF | NotificationReason.LAUNCH;
  }
}

/**
 * Every value that would kill becomes a notification, which the supervisor takes for a violation. So does a
 * notification that is not one of sandwire's.
 */
export function normalReturn(value: number): number {
  const action = (value & 0xffff0000) >>> 0;
  switch (action) {
    case ReturnAction.ALLOW:
      return ReturnAction.ALLOW;
    case ReturnAction.LOG:
    case ReturnAction.ERRNO:
    case ReturnAction.TRAP:
      return value >>> 0;
    case ReturnAction.USER_NOTIF:
      return (value & 0xffff) === NotificationReason.NOTIFY
        ? value >>> 0
        : ReturnAction.USER_NOTIF | NotificationReason.VIOLATION;
    default:
      return ReturnAction.USER_NOTIF | NotificationReason.VIOLATION;
  }
}

/** What the returned value of a program means. */
export function actionOf(value: number): Action {
  const data = value & 0xffff;
  switch ((value & 0xffff0000) >>> 0) {
    case ReturnAction.ALLOW:
    case ReturnAction.LOG:
      return { kind: 'allow' };
    case ReturnAction.ERRNO:
      return { kind: 'errno', errno: Math.min(data, 4095) };
    case ReturnAction.TRAP:
      return { kind: 'trap', data };
    case ReturnAction.USER_NOTIF:
      if (data === NotificationReason.NOTIFY) return { kind: 'notify' };
      return { kind: data === NotificationReason.LAUNCH ? 'launch' : 'violation' };
    default:
      return { kind: 'violation' };
  }
}

/** "allow", "errno ENOENT", "violation", "trap 5", "notify". */
export function describeAction(action: Action): string {
  switch (action.kind) {
    case 'errno':
      return `errno ${errnoName(action.errno) ?? action.errno}`;
    case 'trap':
      return `trap ${action.data}`;
    default:
      return action.kind;
  }
}
