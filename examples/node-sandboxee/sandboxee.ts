// Sandboxes itself, and then does risky work for its host: it examines a document, and changes it.
import { Buffer, Client, Comms } from '../../sandboxee-node/index.js';

interface Job {
  readonly title: string;
  readonly replace: Map<string, string>;
}

const comms = Comms.default();
new Client(comms).sandboxMeHere();
// From here on it counts as hostile: it has no files, no network, and a policy.

const job = comms.recvValueSync() as Job;
const buffer = Buffer.fromFd(comms.recvFdSync()); // the document itself, no copy
const text = new TextDecoder().decode(buffer.data);
const words = new Map<string, number>();
for (const [word] of text.toLowerCase().matchAll(/\p{L}+/gu)) words.set(word, (words.get(word) ?? 0) + 1);

let changed = text;
for (const [from, to] of job.replace) changed = changed.replaceAll(from, to);
const bytes = new TextEncoder().encode(changed);
buffer.expand(bytes.length);
buffer.data.set(bytes);

const common = [...words].sort(([, a], [, b]) => b - a).slice(0, 3);
comms.sendValueSync({
  title: job.title,
  common: new Map(common),
  length: bytes.length,
  finished: new Date(),
});
