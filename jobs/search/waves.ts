/**
 * Waves: the trials of a group in sets that train and are scored together. Invariant: the division
 * follows from the group alone, so a search that goes on elsewhere trains the same models together,
 * to the same bits.
 */
import type { DenseMatrix, Run } from '../../driver/index.js';
import { sparseWork } from '../../driver/operators/product.js';
import { endingsOf } from './endings.js';
import { fitAll, type SearchFits, weightsOf } from './fits.js';
import { calledBy, ownParts, type SearchGroup } from './groups.js';
import { type RawTrial, sliceTrial } from './nested.js';
import type { FormulaEngine } from './scoring/formulas.js';
import { Notes } from './scoring/notes.js';
import type { Scorer } from './scoring/scorers.js';
import { scoreFits } from './scoring/scores.js';
import { splitCount, type TestScatter } from './splits/partition.js';
import { tabulate } from './table.js';
import { findBest } from './unscored.js';
import type { Wave } from './wave-log.js';
import { journaled, keptMatrix, type WaveResult, type WaveTrial } from './wave-result.js';

/**
 * Cells that models of a wave multiply in one pass, at most: rows x columns x outputs of all models,
 * or those of sparse rows that take as long.
 * A product of so many takes seconds, so that a pass over the data more does not count.
 */
const MOST_CELLS = 4e10;

/**
 * One wave where no candidate needs training; else one a stack, or several of a large one. One a
 * trial where trials are by themselves.
 */
export function divideIntoWaves(group: SearchGroup): Wave[] {
  const { estimator, candidates, trials, X, classes, folds, together: areTogether } = group;
  if (!areTogether) return trials.map((trial) => [trial]);
  if (estimator.reads !== 'rows') return [trials];
  const { stacked, together } = estimator;
  const stacks = new Map<string, number[]>();
  for (const [t, { all: params }] of candidates.entries()) {
    const apart = Object.entries(params).filter(([name]) => !stacked.includes(name));
    const key = together === undefined ? JSON.stringify(apart) : '';
    const known = stacks.get(key);
    if (known === undefined) stacks.set(key, [t]);
    else known.push(t);
  }
  return [...stacks.values()].flatMap((stack) => {
    const outputs = stack.map((t) => estimator.outputs(candidates[t]!.all, classes.length, X.cols));
    const cells =
      Math.min(X.rows * X.cols, sparseWork(X.expr)) *
      folds *
      outputs.reduce((sum, own) => sum + own, 0);
    const waves = Math.min(stack.length, Math.ceil(cells / MOST_CELLS));
    return Array.from({ length: waves }, (_, w) =>
      stack
        .slice((w * stack.length) / waves, ((w + 1) * stack.length) / waves)
        .map((t) => trials[t]!),
    );
  });
}

export interface WaveOptions {
  readonly metric: string;
  readonly errorScore: number | 'raise';
  /** By partition and split. */
  readonly scatter: readonly (readonly TestScatter[])[];
  /** Whether models are trained though a store has them. */
  readonly isFresh: boolean;
  /** Whether the weights of the best are needed. */
  readonly keepsBest: boolean;
  readonly formulas: FormulaEngine | undefined;
  readonly onPhase: ((phase: 'fit' | 'score') => void) | undefined;
  readonly onNode: Parameters<typeof scoreFits>[1]['onNode'];
}

/** A wave that is scored, and what was fitted. */
export interface WaveRun {
  readonly result: WaveResult;
  readonly fitted: SearchFits;
}

/** Trains and scores the trials of a wave. @throws as `runSearch` */
export async function runWave(
  run: Run,
  group: SearchGroup,
  options: WaveOptions,
): Promise<WaveRun> {
  const { candidates, scoring, folds } = group;
  const ownFolds = splitCount(group.splits);
  const { metric, errorScore, scatter, onNode } = options;
  options.onPhase?.('fit');
  const fitted = await fitAll(run, group, errorScore === 'raise', options.isFresh);
  options.onPhase?.('score');
  const weights: Parameters<typeof scoreFits>[1]['weights'] = (part, some) =>
    weightsOf(run, group, part, fitted, some);
  const tallyOf = await scoreFits(run, {
    group,
    scatter,
    weights,
    ...(options.formulas ? { formulas: options.formulas } : {}),
    onNode,
  });
  const notes = new Notes();
  const raw = candidates.map((candidate, t): RawTrial => {
    const failureOf = (f: number) => fitted.failures[t * folds + f];
    const all = Array.from({ length: folds }, (_, f) => f);
    const scoreOf = ({ name, score }: Scorer, f: number): number =>
      failureOf(f) === undefined
        ? notes.score(name, (note) => score({ ...tallyOf(f, t), note }))
        : failedScore(errorScore);
    const errors = all.flatMap((f) => (failureOf(f) ? [[f, failureOf(f)!.message] as const] : []));
    return {
      ...calledBy(group, candidate),
      splitScores: Object.fromEntries(
        scoring.map((scorer) => [scorer.name, all.map((f) => scoreOf(scorer, f))]),
      ),
      errors: Object.fromEntries(errors),
    };
  });
  const trials = tabulate(raw.map((trial) => sliceTrial(trial, 0, ownFolds)), scoring.map(({ name }) => name)); // biome-ignore format: a call
  const best = options.keepsBest ? findBest({ trials, metric }) : null;
  const own = ownParts(group);
  const kept =
    best === null
      ? undefined
      : ((await run.evaluate(own.map((part) => weights(part, [best]).expr))) as DenseMatrix[]);
  const result: WaveResult = {
    trials: raw.map(({ splitScores, errors, ...candidate }, t): WaveTrial => {
      const fits = fitted.fits.slice(t * folds, (t + 1) * folds);
      const endings = fitted.endings.slice(t * folds, (t + 1) * folds);
      const { ended, said } = endingsOf(fits, endings, group.rung);
      return {
        ...candidate,
        scores: Object.fromEntries(
          Object.entries(splitScores).map(([name, scores]) => [name, scores.map(journaled)]),
        ),
        ...(Object.keys(errors!).length > 0 ? { errors: errors! } : {}),
        ...(ended > 0 ? { ended } : {}),
        ...(Object.keys(said).length > 0 ? { said } : {}),
      };
    }),
    classRows: Array.from({ length: ownFolds }, (_, f) => tallyOf(f, 0).classRows),
    ...(notes.counts.size > 0 ? { notes: Object.fromEntries(notes.counts) } : {}),
    ...(kept === undefined ? {} : { weights: kept.map(keptMatrix) }),
  };
  return { result, fitted };
}

/** A wave that is not tried again: all its fits failed. */
export function failedWave(
  group: SearchGroup,
  error: string,
  errorScore: number | 'raise',
): WaveResult {
  const { candidates, scoring, folds, splits } = group;
  const all = Array.from({ length: folds }, (_, f) => f);
  const score = journaled(failedScore(errorScore));
  const scores = Object.fromEntries(scoring.map(({ name }) => [name, all.map(() => score)]));
  const errors = Object.fromEntries(all.map((f) => [f, error]));
  return {
    trials: candidates.map((candidate) => ({ ...calledBy(group, candidate), scores, errors })),
    classRows: Array.from({ length: splitCount(splits) }, () => []),
  };
}

function failedScore(errorScore: number | 'raise'): number {
  return errorScore === 'raise' ? Number.NaN : errorScore;
}
