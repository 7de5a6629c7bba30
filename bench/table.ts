// Samples in, table out.

export interface Row {
  readonly what: string;
  readonly n: number;
  readonly minUs: number;
  readonly medianUs: number;
  readonly p95Us: number;
  /** The median divided by the floor's median; undefined for a row that has no floor. */
  readonly ratio: number | undefined;
}

/** One number that is not a time with many samples. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
}

export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
  readonly figures?: readonly Figure[];
}

export function summarise(what: string, samplesUs: readonly number[], floor?: Row): Row {
  const sorted = [...samplesUs].sort((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  const medianUs = at(0.5);
  return {
    what,
    n: sorted.length,
    minUs: at(0),
    medianUs,
    p95Us: at(0.95),
    ratio: floor === undefined ? undefined : medianUs / floor.medianUs,
  };
}

export function printSection(section: Section): void {
  const digits = (value: number) => (value >= 1000 ? 0 : value >= 10 ? 2 : 4);
  const number = (value: number) => value.toFixed(digits(value)).padStart(10);
  const width = Math.max(...[...section.rows, ...(section.figures ?? [])].map(({ what }) => what.length));
  const lines = section.rows.map(
    (row) =>
      `${row.what.padEnd(width)} ${String(row.n).padStart(7)} ${number(row.minUs)} ${number(row.medianUs)} ` +
      `${number(row.p95Us)} ${row.ratio === undefined ? '' : row.ratio.toFixed(2).padStart(8)}`,
  );
  const figures = (section.figures ?? []).map(
    ({ what, value, unit }) => `${what.padEnd(width)} ${number(value)} ${unit}\n`,
  );
  const head = `${''.padEnd(width)} ${'n'.padStart(7)} ${'min µs'.padStart(10)} ${'median µs'.padStart(10)} ${'p95 µs'.padStart(10)}  × floor`;
  process.stdout.write(`\n${section.title}\n${head}\n${lines.join('\n')}\n${figures.join('')}`);
}
