/**
 * `halving`: all candidates with little, the best of them with more, until few have all there is.
 * Rungs, resources and who goes on are as scikit-learn's `HalvingGridSearchCV` and
 * `HalvingRandomSearchCV` have them. Source: Jamieson and Talwalkar (AISTATS 2016).
 */
import * as z from 'zod';
import { drawnCandidates, gridCandidates, isListed } from '../space.js';
import { drawingKeys } from './random.js';
import {
  bestPlaces,
  budgetOf,
  checkIterations,
  halvingRungs,
  type ResourceSettings,
  resourceKeys,
  resourceRange,
} from './resources.js';
import type { SearchType } from './strategy.js';

interface HalvingSettings extends ResourceSettings {
  readonly aggressive_elimination: boolean;
  readonly trials?: number;
  readonly seed: number;
}

const TRIALS = 10;

export const halving: SearchType = {
  type: 'halving',
  description: 'All candidates with few rows or iterations, the best of them with more.',
  spaces: ['grid', 'distributions'],
  keys: {
    ...resourceKeys,
    min_resources: z
      .union([z.enum(['exhaust', 'smallest']), z.int().min(1)])
      .default('exhaust')
      .meta({
        description:
          'What the first rung has; `smallest`: two rows a split and class, or one iteration; `exhaust`: as much as lets the last rung have most. Default: exhaust.',
      }),
    aggressive_elimination: z.boolean().default(false).meta({
      description:
        'Where resources are few, repeat the first rung until few candidates are left. Default: false.',
    }),
    trials: z.int().min(1).max(100_000).optional().meta({
      description: 'How many candidates to draw. Default: 10 of distributions, all of a grid.',
    }),
    seed: drawingKeys.seed,
  },
  isAdaptive: () => true,
  begin: (space, given, facts) => {
    const settings = given as unknown as HalvingSettings;
    const { factor, min_resources, aggressive_elimination, resource, trials, seed } = settings;
    const { candidates, notes } =
      trials === undefined && isListed(space)
        ? gridCandidates(space, facts.models)
        : drawnCandidates(space, facts.models, { trials: trials ?? TRIALS, seed });
    if (resource === 'iterations') checkIterations(candidates);
    const rungs = halvingRungs(
      candidates.length,
      factor,
      resourceRange(settings, facts),
      min_resources === 'exhaust',
      aggressive_elimination,
    );
    const outline = rungs.map((rung) => {
      return { candidates: rung.candidates, budget: budgetOf(settings, rung.resources) };
    });
    return {
      outline,
      seed,
      notes: () => notes,
      next: (done) => {
        const rung = outline[done.length];
        const last = done.at(-1);
        if (rung === undefined) return undefined;
        const { budget } = rung;
        if (last === undefined) return { candidates, budget };
        const places = bestPlaces(last.scores, rung.candidates);
        return { candidates: places.map((place) => last.candidates[place]!), budget };
      },
    };
  },
};
