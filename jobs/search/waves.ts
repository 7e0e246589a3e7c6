/**
 * Waves: the candidates of a search in sets that train and are scored one after the other, each kept
 * when it is scored. Invariants: the division follows from the search alone, so a search that goes
 * on elsewhere trains the same models together, to the same bits; a wave is done or not done.
 */
import type { DenseMatrix, Run } from '../../driver/index.js';
import { sparseWork } from '../../driver/operators/product.js';
import { endingsOf } from './endings.js';
import { fitAll, weightsOf } from './fits.js';
import { type RawTrial, sliceTrial } from './nested.js';
import type { GridSearchOptions, Search, TrialsDone } from './prepare.js';
import type { FormulaEngine } from './scoring/formulas.js';
import { Notes } from './scoring/notes.js';
import type { Scorer } from './scoring/scorers.js';
import { scoreFits } from './scoring/scores.js';
import { splitCount, type TestScatter } from './splits/partition.js';
import { tabulate } from './table.js';
import { findBest } from './unscored.js';
import type { Wave } from './wave-log.js';
import { bestOf, journaled, keptMatrix, type WaveResult, type WaveTrial } from './wave-result.js';

/**
 * Cells that models of a wave multiply in one pass, at most: rows x columns x outputs of all models,
 * or those of sparse rows that take as long.
 * A product of so many takes seconds, so that a pass over the data more does not count.
 */
const MOST_CELLS = 4e10;

/** One wave where no candidate needs training; else one a stack, or several of a large one. */
export function divideIntoWaves({ estimator, candidates, X, classes, folds }: Search): Wave[] {
  const all = candidates.map((_, t) => t);
  if (estimator.reads !== 'rows') return [all];
  const { stacked, together } = estimator;
  const stacks = new Map<string, number[]>();
  for (const [t, { all: params }] of candidates.entries()) {
    const apart = Object.entries(params).filter(([name]) => !stacked.includes(name));
    const key = together === undefined ? JSON.stringify(apart) : '';
    stacks.set(key, [...(stacks.get(key) ?? []), t]);
  }
  return [...stacks.values()].flatMap((stack) => {
    const outputs = stack.map((t) => estimator.outputs(candidates[t]!.all, classes.length));
    const cells =
      Math.min(X.rows * X.cols, sparseWork(X.expr)) *
      folds *
      outputs.reduce((sum, own) => sum + own, 0);
    const waves = Math.min(stack.length, Math.ceil(cells / MOST_CELLS));
    return Array.from({ length: waves }, (_, w) =>
      stack.slice((w * stack.length) / waves, ((w + 1) * stack.length) / waves),
    );
  });
}

/** Waves that are done, by number. */
interface WavesDone {
  readonly waves: readonly Wave[];
  readonly results: ReadonlyMap<number, WaveResult>;
  /** Why there are no more. */
  readonly partial?: string;
}

/** Runs every wave that is not kept yet. @throws as `gridSearch`, while no wave is done */
export async function runWaves(
  run: Run,
  search: Search,
  options: GridSearchOptions,
  metric: string,
  scatter: WaveOptions['scatter'],
): Promise<WavesDone> {
  const { waves: log, errorScore = Number.NaN, maxFailures = Number.POSITIVE_INFINITY } = options;
  const divided = divideIntoWaves(search);
  const waves = log === undefined ? divided : await log.divide(divided, metric);
  const results = new Map<number, WaveResult>();
  for (const w of waves.keys()) {
    const known = log?.known(w);
    if (known !== undefined) results.set(w, known);
  }
  const tell = () => options.onTrials?.(doneSoFar(search, waves, results, metric));
  if (results.size > 0) tell();
  for (const [w, wave] of waves.entries()) {
    if (results.has(w)) continue;
    if (failures(results) > maxFailures) {
      const why = `${failures(results)} failed, of which ${maxFailures} may`;
      return { waves, results, partial: why };
    }
    const aside = log?.setAside(w);
    try {
      options.signal?.throwIfAborted();
      // Of models that trained together a store may have some, and others trained alone would differ
      // from what they were among these.
      const isFresh = aside === undefined && (await log?.begin(w)) === true;
      const result =
        aside !== undefined
          ? failedWave(search, wave, aside, errorScore)
          : await runWave(run, search, wave, {
              metric,
              errorScore,
              scatter,
              isFresh,
              keepsBest: options.reportClasses === true && search.classes.length > 0,
              onPhase: options.onPhase,
              formulas: options.formulas,
              onNode: (given, node, scores) => {
                const output = w === 0 ? given : `${given} of wave ${w + 1}`;
                const candidates = scores?.candidates.map((i) => wave[i]!) ?? [];
                options.onOutput?.(output, node, scores && { ...scores, output, candidates });
              },
            });
      await log?.end(w, result);
      results.set(w, result);
    } catch (error) {
      if (results.size === 0 || !canStop(options)) throw error;
      return { waves, results, partial: 'it was stopped' };
    }
    tell();
  }
  return { waves, results };
}

