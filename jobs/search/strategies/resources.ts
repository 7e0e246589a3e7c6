/**
 * Resources of rungs: how many candidates are tried with how much, as scikit-learn's halving
 * searches work it out, and which of them go on. Invariant: counts and resources follow from the
 * settings and the data's shape alone, in whole numbers.
 * Source: scikit-learn `BaseSuccessiveHalving`.
 */
import * as z from 'zod';
import { ConfigError } from '../../../driver/index.js';
import type { Candidate, SearchModel } from '../candidates.js';
import type { RungBudget, SearchFacts } from './strategy.js';

/** Keys of searches by resources. */
export const resourceKeys = {
  factor: z.number().gt(1).max(1000).default(3).meta({
    description:
      'One candidate of so many goes on to the next rung, which has so many times more. Default: 3.',
  }),
  resource: z.enum(['rows', 'iterations']).default('rows').meta({
    description:
      '`rows`: fits see a sample of the training rows, each rung those of the last among them; `iterations`: fits take so many iterations (`max_iter`) and go on from there. Default: rows.',
  }),
  max_resources: z
    .union([z.literal('auto'), z.int().min(1)])
    .default('auto')
    .meta({
      description:
        'Most of it for a candidate; `auto`: all rows, or the `max_iter` of the models. Default: auto.',
    }),
} as const;

export interface ResourceSettings {
  readonly factor: number;
  readonly resource: 'rows' | 'iterations';
  readonly min_resources: number | 'exhaust' | 'smallest';
  readonly max_resources: number | 'auto';
}

/** Least and most of the resource, in rows or iterations. */
export interface ResourceRange {
  readonly least: number;
  readonly most: number;
}

/** Rows a split and class that a first rung has at least: scikit-learn's number. */
const LEAST_ROWS = 2;

/** @throws ConfigError for a range that is empty, or models without such a limit */
export function resourceRange(
  { resource, min_resources: min, max_resources: max }: ResourceSettings,
  { models, rows, splits, classes }: SearchFacts,
): ResourceRange {
  if (resource === 'rows' && max !== 'auto' && max > rows) {
    throw wrong('max_resources', `at most the rows of the data (${rows})`, max);
  }
  const most = max !== 'auto' ? max : resource === 'rows' ? rows : limitOf(models);
  const smallest = resource === 'rows' ? splits * LEAST_ROWS * Math.max(1, classes) : 1;
  const least = typeof min === 'number' ? min : smallest;
  if (least > most) throw wrong('min_resources', `at most max_resources (${most})`, least);
  return { least, most };
}

/** The models' common limit of iterations. */
function limitOf(models: readonly SearchModel[]): number {
  const limits = new Set(
    models.map(({ estimator, params }) => params.max_iter ?? defaultOf(estimator)),
  );
  const [limit] = limits;
  if (limits.size === 1 && typeof limit === 'number') return limit;
  throw wrong('max_resources', 'a number, as the models have no `max_iter` in common', 'auto');
}

function defaultOf({ parameters }: SearchModel['estimator']): unknown {
  return parameters.shape.max_iter?.safeParse(undefined).data;
}

/**
 * Candidates that can be given iterations: their models read rows until a limit.
 * @throws ConfigError for others, and where the limit is searched itself
 */
export function checkIterations(candidates: readonly Candidate[]): void {
  for (const { model, params } of candidates) {
    const { name, estimator } = model;
    if (estimator.reads !== 'rows' || !('max_iter' in estimator.parameters.shape)) {
      throw wrong('resource', `rows for ${name}, which is fitted without iterations`, 'iterations');
    }
    if ('max_iter' in params) {
      throw wrong('resource', 'rows where max_iter is searched', 'iterations');
    }
  }
}

/** A number of candidates with so much each. */
export interface ResourceRung {
  readonly candidates: number;
  readonly resources: number;
}

/**
 * Rungs of successive halving.
 * @param exhausts whether the first rung has as much as lets the last have most
 * @param isAggressive whether rungs of the least come first until so few are left that the last rung
 *   has fewer than `factor`
 */
export function halvingRungs(
  candidates: number,
  factor: number,
  range: ResourceRange,
  exhausts: boolean,
  isAggressive: boolean,
): ResourceRung[] {
  const { most } = range;
  const required = 1 + wholeLog(candidates, factor);
  const least = exhausts
    ? Math.max(range.least, Math.floor(most / factor ** (required - 1)))
    : range.least;
  const possible = 1 + wholeLog(Math.floor(most / least), factor);
  const rungs: ResourceRung[] = [];
  let left = candidates;
  for (let rung = 0; rung < (isAggressive ? required : Math.min(possible, required)); rung++) {
    const power = isAggressive ? Math.max(0, rung - required + possible) : rung;
    const resources = Math.min(Math.floor(factor ** power * least), most);
    rungs.push({ candidates: left, resources });
    left = Math.ceil(left / factor);
  }
  return rungs;
}

/**
 * The logarithm rounded down, exactly: scikit-learn's quotient of logarithms is one less for a few
 * powers (3 ** 5, 10 ** 3), and stops a rung before one candidate is left.
 */
export function wholeLog(value: number, base: number): number {
  let log = 0;
  for (let power = base; power <= value; power *= base) log++;
  return log;
}

/** Places of the `count` best, ascending; of equals the last, and those without a score last of all. */
export function bestPlaces(scores: readonly number[], count: number): number[] {
  const order = scores.map((score, at) => ({ score, at }));
  order.sort((a, b) => {
    const [x, y] = [a, b].map(({ score }) => (Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score)); // biome-ignore format: a pair
    return x === y ? b.at - a.at : x! > y! ? -1 : 1;
  });
  return order
    .slice(0, count)
    .map(({ at }) => at)
    .sort((a, b) => a - b);
}

export function budgetOf(
  { resource }: Pick<ResourceSettings, 'resource'>,
  resources: number,
): RungBudget {
  return resource === 'rows' ? { rows: resources } : { iterations: resources };
}

function wrong(key: string, expected: string, got: unknown): ConfigError {
  return new ConfigError(`search.${key}: expected ${expected}, got ${got}`, {
    key: `search.${key}`,
  });
}
