// sandwire/sandboxee: what a Node program in a sandbox uses.
export { CommsError } from '../protocol/index.js';
export { Client, SandboxingError } from './client.js';
export { Comms, isSandboxed } from './comms.js';
