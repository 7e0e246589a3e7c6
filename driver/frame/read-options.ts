/**
 * What a job says of how its files are read. Invariant: options that change nothing are left out,
 * so that saying a default names the same data as not saying it; all others are part of a frame's
 * identity.
 */
import { DataError } from '../errors.js';
import type { CsvOptions, DescribeOptions, ReadOptions } from '../ir/read-options.js';
import { closestText } from '../support/closest.js';

/** The options that change something; undefined when none does. */
export function givenOptions(options: DescribeOptions): ReadOptions | undefined {
  const csv = defined(options.csv ?? {});
  const given = {
    ...(Object.keys(csv).length > 0 ? { csv } : {}),
    ...(Object.keys(options.schema ?? {}).length > 0 ? { schema: options.schema } : {}),
    ...(options.partitions === false ? { partitions: false } : {}),
    ...(options.dropMissing !== undefined ? { dropMissing: options.dropMissing } : {}),
  } as ReadOptions;
  return Object.keys(given).length > 0 ? given : undefined;
}

/** Without fields that are undefined, false-y lists or the default. */
function defined(csv: CsvOptions): CsvOptions {
  const kept = Object.entries(csv).filter(
    ([key, value]) =>
      value !== undefined &&
      DEFAULTS[key] !== value &&
      !(Array.isArray(value) && value.length === 0),
  );
  return Object.fromEntries(kept) as CsvOptions;
}

const DEFAULTS: Readonly<Record<string, unknown>> = {
  quote: '"',
  escape: '"',
  header: true,
  skip: 0,
  decimal: '.',
  encoding: 'utf-8',
};

/** The options as text that is equal for equal options. */
export function optionsKey(options: ReadOptions | undefined): string {
  if (options === undefined) return '';
  return JSON.stringify(options, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

/** What to say of rows that were left out. */
export function droppedRows(dropped: number, rows: number, column: string | undefined): string[] {
  if (dropped === 0 || column === undefined) return [];
  return [`${dropped} of ${dropped + rows} rows have no ${column} and are left out`];
}

/** @throws DataError when the column whose values rows must have is not there */
export function requireTarget(name: string, names: readonly string[]): void {
  if (names.includes(name)) return;
  throw new DataError(
    `data.target: expected a column of the data, got "${name}"; ${closestText(name, names)}`,
    { column: name },
  );
}
