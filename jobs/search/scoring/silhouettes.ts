/**
 * Silhouette coefficients of clusterings on the rows that a split tests, or on all rows. Distances
 * are between rows as models see them (imputed, standardised), as in a pipeline of scikit-learn's.
 * Invariant: no more rows are brought here than are compared.
 */
import { ConfigError, fill, groupSilhouette, type Matrix, rand } from '../../../driver/index.js';
import type { TestScatter } from '../splits/partition.js';
import type { HeldOut } from './held-out.js';
import { type MeasureNode, shapeOf } from './measures.js';
import type { Scorer, SilhouetteScoring } from './scorers.js';

/** Most rows of a set to compare each with each: 2.5e9 distances, some 20 s of one core. */
export const MOST_COMPARED = 50_000;

/**
 * @param held by kind of model, over the same rows of one partition
 * @returns a node that is read by split and model, kind by kind
 */
export function silhouetteNode(
  held: readonly HeldOut[],
  { sampleSize, seed = 0, rows: which = 'held-out' }: SilhouetteScoring,
): MeasureNode {
  const { splits, splitOf } = held[0]!;
  const { rows, session } = splitOf;
  const isAll = which === 'all';
  const sets = Array.from({ length: splits }, (_, s) => s);
  const draw = rand(session, rows, 1, { seed });
  /** The rows of one set that are compared, [its number, row, labels]; -1 for others. */
  const drawn = (split: number): Matrix => {
    const own = isAll ? held.map((one) => one.under(split)) : held;
    const isOwn = isAll ? fill(session, rows, 1, 1) : splitOf.eq(split);
    const key = isOwn.ifelse(draw, -1);
    const ranked = key.cbind(...columnsOf(own)).topK(sampleSize!, { descending: true });
    return ranked
      .slice(null, 1)
      .lt(0)
      .ifelse(-1, split)
      .cbind(ranked.slice(null, [2]));
  };
  const models = held.reduce((sum, one) => sum + one.models, 0);
  const compared = (g: Matrix, columns: Matrix): Matrix => {
    const d = columns.cols - models;
    return groupSilhouette(g, columns.slice(null, [0, d]), columns.slice(null, [d]), splits);
  };
  const parts = sampleSize === undefined ? [] : sets.map(drawn);
  const whole = (): Matrix => {
    if (!isAll) return compared(splitOf, bound(columnsOf(held)));
    const each = sets.map((split) => {
      const own = columnsOf(held.map((one) => one.under(split)));
      return compared(fill(session, rows, 1, split), bound(own)).slice(split);
    });
    return each[0]!.rbind(...each.slice(1));
  };
  const sampled = (): Matrix => {
    const all = parts[0]!.rbind(...parts.slice(1));
    return compared(all.slice(null, 0), all.slice(null, [1]));
  };
  return {
    name: 'silhouettes',
    node: sampleSize === undefined ? whole() : sampled(),
    shape: { ...shapeOf(held[0]!), models },
  };
}

/** Rows as models see them, then the clusters they are in. */
function columnsOf(held: readonly HeldOut[]): [Matrix, ...Matrix[]] {
  return [held[0]!.prepared, ...held.map(({ clusters }) => clusters)];
}

function bound([first, ...others]: readonly [Matrix, ...Matrix[]]): Matrix {
  return first.cbind(...others);
}

/** @throws ConfigError for sets of too many rows, before anything is fitted */
export function checkCompared(
  scoring: readonly Scorer[],
  scatter: readonly TestScatter[],
  rows: number,
): void {
  const asked = scoring.find(({ silhouette }) => silhouette !== undefined)?.silhouette;
  if (asked === undefined || asked.sampleSize !== undefined) return;
  const largest = asked.rows === 'all' ? rows : Math.max(...scatter.map(({ count }) => count));
  if (largest <= MOST_COMPARED) return;
  throw new ConfigError(
    `scoring: expected at most ${MOST_COMPARED} rows for silhouette, which compares each with every other, got ${largest}; say {name: silhouette, sample_size: 10000}`,
    { key: 'scoring', value: largest },
  );
}
