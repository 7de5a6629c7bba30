import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Collects what cannot be reached. What is done when it has gone comes in a later turn of the event loop. */
export const collectGarbage = runInNewContext('gc') as () => void;
