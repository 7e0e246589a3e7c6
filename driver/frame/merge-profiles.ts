/**
 * The profile of an expression over many files from its profiles over each. Counts, ranges and
 * complete vocabularies merge exactly; so do quantiles, from the counts of distinct values.
 * Invariant: what is returned equals the profile of all files at once; where that can't be had from
 * the parts, nothing is returned.
 */

import type { ColumnProfile, ProfileRequest } from '../ir/frame-engine.js';
import { sqlText } from '../operators/encode-block.js';

/** Distinct values of one file kept with counts; with more, the files are profiled together. */
export const FILE_VALUES = 20_000;

export type ValueCount = ColumnProfile['top'][number];

/** Whether a profile lists every distinct value. */
export function isComplete(profile: ColumnProfile): boolean {
  return profile.top.length === profile.distinct;
}

/** The profile over all files with `top` values; undefined for cut vocabularies, unequal types. */
export function mergeProfiles(
  profiles: readonly ColumnProfile[],
  top: number,
): ColumnProfile | undefined {
  const [first] = profiles;
  if (first === undefined || profiles.some((profile) => profile.type !== first.type)) return;
  const values = top > 0 ? mergeCounts(profiles) : [];
  if (values === undefined) return undefined;
  const total = (read: (profile: ColumnProfile) => number): number =>
    profiles.reduce((sum, profile) => sum + read(profile), 0);
  const known = (read: (profile: ColumnProfile) => number | null): number[] =>
    profiles.map(read).filter((value) => value !== null);
  const mins = known((profile) => profile.min);
  const maxs = known((profile) => profile.max);
  return {
    type: first.type,
    rows: total((profile) => profile.rows),
    missing: total((profile) => profile.missing),
    infinite: total((profile) => profile.infinite),
    min: mins.length > 0 ? mins.reduce((a, b) => Math.min(a, b)) : null,
    max: maxs.length > 0 ? maxs.reduce((a, b) => Math.max(a, b)) : null,
    top: values.slice(0, top),
    distinct: values.length,
    quantiles: [],
    ...(profiles.some((profile) => profile.fromStatistics) ? { fromStatistics: true } : {}),
  };
}

/** All values with counts, most frequent first, ties by bytes; undefined when a list is cut. */
function mergeCounts(profiles: readonly ColumnProfile[]): ValueCount[] | undefined {
  const counts = new Map<string, number>();
  for (const profile of profiles) {
    if (!isComplete(profile)) return undefined;
    for (const { value, count } of profile.top) counts.set(value, (counts.get(value) ?? 0) + count);
  }
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => b.count - a.count || byBytes(a.value, b.value));
}

const SURROGATE = /[\ud800-\udfff]/;

/** Order of UTF-8 bytes, as both engines sort text. JavaScript's differs only with surrogates. */
function byBytes(a: string, b: string): number {
  if (SURROGATE.test(a) || SURROGATE.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Expression whose distinct values merge to quantiles: exactly the float64 they are taken of. */
export function quantileValues(request: ProfileRequest): ProfileRequest {
  const text = sqlText({ ...request, sql: `CAST((${request.sql}\n) AS DOUBLE)` });
  return { ...text, top: FILE_VALUES, quantiles: [] };
}

/**
 * Quantiles of the finite values, interpolated as the engines do it.
 * @param profiles of `quantileValues`, one a file; undefined is returned when a file lists not all
 *   its values
 */
export function mergeQuantiles(
  profiles: readonly ColumnProfile[],
  probabilities: readonly number[],
): number[] | undefined {
  const counts = mergeCounts(profiles);
  if (counts === undefined) return undefined;
  const values = counts
    .map(({ value, count }) => ({ value: Number(value), count }))
    .filter(({ value }) => Number.isFinite(value))
    .sort((a, b) => a.value - b.value);
  const total = values.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return [];
  let at = 0;
  let before = 0;
  const valueAt = (position: number): number => {
    while (before + values[at]!.count <= position) before += values[at++]!.count;
    return values[at]!.value + 0;
  };
  // Probabilities ascend in every request, so the walk never turns back by more than the ceiling it
  // looked at.
  return probabilities.map((probability) => {
    const position = probability * (total - 1);
    const low = valueAt(Math.floor(position));
    const [rowsBefore, place] = [before, at];
    const high = valueAt(Math.ceil(position));
    [before, at] = [rowsBefore, place];
    return low + (high - low) * (position - Math.floor(position));
  });
}
