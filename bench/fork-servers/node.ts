// A fork server in Node whose children send one word and end: "sandboxed" after they have sandboxed themselves.
import { Client, ForkingClient } from '../../sandboxee-node/index.js';

const isSandboxed = process.argv[2] === 'sandboxed';
const comms = await new ForkingClient().enterForkLoop();
if (isSandboxed) new Client(comms).sandboxMeHere();
comms.sendBoolSync(true);
process.exit(0);
