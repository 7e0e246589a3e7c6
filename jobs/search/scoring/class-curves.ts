/**
 * How the best candidate tells classes apart on held-out rows: who is taken for whom, and ROC,
 * precision-recall and calibration curves, thinned to a grid. Rows of all folds count together, each
 * under the model of its own fold, and once for each repeat or drawn split that tests it. It takes
 * one more pass, and the scores of the rows in memory: of repeats as many as fit, of very large data
 * none, which is said.
 */
import {
  type ClassValue,
  DataError,
  type DenseMatrix,
  type Expr,
  type Json,
  lineageKey,
  type Matrix,
  type Run,
} from '../../../driver/index.js';
import { inputsUnchanged } from '../../../driver/reuse/durable-tier.js';
import type { HeldOut } from './held-out.js';

export interface ClassReport {
  readonly classes: readonly ClassValue[];
  /** Partitions of the rows that were tested, where there are several, and those counted here. */
  readonly partitions?: { readonly all: number; readonly counted: number };
  /** Rows by class (row) and prediction (column). */
  readonly confusion: readonly (readonly number[])[];
  /** Of two classes the greater; of more, those with the most rows. */
  readonly curves: readonly ClassCurves[];
}

export interface ClassCurves {
  readonly class: ClassValue;
  /** Share of the class's rows found, at each share of other rows taken for it: 0, 1/100, .., 1. */
  readonly roc: readonly number[];
  /** Best precision with at least this share of the class's rows found: 0, 1/100, .., 1. */
  readonly precision: readonly number[];
  /** By tenths of predicted probability; absent without probabilities. */
  readonly calibration?: readonly CalibrationBin[];
}

export interface CalibrationBin {
  readonly predicted: number;
  readonly observed: number;
  readonly rows: number;
}

const STEPS = 100;
const BINS = 10;
const MOST_CURVES = 8;
const MOST_CELLS = 2e7;

/** Predictions of one candidate for tested rows. */
interface Tested {
  readonly classes: readonly number[];
  readonly winners: readonly number[];
  /** By row, `width` each. */
  readonly values: readonly number[];
}

/**
 * @param held of one model, by partition
 * @param isFailed whether the fit of a split failed: the rows it tests have no predictions
 * @returns the report, or why there is none
 */
export async function classReport(
  run: Run,
  held: readonly HeldOut[],
  classes: readonly ClassValue[],
  isFailed: (partition: number, split: number) => boolean,
): Promise<ClassReport | string> {
  const [first] = held;
  const hasProbabilities = first!.kind.link !== 'margin';
  const scoresOf = (one: HeldOut): Matrix => (hasProbabilities ? one.probabilities : one.scores);
  const { rows, cols: width } = scoresOf(first!);
  const cells = rows * (width + 3);
  const counted = Math.min(held.length, Math.floor(MOST_CELLS / cells));
  if (counted === 0) {
    return `the report has no confusion matrix and no curves: expected at most ${MOST_CELLS} numbers of held-out rows to hold for them, got ${cells}`;
  }
  const some = held.slice(0, counted);
  const asked = some
    .flatMap((one) => [one.splitOf, one.y, one.winner, scoresOf(one)])
    .map(({ expr }) => expr);
  const failed = some.map(({ splits }, p) =>
    Array.from({ length: splits }, (_, split) => isFailed(p, split)),
  );
  const facts = [classes, failed, held.length, hasProbabilities];
  const compute = async () => {
    const rowsOf = await testedRows(run, asked, failed, width);
    return {
      classes,
      ...(held.length > 1 ? { partitions: { all: held.length, counted } } : {}),
      ...curvesByClass(rowsOf, classes, { width, hasProbabilities }),
    } as unknown as Json;
  };
  const key = ['class report 1', JSON.stringify(facts), ...asked.map(lineageKey)].join('\n');
  const report = await run.memo(key, compute, async () => {
    if (!(await inputsUnchanged(asked))) throw new DataError('data: changed while it was read', {});
  });
  return report as unknown as ClassReport;
}