/** Whether what is thrown may be the end that was asked for. */
export function canStop({ signal }: GridSearchOptions): boolean {
  return signal?.aborted === true;
}

function failures(results: WavesDone['results']): number {
  return [...results.values()].reduce(
    (sum, { trials }) => sum + trials.filter(({ errors }) => errors !== undefined).length,
    0,
  );
}

function doneSoFar(
  { candidates, splits }: Search,
  waves: readonly Wave[],
  results: WavesDone['results'],
  metric: string,
): TrialsDone {
  return {
    done: [...results.keys()].reduce((sum, w) => sum + waves[w]!.length, 0),
    of: candidates.length,
    best: bestOf(waves, results, metric, splitCount(splits)),
  };
}

interface WaveOptions {
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

/** Trains and scores the candidates of a wave. @throws as `gridSearch` */
async function runWave(
  run: Run,
  whole: Search,
  wave: Wave,
  options: WaveOptions,
): Promise<WaveResult> {
  const search = { ...whole, candidates: wave.map((t) => whole.candidates[t]!) };
  const { candidates, scoring, folds, parts } = search;
  const ownFolds = splitCount(search.splits);
  const { metric, errorScore, scatter, onNode } = options;
  options.onPhase?.('fit');
  const fitted = await fitAll(run, search, errorScore === 'raise', options.isFresh);
  options.onPhase?.('score');
  const weights: Parameters<typeof scoreFits>[1]['weights'] = (part, some) =>
    weightsOf(run, search, part, fitted, some);
  const tallyOf = await scoreFits(run, {
    search,
    scatter,
    weights,
    ...(options.formulas ? { formulas: options.formulas } : {}),
    onNode,
  });
  const notes = new Notes();
  const raw = candidates.map(({ params }, t): RawTrial => {
    const failureOf = (f: number) => fitted.failures[t * folds + f];
    const all = Array.from({ length: folds }, (_, f) => f);
    const scoreOf = ({ name, score }: Scorer, f: number): number =>
      failureOf(f) === undefined
        ? notes.score(name, (note) => score({ ...tallyOf(f, t), note }))
        : failedScore(errorScore);
    const errors = all.flatMap((f) => (failureOf(f) ? [[f, failureOf(f)!.message] as const] : []));
    return {
      params,
      splitScores: Object.fromEntries(
        scoring.map((scorer) => [scorer.name, all.map((f) => scoreOf(scorer, f))]),
      ),
      errors: Object.fromEntries(errors),
    };
  });
  const trials = tabulate(raw.map((trial) => sliceTrial(trial, 0, ownFolds)), scoring.map(({ name }) => name)); // biome-ignore format: a call
  const best = options.keepsBest ? findBest({ trials, metric }) : null;
  const own = parts.slice(0, search.splits.length);
  const kept =
    best === null
      ? undefined
      : ((await run.evaluate(own.map((part) => weights(part, [best]).expr))) as DenseMatrix[]);
  return {
    trials: raw.map(({ params, splitScores, errors }, t): WaveTrial => {
      const fits = fitted.fits.slice(t * folds, (t + 1) * folds);
      const { ended, said } = endingsOf(fits, fitted.endings.slice(t * folds, (t + 1) * folds));
      return {
        params,
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
}

/** A wave that is not tried again: all its fits failed. */
export function failedWave(
  { candidates, scoring, folds, splits }: Search,
  wave: Wave,
  error: string,
  errorScore: number | 'raise',
): WaveResult {
  const all = Array.from({ length: folds }, (_, f) => f);
  const score = journaled(failedScore(errorScore));
  const scores = Object.fromEntries(scoring.map(({ name }) => [name, all.map(() => score)]));
  const errors = Object.fromEntries(all.map((f) => [f, error]));
  return {
    trials: wave.map((t) => ({ params: candidates[t]!.params, scores, errors })),
    classRows: Array.from({ length: splitCount(splits) }, () => []),
  };
}

function failedScore(errorScore: number | 'raise'): number {
  return errorScore === 'raise' ? Number.NaN : errorScore;
}
