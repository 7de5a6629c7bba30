/**
 * How long something may take that must happen, in milliseconds. No machine is so slow: only what hangs takes longer. Nothing
 * that passes waits for it.
 */
export const hangMs = 120_000;
