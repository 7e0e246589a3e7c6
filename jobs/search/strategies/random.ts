/**
 * `random`: candidates drawn from lists and distributions, until trials without an improvement are
 * too many. Source: scikit-learn `RandomizedSearchCV`.
 */
import * as z from 'zod';
import type { Candidate } from '../candidates.js';
import { drawnCandidates } from '../space.js';
import { oneRung, type RungDone, type SearchType, type Strategy } from './strategy.js';

/** Keys of every type that draws candidates. */
export const drawingKeys = {
  trials: z.int().min(1).max(100_000).default(10).meta({
    description: 'How many candidates to draw. Default: 10.',
  }),
  seed: z.int().min(0).max(Number.MAX_SAFE_INTEGER).default(0).meta({
    description: 'Seed of the draws: more trials with it are the same ones and others. Default: 0.',
  }),
};

const keys = {
  ...drawingKeys,
  stop_after: z.int().min(1).max(100_000).optional().meta({
    description:
      'Try so many candidates at a time, and stop when they have not improved the best score. Default: try all at once.',
  }),
  min_improvement: z.number().min(0).default(0).meta({
    description: 'What the best score has to grow by to count as improved. Default: 0.',
  }),
};

export const random: SearchType = {
  type: 'random',
  description: 'Candidates drawn from `distributions`.',
  spaces: ['distributions'],
  keys,
  isAdaptive: ({ stop_after: stopAfter }) => stopAfter !== undefined,
  begin: (space, settings, { models }) => {
    const { stop_after: stopAfter, min_improvement: least, ...drawing } = z.object(keys).parse(settings); // biome-ignore format: settings
    const { candidates, notes } = drawnCandidates(space, models, drawing);
    if (stopAfter === undefined) return oneRung(candidates, notes);
    return inRounds(candidates, notes, { stopAfter, least });
  },
};

/** A rung a round, until one brings no improvement. */
function inRounds(
  candidates: readonly Candidate[],
  notes: readonly string[],
  { stopAfter, least }: { readonly stopAfter: number; readonly least: number },
): Strategy {
  const rounds = Array.from({ length: Math.ceil(candidates.length / stopAfter) }, (_, round) =>
    candidates.slice(round * stopAfter, (round + 1) * stopAfter),
  );
  const isOver = (done: readonly RungDone[]): boolean => {
    const last = bestOf(done.slice(-1));
    return done.length > 1 && !(last > bestOf(done.slice(0, -1)) + least);
  };
  return {
    outline: rounds.map(({ length }) => ({ candidates: length })),
    candidates,
    next: (done) => (isOver(done) || done.length === rounds.length ? undefined : { candidates: rounds[done.length]! }), // biome-ignore format: a rule
    finals: (done) => [...done.keys()],
    notes: (done) => {
      const tried = done.reduce((sum, { scores }) => sum + scores.length, 0);
      if (tried === candidates.length) return notes;
      const early = `stopped early: ${tried} of ${candidates.length} candidates were tried, and the last ${stopAfter} did not improve the best score${least > 0 ? ` by more than ${least}` : ''}`;
      return [...notes, early];
    },
  };
}

/** The best score of rungs; below every number where none has one. */
function bestOf(rungs: readonly RungDone[]): number {
  return rungs
    .flatMap(({ scores }) => scores)
    .reduce((best, score) => (score > best ? score : best), Number.NEGATIVE_INFINITY);
}
