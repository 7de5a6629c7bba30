// The randomness of a forked process. OpenSSL's generator notices a fork by itself. Random numbers that Node and V8
// have prepared in advance are copied, so that two children would draw the same.
import crypto from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import vm from 'node:vm';
import { addon } from '../native/addon.js';

/** How many numbers crypto.randomInt() and randomUUID() prepare in advance (lib/internal/crypto/random.js of Node). */
const integersAhead = 1024;
const uuidsAhead = 128;
/** How many UUIDs are left of those prepared in the fork server. */
let uuidsLeft = uuidsAhead;

let a = 0;
let b = 0;
let c = 0;
let counter = 1;

/** sfc32, by Chris Doty-Humphrey. */
function next(): number {
  const result = (((a + b) | 0) + counter) | 0;
  counter = (counter + 1) | 0;
  a = b ^ (b >>> 9);
  b = (c + (c << 3)) | 0;
  c = (((c << 21) | (c >>> 11)) + result) | 0;
  return result >>> 0;
}

/** Replaces Math.random(), because V8 offers no way to seed that anew: 53 bits make a number from 0 to 1. */
function random(): number {
  return ((next() >>> 5) * 0x4000000 + (next() >>> 6)) / 0x20000000000000;
}

/** Seeds contexts of node:vm: when a context first draws a number, V8 seeds it with the last seed it was given. */
function seedContexts(): void {
  setFlagsFromString(`--random-seed=${(next() >>> 2) + 1}`);
}

/** Reads from the kernel, because OpenSSL needs time to notice the fork. */
function seed(): void {
  const words = new Int32Array(4);
  addon().fillRandom(words);
  [a = 0, b = 0, c = 0, counter = 1] = words;
  for (let round = 0; round < 12; round++) next();
  seedContexts();
}

/**
 * In the fork server, right before the fork: draws UUIDs until no prepared one is left, so that the process that draws
 * the next one makes it. Node does not report how many are left; but it reads the length of the array when it fills it
 * anew, and that read can be observed.
 */
export function useUpUuids(): void {
  uuidsLeft = uuidsAhead;
  const prototype = Object.getPrototypeOf(Uint8Array.prototype) as object;
  const usual = Object.getOwnPropertyDescriptor(prototype, 'byteLength');
  let looks = 0;
  const watched = Reflect.defineProperty(prototype, 'byteLength', {
    configurable: true,
    get(this: unknown): unknown {
      looks += 1;
      return usual?.get?.call(this);
    },
  });
  if (!watched || usual === undefined) return;
  let drawn = 0;
  try {
    for (; looks === 0 && drawn <= uuidsAhead; drawn++) crypto.randomUUID();
  } finally {
    Object.defineProperty(prototype, 'byteLength', usual);
  }
  if (looks === 0) return;
  for (let left = 1; left < uuidsAhead; left++) crypto.randomUUID();
  uuidsLeft = 0;
}

/**
 * As early as possible in a future fork server: from now on Math.random and the contexts of node:vm have our seeds. A
 * function that a module has kept before (const { random } = Math) is V8's own, and stays as it is.
 */
export function replaceRandomness(): void {
  if (Math.random === random) return;
  seed();
  Object.defineProperty(Math, 'random', {
    value: random,
    writable: true,
    enumerable: false,
    configurable: true,
  });
  // Everything that runs in a context goes through here.
  const { runInContext } = vm.Script.prototype;
  vm.Script.prototype.runInContext = function (this: vm.Script, ...args): unknown {
    seedContexts();
    return runInContext.apply(this, args);
  };
}

/** In the fork server, before its first child: uses the prepared integers up. */
export async function prepareRandomness(): Promise<void> {
  replaceRandomness();
  // With a callback an integer comes at once or, if none is left, after 1,024 have been made: then the position is
  // known.
  for (let tries = 0; tries <= integersAhead; tries++) {
    let isThere = false;
    const drawn = new Promise<void>((resolve) => {
      crypto.randomInt(2, () => {
        isThere = true;
        resolve();
      });
    });
    await new Promise<void>((resolve) => process.nextTick(resolve));
    if (isThere) continue;
    await drawn;
    for (let left = 1; left < integersAhead; left++) crypto.randomInt(2);
    break;
  }
}

/** In a child. */
export function renewRandomness(): void {
  seed();
  for (let uuids = 0; uuids < uuidsLeft; uuids++) crypto.randomUUID();
}
