/**
 * Statistics of feature expressions for each file by itself, all files in one scan: what
 * `profile.ts` answers for all rows, grouped by file. Vocabularies are complete or empty, so that
 * those of several files can be merged exactly.
 */

import { DataError } from '../../../driver/errors.js';
import type {
  ColumnProfile,
  FrameSource,
  ProfileRequest,
} from '../../../driver/ir/frame-engine.js';
import { inGroups } from './column-groups.js';
import type { ProfileContext } from './expression-types.js';
import {
  aggregateItems,
  askedOf,
  completed,
  countsOf,
  groupKey,
  isDoubtful,
  otherRows,
  type ProfileScan,
  runScan,
  scanOf,
  type TypedRequest,
  type ValueCounts,
} from './profile.js';
import { numberedRelation, type SourceLayout } from './scan.js';
import { textOf } from './types.js';

/** A scan with a further column, `file`, that holds the position of a row's file. */
interface FileScan extends ProfileScan {
  readonly file: string;
}

/** A name that no column of the frame has, quoted. */
function fileColumn({ columns }: SourceLayout): string {
  const taken = new Set(columns.map(({ name }) => name.toLowerCase()));
  let name = 'file';
  while (taken.has(name)) name += '_';
  return `"${name}"`;
}

type Listing = Pick<ColumnProfile, 'top' | 'distinct'>;

/** See `FrameEngine.profileFiles`. */
export async function profileEachFile(
  context: ProfileContext,
  source: FrameSource,
  requests: readonly ProfileRequest[],
): Promise<ColumnProfile[][]> {
  if (requests.length === 0) return source.files.map(() => []);
  const layout = await context.layouts.source(source);
  const asked = await askedOf(context, source, requests);
  const file = fileColumn(layout);
  const scan = { ...scanOf(context, source, numberedRelation(layout, file)), file };
  const rows = source.files.map((file) => file.rows);
  const counts = await countsByFile(scan, asked, rows);
  const listed = asked.filter((request) => request.top > 0);
  const listings =
    layout.files[0]?.scan === 'read_parquet'
      ? await inStatements(scan, listed, rows.length)
      : await listingsByFile(scan, listed, rows.length);
  const placeOf = new Map(listed.map((request, i) => [request, i]));
  return rows.map((count, file) =>
    asked.map((request, i) => {
      const listing = listings[placeOf.get(request) ?? -1]?.[file] ?? {};
      return completed(request, { ...counts[file]![i]!, ...listing }, count);
    }),
  );
}

/** `[file][request]`; columns with NaN or infinities are scanned again, as in `profile.ts`. */
async function countsByFile(
  scan: FileScan,
  asked: readonly TypedRequest[],
  rows: readonly number[],
): Promise<ValueCounts[][]> {
  const aggregate = async (
    some: readonly TypedRequest[],
    filtered: boolean,
  ): Promise<ValueCounts[][]> => {
    const groups = await inGroups(some, scan, async (group) => [
      await aggregateByFile(scan, group, rows, filtered),
    ]);
    return rows.map((_, file) => groups.flatMap((group) => group[file]!));
  };
  const plain = await aggregate(asked, false);
  const doubtful = asked.filter((_, i) => plain.some((file) => isDoubtful(file[i]!)));
  const filtered = await aggregate(doubtful, true);
  const placeOf = new Map(doubtful.map((request, i) => [request, i]));
  return plain.map((file, f) =>
    file.map((counts, i) => filtered[f]?.[placeOf.get(asked[i]!) ?? -1] ?? counts),
  );
}

