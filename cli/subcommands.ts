// All subcommands, in the order in which the help lists them.
import { doctor } from './doctor.js';
import type { Subcommand } from './subcommand.js';

export const subcommands: readonly Subcommand[] = [doctor];
