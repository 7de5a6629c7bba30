/** How long the supervisor keeps what it has ready and nobody takes – sandboxes, readers –, with something to spare. */
const keptMs = 4500;

/**
 * Repeats a test of what is kept until all of it was quicker than that: the attempt makes what it needs, and returns what there
 * is to be asserted. In between, what was made is given the time to go.
 */
export async function whileKept(
  attempt: () => Promise<() => void>,
  untilGone: () => Promise<void>,
): Promise<void> {
  for (let round = 0; round < 20; round++) {
    const begun = performance.now();
    const check = await attempt();
    if (performance.now() - begun < keptMs) return check();
    await untilGone();
  }
  throw new Error(`this machine needs longer than ${keptMs} ms for some runs`);
}
