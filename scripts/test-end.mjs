// Loaded into the process of a test file before the file itself. What a failed test has left open must not keep the process
// alive, or nobody would hear of the failure: some time after the tests' last word it ends, and says what was left.
const leftoverS = Number(process.env.SANDWIRE_TEST_LEFTOVER_S ?? 30);
const write = process.stdout.write.bind(process.stdout);

function endLater() {
  const end = () => {
    const left = process.getActiveResourcesInfo().join(', ');
    console.error(`\nstill alive ${leftoverS} s after its tests, because of: ${left}`);
    process.exit(1);
  };
  setTimeout(end, leftoverS * 1000).unref();
}

process.stdout.write = (chunk, ...rest) => {
  if (typeof chunk === 'string' && chunk.startsWith('\n  Duration:')) endLater();
  return write(chunk, ...rest);
};
