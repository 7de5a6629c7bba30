/**
 * Prints why a test cannot run on this machine. The runner counts the line as one skipped test, so the test must return
 * right after it.
 */
export function skip(name: string, reason: string): void {
  process.stdout.write(`\nSKIP ${name}: ${reason}\n`);
}
