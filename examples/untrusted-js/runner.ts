// The fork server: each child runs one piece of JavaScript that nobody trusts.
import vm from 'node:vm';
import { Client, ForkingClient } from '../../sandboxee-node/index.js';

interface Job {
  readonly code: string;
  /** Names, and what they stand for, as JSON. */
  readonly values: readonly (readonly [string, string])[];
}

/** Answers with what JSON makes of the value; undefined where it has none of it. */
async function run({ code, values }: Job): Promise<unknown> {
  // A context of its own has the language's globals and nothing of Node's. That is for tidiness: the fence is the
  // sandbox around this process, not the context.
  const context = vm.createContext(Object.create(null), { name: 'untrusted' });
  const inside = vm.runInContext('JSON', context) as typeof JSON;
  for (const [name, json] of values) context[name] = inside.parse(json);
  const json = inside.stringify(await vm.runInContext(code, context, { filename: 'untrusted.js' })) as
    | string
    | undefined;
  return json === undefined ? undefined : JSON.parse(json);
}

/** What was thrown may be anything, and need not be ready to become a string. */
function inWords(error: unknown): string {
  try {
    return String(error);
  } catch {
    return 'an exception that has no words';
  }
}

await run({ code: 'rehearsal.length', values: [['rehearsal', '[1, "two", { "three": null }]']] });
const comms = await new ForkingClient().enterForkLoop();
new Client(comms).sandboxMeHere();
comms.sendStringSync('ready');
try {
  comms.sendValueSync({ value: await run(comms.recvValueSync() as Job) });
} catch (error) {
  comms.sendValueSync({ error: inWords(error) });
}
process.exit(); // whatever the code has left waiting
