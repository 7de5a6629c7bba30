// Randomness of a forked process. OpenSSL's generator notices a fork by itself; what Node and V8 have drawn ahead does
// not, and two children would draw the same numbers.
import crypto from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import vm from 'node:vm';
import { addon } from '../native/addon.js';

/** What crypto.randomInt() and randomUUID() keep ahead (lib/internal/crypto/random.js of Node). */
const integersAhead = 1024;
const uuidsAhead = 128;
/** What a child has to draw before it comes to UUIDs of its own. */
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

/** In place of Math.random(), as V8 offers no way to seed that anew: 53 bits make a number from 0 to 1. */
function random(): number {
  return ((next() >>> 5) * 0x4000000 + (next() >>> 6)) / 0x20000000000000;
}

/** Contexts of node:vm: V8 seeds each, when it first draws a number in it, with what it was told last. */
function seedContexts(): void {
  setFlagsFromString(`--random-seed=${(next() >>> 2) + 1}`);
}

/** From the kernel, as OpenSSL takes its time to notice the fork. */
function seed(): void {
  const words = new Int32Array(4);
  addon().fillRandom(words);
  [a = 0, b = 0, c = 0, counter = 1] = words;
  for (let round = 0; round < 12; round++) next();
  seedContexts();
}

/**
 * In the fork server, right before the fork: draws UUIDs until none is left of those made ahead, so that the next one is
 * made by who draws it. One cannot ask how many there are; but Node looks at the length of the bytes when it fills them
 * anew, and there one can look on.
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
 * As soon as may be in what is to become a fork server: from now on Math.random and the contexts of node:vm have seeds of
 * ours. A function that a module has kept before (const { random } = Math) is V8's own, and stays as it is.
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
  // All that runs in a context goes through here.
  const { runInContext } = vm.Script.prototype;
  vm.Script.prototype.runInContext = function (this: vm.Script, ...args): unknown {
    seedContexts();
    return runInContext.apply(this, args);
  };
}

/** In the fork server, before its children: uses the integers up that are there. */
export async function prepareRandomness(): Promise<void> {
  replaceRandomness();
  // With a callback an integer comes at once, or, when there is none left, after 1,024 have been made: then one knows
  // where one is.
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