/** @param asked splits, classes, winners and scores of each partition */
async function testedRows(
  run: Run,
  asked: readonly Expr[],
  failed: readonly (readonly boolean[])[],
  width: number,
): Promise<Tested> {
  const found = (await run.evaluate(asked, 'score')) as DenseMatrix[];
  const tested = { classes: [], winners: [], values: [] } as { [K in keyof Tested]: number[] };
  for (const [p, isFailed] of failed.entries()) {
    const [split, y, winner, values] = found.slice(4 * p, 4 * p + 4);
    for (let i = 0; i < split!.rows; i++) {
      // Rows that no split tests have other numbers.
      if (isFailed[split!.data[i]!] !== false) continue;
      tested.classes.push(y!.data[i]!);
      tested.winners.push(winner!.data[i]!);
      for (let k = 0; k < width; k++) tested.values.push(values!.data[i * width + k]!);
    }
  }
  return tested;
}

function curvesByClass(
  tested: Tested,
  classes: readonly ClassValue[],
  { width, hasProbabilities }: { readonly width: number; readonly hasProbabilities: boolean },
): Pick<ClassReport, 'confusion' | 'curves'> {
  const confusion = classes.map(() => new Array<number>(classes.length).fill(0));
  for (const [i, own] of tested.classes.entries()) confusion[own]![tested.winners[i]!]!++;
  const shown = width === 1 ? [1] : mostFrequent(confusion);
  const curves = shown.map((c): ClassCurves => {
    const at = width === 1 ? 0 : c;
    const of = tested.classes.map((_, i) => tested.values[i * width + at]!);
    const isOwn = tested.classes.map((own) => own === c);
    const calibration = hasProbabilities ? { calibration: calibrated(of, isOwn) } : {};
    return { class: classes[c]!, ...curvesOf(of, isOwn), ...calibration };
  });
  return { confusion, curves };
}

function mostFrequent(confusion: readonly (readonly number[])[]): number[] {
  const rowsOf = (c: number): number => confusion[c]!.reduce((a, b) => a + b, 0);
  return confusion
    .map((_, c) => c)
    .sort((a, b) => rowsOf(b) - rowsOf(a) || a - b)
    .slice(0, MOST_CURVES)
    .sort((a, b) => a - b);
}

/** Both curves from thresholds in descending order, those of equal scores at once. */
function curvesOf(scores: readonly number[], isOwn: readonly boolean[]) {
  const order = Uint32Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]!);
  const own = isOwn.reduce((sum, is) => sum + +is, 0);
  const others = scores.length - own;
  const roc = new Array<number>(STEPS + 1).fill(0);
  const precision = new Array<number>(STEPS + 1).fill(0);
  let [found, wrong, lastFound, lastWrong] = [0, 0, 0, 0];
  for (let k = 0; k < order.length; k++) {
    if (isOwn[order[k]!]) found++;
    else wrong++;
    if (k + 1 < order.length && scores[order[k + 1]!] === scores[order[k]!]) continue;
    // Between two thresholds the ROC curve is a line.
    for (let s = firstStep(lastWrong, others); s <= STEPS && s * others <= wrong * STEPS; s++) {
      const part = (s * others) / STEPS - lastWrong;
      const rise = wrong > lastWrong ? ((found - lastFound) * part) / (wrong - lastWrong) : 0;
      roc[s] = Math.max(roc[s]!, wrong > lastWrong ? lastFound + rise : found);
    }
    const last = Math.floor((found * STEPS) / Math.max(1, own));
    precision[last] = Math.max(precision[last]!, found / (found + wrong));
    [lastFound, lastWrong] = [found, wrong];
  }
  for (let s = STEPS - 1; s >= 0; s--) precision[s] = Math.max(precision[s]!, precision[s + 1]!);
  return {
    roc: roc.map((rows) => rounded(rows / Math.max(1, own))),
    precision: precision.map(rounded),
  };
}

function firstStep(wrong: number, others: number): number {
  return others === 0 ? 0 : Math.ceil((wrong * STEPS) / others);
}

function calibrated(scores: readonly number[], isOwn: readonly boolean[]): CalibrationBin[] {
  const bins = Array.from({ length: BINS }, () => ({ sum: 0, own: 0, rows: 0 }));
  for (const [i, score] of scores.entries()) {
    const bin = bins[Math.min(BINS - 1, Math.floor(score * BINS))]!;
    bin.sum += score;
    bin.own += +isOwn[i]!;
    bin.rows++;
  }
  return bins.flatMap(({ sum, own, rows }) =>
    rows === 0 ? [] : [{ predicted: rounded(sum / rows), observed: rounded(own / rows), rows }],
  );
}

/** Curves are for the eye. */
function rounded(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}
