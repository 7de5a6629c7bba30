// What depends on Node's own doings, on Node 22.
// Early: several test files, one after the other.
import { runOnNodeVersion } from './on-node-version.js';

runOnNodeVersion(22);
