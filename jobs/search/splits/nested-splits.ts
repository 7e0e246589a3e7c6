/**
 * Splits for nested cross-validation: inner rules over the training rows of each outer split, as if
 * there were no other rows.
 */
import { matrix, type Run, takeRows } from '../../../driver/index.js';
import type { Splits } from './partition.js';
import { makeSplits, orderedPartition, type SplitRows, type SplitRule } from './resolve.js';
import {
  amongRows,
  groupsOf,
  lengthOf,
  type OrderedSplit,
  orderedFolds,
  timeSeriesSplits,
} from './rules.js';

export interface NestedSplits {
  readonly outer: Splits;
  /** Of the training rows of each split of `outer`. */
  readonly inner: readonly Splits[];
}

/** The search's own partitions, then the inner and the outer ones. */
export function allPartitions(own: Splits, nested?: NestedSplits): Splits {
  const { inner = [], outer = [] } = nested ?? {};
  return [...own, ...inner.flat(), ...outer];
}

/** Splits for nested cross-validation, inner ones over the training rows of each outer one. */
export async function makeNested(
  run: Run,
  rules: { readonly outer: SplitRule; readonly inner: SplitRule },
  data: SplitRows,
  warn: (message: string) => void,
): Promise<NestedSplits> {
  const ordered = orderedNested(run, rules, data.rows);
  if (ordered !== undefined) return ordered;
  const outer = await makeSplits(run, rules.outer, data, warn);
  const among = outer.flatMap(({ groupOf, groups, splits }) =>
    splits.map(({ train }) => {
      const table = new Float64Array(groups);
      for (const group of train) table[group] = 1;
      return takeRows(groupOf, matrix(run, groups, 1, table));
    }),
  );
  const inner = among.map((rows) => makeSplits(run, rules.inner, data, () => undefined, rows));
  return { outer, inner: await Promise.all(inner) };
}

/** Where both rules cut the rows in order: all splits are over one set of runs, one partition's. */
function orderedNested(
  run: Run,
  rules: { readonly outer: SplitRule; readonly inner: SplitRule },
  rows: number,
): NestedSplits | undefined {
  const [outerOf, innerOf] = [orderedRule(rules.outer), orderedRule(rules.inner)];
  if (outerOf === undefined || innerOf === undefined) return undefined;
  const outer = outerOf(rows);
  const inner = outer.map(({ train }) => amongRows(innerOf(lengthOf(train)), train));
  const { groupOf, groups, splits } = orderedPartition(run, rows, groupsOf(rows, [outer, ...inner].flat())); // biome-ignore format: a call
  let from = 0;
  const taken = (some: readonly OrderedSplit[]): Splits => {
    const own = splits.slice(from, from + some.length);
    from += some.length;
    return [{ groupOf, groups, splits: own }];
  };
  return { outer: taken(outer), inner: inner.map(taken) };
}

function orderedRule(rule: SplitRule): ((rows: number) => OrderedSplit[]) | undefined {
  if (rule.type === 'time-series') return (rows) => timeSeriesSplits(rows, rule);
  if (rule.type !== 'kfold' || rule.shuffle) return undefined;
  return (rows) => orderedFolds(rows, rule.folds);
}
