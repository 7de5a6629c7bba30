// The parts of a policy, before it is compiled and after.
import type { Filter } from './filter.js';
import type { MountEntry } from './mount-tree.js';
import type { Networking, StackTraces } from './sandbox-settings.js';

export interface PolicyFields {
  readonly filter: Filter;
  readonly mounts: readonly MountEntry[];
  readonly hostname: string;
  readonly networking: Networking;
  readonly rootWritable: boolean;
  readonly stackTraces: StackTraces;
}
