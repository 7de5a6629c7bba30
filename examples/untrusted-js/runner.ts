// The fork server: each child runs one piece of untrusted JavaScript.
import vm from 'node:vm';
import { Client, ForkingClient } from '../../sandboxee-node/index.js';

interface Job {
  readonly code: string;
  /** Names and their values as JSON. */
  readonly values: readonly (readonly [string, string])[];
}

/** Returns the value as JSON can express it; undefined if it cannot. */
async function run({ code, values }: Job): Promise<unknown> {
  // A context of its own has the globals of the language and none of Node's. That is only for tidiness: the boundary is
  // the sandbox around this process, not the context.
  const context = vm.createContext(Object.create(null), { name: 'untrusted' });
  const inside = vm.runInContext('JSON', context) as typeof JSON;
  for (const [name, json] of values) context[name] = inside.parse(json);
  const json = inside.stringify(await vm.runInContext(code, context, { filename: 'untrusted.js' })) as
    | string
    | undefined;
  return json === undefined ? undefined : JSON.parse(json);
}

/** Anything can be thrown, and need not convert to a string. */
function inWords(error: unknown): string {
  try {
    return String(error);
  } catch {
    return 'an exception that cannot be converted to text';
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
process.exit(); // whatever the code still waits for
