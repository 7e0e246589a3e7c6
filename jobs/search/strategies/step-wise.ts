/**
 * `step-wise`: features added one at a time, or taken away: each time the one that scores best.
 * Source: scikit-learn `SequentialFeatureSelector`, but that all features are tried too before some
 * are taken away.
 */
import * as z from 'zod';
import { ConfigError } from '../../../driver/index.js';
import { chosenStep } from '../../prepare/chosen-steps.js';
import type { Candidate } from '../candidates.js';
import { gridCandidates } from '../space.js';
import type { RungDone, SearchType } from './strategy.js';

const keys = {
  direction: z.enum(['forward', 'backward']).default('forward').meta({
    description:
      '`forward`: from no feature on, one more each time; `backward`: from all, one less. Default: forward.',
  }),
  n_features_to_select: z.int().min(1).max(10_000).optional().meta({
    description: 'Go on to so many features, whatever the score. Default: as `tol` says.',
  }),
  tol: z.number().default(0).meta({
    description:
      'Stop before a step that changes the score by less; below 0 to take features away for a little. Default: 0.',
  }),
};

interface Stepping {
  readonly all: readonly string[];
  readonly isForward: boolean;
  /** Candidates of each subset, but for the features. */
  readonly bases: readonly Candidate[];
  /** A step that changes the score by less is not taken. */
  readonly tol: number;
  /** Subsets of so many features are the last. */
  readonly last: number;
}

export const stepWise: SearchType = {
  type: 'step-wise',
  description: 'Features added or taken away one at a time, each time the one that scores best.',
  spaces: ['grid'],
  keys,
  isAdaptive: () => true,
  begin: (space, settings, { models, features: all }) => {
    const { direction, n_features_to_select: count, tol } = z.object(keys).parse(settings);
    const { candidates: bases, notes } = gridCandidates(space, models);
    if (count !== undefined && count > all.length) {
      throw new ConfigError(
        `search.n_features_to_select: expected at most the number of features (${all.length}), got ${count}`,
        { key: 'search.n_features_to_select', value: count },
      );
    }
    const isForward = direction === 'forward';
    const stepping: Stepping = {
      ...{ all, isForward, bases },
      tol: count === undefined ? tol : Number.NEGATIVE_INFINITY,
      last: count ?? (isForward ? all.length : 1),
    };
    return {
      outline: sizes(stepping).map((subsets) => ({ candidates: subsets * bases.length })),
      next: (done) => {
        const { subsets } = stepsOf(stepping, done);
        const candidates = subsets?.flatMap((own) => bases.map((base) => withFeatures(base, own)));
        return candidates && { candidates };
      },
      finals: (done) => [stepsOf(stepping, done).taken],
      notes: () => notes,
    };
  },
};

/** Subsets that each rung tries, at most. */
function sizes({ all, isForward, last }: Stepping): number[] {
  const d = all.length;
  if (isForward) return Array.from({ length: last }, (_, step) => d - step);
  return [1, ...Array.from({ length: d - last }, (_, step) => d - step)];
}

interface Steps {
  /** The last rung whose best was taken. */
  readonly taken: number;
  /** Subsets to try next; undefined at the end. */
  readonly subsets: readonly (readonly string[])[] | undefined;
}

function stepsOf(stepping: Stepping, done: readonly RungDone[]): Steps {
  const { isForward, all, tol, last } = stepping;
  let chosen: readonly string[] | undefined;
  let before = Number.NEGATIVE_INFINITY;
  for (const [rung, { candidates, scores }] of done.entries()) {
    const best = bestPlace(scores);
    if (best === undefined || scores[best]! - before < tol) {
      return { taken: Math.max(0, rung - 1), subsets: undefined };
    }
    before = scores[best]!;
    chosen = featuresOf(candidates[best]!);
    if (chosen.length === last) return { taken: rung, subsets: undefined };
  }
  const isFirst = chosen === undefined && !isForward;
  const subsets = isFirst ? [all] : neighbours(stepping, chosen ?? []);
  return { taken: Math.max(0, done.length - 1), subsets };
}

/** Subsets of one feature more, or less, in the order of the features. */
function neighbours(
  { all, isForward }: Stepping,
  chosen: readonly string[],
): (readonly string[])[] {
  const own = new Set(chosen);
  return all
    .filter((name) => own.has(name) !== isForward)
    .map((name) => all.filter((one) => (one === name ? isForward : own.has(one))));
}

/** The first of the greatest; undefined where none has a score. */
function bestPlace(scores: readonly number[]): number | undefined {
  let best: number | undefined;
  for (const [place, score] of scores.entries()) {
    if (score > (best === undefined ? Number.NEGATIVE_INFINITY : scores[best]!)) best = place;
  }
  return best;
}

/** The candidate on some of the features. */
function withFeatures(base: Candidate, features: readonly string[]): Candidate {
  const select = chosenStep({ step: 'select', method: 'names', columns: features });
  return {
    ...base,
    params: { features: features.join(', '), ...base.params },
    steps: [...base.steps, select],
  };
}

/** Those of `withFeatures`. */
function featuresOf({ steps }: Candidate): readonly string[] {
  return steps.at(-1)!.params.columns as readonly string[];
}
