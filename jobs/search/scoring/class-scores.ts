/**
 * Scores from counts by class. With rows_c the rows of class c, calls_c those predicted to be of c
 * and hits_c those that are both: precision hits / calls, recall hits / rows, f1 2 hits / (rows +
 * calls), each 0 where nothing is divided by. Source: scikit-learn `precision_recall_fscore_support`,
 * `matthews_corrcoef`, `roc_auc_score`.
 */
import type { Tally } from './tally.js';

export type Average = 'binary' | 'macro' | 'micro' | 'weighted';
type Kind = 'precision' | 'recall' | 'f1';

export function byClass(tally: Tally, kind: Kind, average: Average): number {
  const { classRows, hits, calls, count } = tally;
  if (average === 'micro') return sumOf(hits) / count;
  const all = classRows.map((_, c) => c);
  // A class that is neither there nor predicted is none of the fold's.
  const present = all.filter((c) => classRows[c]! + calls[c]! > 0);
  const own = average === 'binary' ? [1] : present;
  const scores = own.map((c) => {
    const of = { precision: calls[c]!, recall: classRows[c]!, f1: classRows[c]! + calls[c]! }[kind];
    if (of === 0) tally.note(NOTES[kind]);
    return of === 0 ? 0 : ((kind === 'f1' ? 2 : 1) * hits[c]!) / of;
  });
  if (average !== 'weighted') return sumOf(scores) / own.length;
  return sumOf(scores.map((score, i) => score * classRows[own[i]!]!)) / count;
}

const NOTES: Readonly<Record<Kind, string>> = {
  precision: '0 for a class that is never predicted',
  recall: '0 for a class that has no row in the test fold',
  f1: '0 for a class that is neither in the test fold nor predicted',
};

/** Matthews' coefficient: the correlation of class and prediction; 0 where one of them is constant. */
export function correlation({ classRows, hits, calls, count }: Tally): number {
  const dot = (a: readonly number[], b: readonly number[]): number =>
    sumOf(a.map((value, i) => value * b[i]!));
  const ofCalls = count ** 2 - dot(calls, calls);
  const ofRows = count ** 2 - dot(classRows, classRows);
  if (ofCalls * ofRows === 0) return 0;
  return (sumOf(hits) * count - dot(classRows, calls)) / Math.sqrt(ofCalls * ofRows);
}

type From = 'ranks' | 'probabilityRanks';

/** Areas of each class against all others; of two classes that of the greater. */
export function restArea(tally: Tally, from: From, isWeighted: boolean): number {
  const { classRows, count, [from]: ranks } = tally;
  if (classRows.includes(0)) return Number.NaN;
  const all = classRows.map((_, c) => c);
  const own = classRows.length === 2 ? [1] : all;
  const areas = own.map((c) => {
    const pairs = sumOf(all.filter((o) => o !== c).map((o) => ranks(c, o)));
    return pairs / (classRows[c]! * (count - classRows[c]!));
  });
  if (!isWeighted || own.length === 1) return sumOf(areas) / own.length;
  return sumOf(areas.map((area, c) => area * classRows[c]!)) / count;
}

/** Areas of each pair of classes, the mean of both ways to take one for positive (Hand, Till 2001). */
export function pairwiseArea(tally: Tally, from: From, isWeighted: boolean): number {
  const { classRows, [from]: ranks } = tally;
  if (classRows.length === 2 || classRows.includes(0)) return restArea(tally, from, isWeighted);
  let [sum, weights] = [0, 0];
  for (let a = 0; a < classRows.length; a++) {
    for (let b = a + 1; b < classRows.length; b++) {
      const pairs = classRows[a]! * classRows[b]!;
      const weight = isWeighted ? classRows[a]! + classRows[b]! : 1;
      sum += (weight * (ranks(a, b) + ranks(b, a))) / (2 * pairs);
      weights += weight;
    }
  }
  return sum / weights;
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