async function aggregateByFile(
  scan: FileScan,
  asked: readonly TypedRequest[],
  rows: readonly number[],
  filtered: boolean,
): Promise<ValueCounts[][]> {
  if (asked.length === 0) return [];
  const { inner, outer } = aggregateItems(asked, filtered);
  const found = await runScan(
    scan,
    `SELECT ${scan.file}, count(*), ${outer.join(', ')}
     FROM (SELECT ${scan.file}, ${inner.join(', ')} FROM ${scan.from}) GROUP BY ${scan.file}`,
    asked,
  ).catch(async (cause) => {
    // One expression's values broke the statement for all; alone, it says so itself.
    if (cause instanceof DataError && asked.length > 1) {
      for (const request of asked) await aggregateByFile(scan, [request], rows, filtered);
    }
    throw cause;
  });
  const byFile = new Map(found.map((row) => [Number(row[0]), row.slice(1)]));
  return rows.map((expected, file) => {
    const row = byFile.get(file);
    const got = Number(row?.[0] ?? 0);
    if (got !== expected) throw otherRows(expected, got);
    if (row !== undefined) return countsOf(asked, row, got);
    return asked.map(() => ({ missing: 0, infinite: 0, min: null, max: null }));
  });
}

/**
 * Most cells grouped in one statement over a columnar format: a statement has a price of its own,
 * which for small files is most of the work, while the groups of many rows in many columns would
 * not fit in memory side by side.
 */
const STATEMENT_CELLS = 8_000_000;

/** `[request][file]`: columnar formats read only the columns a statement groups by. */
async function inStatements(
  scan: FileScan,
  asked: readonly TypedRequest[],
  files: number,
): Promise<Listing[][]> {
  const most = Math.max(1, Math.floor(STATEMENT_CELLS / Math.max(1, scan.rows)));
  const out: Listing[][] = [];
  for (let from = 0; from < asked.length; from += most) {
    out.push(...(await listingsByFile(scan, asked.slice(from, from + most), files)));
  }
  return out;
}

/** `[request][file]` in one statement: for text formats every scan parses everything. */
async function listingsByFile(
  scan: FileScan,
  asked: readonly TypedRequest[],
  files: number,
): Promise<Listing[][]> {
  if (asked.length === 0) return [];
  const keys = asked.map((_, i) => `k${i}`);
  const inner = asked.map((request, i) => `${groupKey(request)} AS k${i}`).join(', ');
  const sets = keys.map((key) => `(${scan.file}, ${key})`).join(', ');
  // GROUPING() of one key is 0 in its own set alone.
  const which =
    keys.length === 1
      ? '0'
      : `CASE ${keys.map((key, i) => `WHEN grouping(${key}) = 0 THEN ${i}`).join(' ')} END`;
  const perRequest = (item: (request: TypedRequest, i: number) => string): string =>
    asked.length === 1
      ? item(asked[0]!, 0)
      : `CASE w ${asked.map((request, i) => `WHEN ${i} THEN ${item(request, i)}`).join(' ')} END`;
  const rows = await runScan(
    scan,
    `WITH groups AS MATERIALIZED (SELECT ${scan.file} AS f, ${keys.join(', ')}, ${which} AS w, count(*) AS n
       FROM (SELECT ${scan.file}, ${inner} FROM ${scan.from}) GROUP BY GROUPING SETS (${sets})),
     named AS (SELECT f, w, n, ${perRequest((request, i) => textOf(`k${i}`, request.engineType))} AS v FROM groups),
     present AS (SELECT * FROM named WHERE v IS NOT NULL),
     kinds AS (SELECT f, w, count(*) AS kinds FROM present GROUP BY f, w)
     SELECT kinds.w, kinds.f, kinds.kinds, v, n FROM kinds LEFT JOIN present
       ON kinds.f = present.f AND kinds.w = present.w AND kinds.kinds <= ${perRequest((request) => String(request.top)).replaceAll('CASE w', 'CASE kinds.w')}
     ORDER BY kinds.w, kinds.f, n DESC, v`,
    asked,
  );
  const out = asked.map(() =>
    Array.from({ length: files }, () => ({ top: [] as Listing['top'][number][], distinct: 0 })),
  );
  for (const [which, file, kinds, value, count] of rows) {
    const listing = out[Number(which)]![Number(file)]!;
    listing.distinct = Number(kinds);
    if (value !== null) listing.top.push({ value: String(value), count: Number(count) });
  }
  return out;
}
