/**
 * Where candidates come from: sub-spaces, each of some models, with the values or the distribution
 * of every parameter that is searched in it. Invariant: equal candidates are tried once.
 */
import { ConfigError } from '../../driver/errors.js';
import type { Params, ParamValue } from '../estimators/estimator.js';
import { stepOf, stepParameter } from '../prepare/chosen-steps.js';
import {
  type Candidate,
  candidateCount,
  candidateOf,
  candidatesOf,
  distinct,
  type Grid,
  type SearchModel,
} from './candidates.js';
import { type Distribution, drawn, isDistribution, unit } from './distributions.js';

/** Values of a parameter, or how they are drawn. */
export type SpaceValues = readonly ParamValue[] | Distribution;

export interface SubSpace {
  /** Names of models, each with all of it. */
  readonly models: readonly string[];
  /** By parameter. */
  readonly values: Readonly<Record<string, SpaceValues>>;
}

/** Candidates, and what people should know of them. */
export interface SpaceCandidates {
  readonly candidates: readonly Candidate[];
  readonly notes: readonly string[];
}

/** How candidates are drawn. */
export interface Drawing {
  readonly trials: number;
  readonly seed: number;
}

interface ModelSpace {
  readonly model: SearchModel;
  readonly values: SubSpace['values'];
}

function modelSpaces(space: readonly SubSpace[], models: readonly SearchModel[]): ModelSpace[] {
  return space.flatMap(({ models: names, values }) =>
    names.map((name) => ({ model: models.find((one) => one.name === name)!, values })),
  );
}

/** Every combination of values of every sub-space. */
export function gridCandidates(
  space: readonly SubSpace[],
  models: readonly SearchModel[],
): SpaceCandidates {
  return once(
    modelSpaces(space, models).flatMap(({ model, values }) => candidatesOf(model, values as Grid)),
  );
}

/**
 * Candidates drawn at random: where all are values, combinations of them without replacement, as
 * scikit-learn's `ParameterSampler`; else a sub-space by chance, and of it each parameter.
 * @throws ConfigError for a distribution that gives no value in the parameter's range
 */
export function drawnCandidates(
  space: readonly SubSpace[],
  models: readonly SearchModel[],
  drawing: Drawing,
): SpaceCandidates {
  const spaces = modelSpaces(space, models);
  if (isListed(spaces)) return withoutReplacement(spaces, drawing);
  const { seed, trials } = drawing;
  return once(
    Array.from({ length: trials }, (_, trial) => {
      // Names of parameters have no blank, so this is none of them.
      const at = unit({ seed, trial, name: 'sub space' });
      const { model, values } = spaces[Math.floor(at * spaces.length)]!;
      return drawnCandidate(model, values, { seed, trial });
    }),
  );
}

/** Whether each parameter has values, whose combinations can be listed. */
export function isListed(space: readonly Pick<SubSpace, 'values'>[]): boolean {
  return space.every(({ values }) => !Object.values(values).some(isDistribution));
}

/** Times that a value is drawn again because the parameter does not take it. */
const MOST_ATTEMPTS = 1000;

/** What a parameter may have; undefined for one there is not. */
function rangeOf({ estimator, prepare = [] }: SearchModel, name: string) {
  const found = stepParameter(prepare, name);
  const { shape } = found === undefined ? estimator.parameters : stepOf(found.document).parameters;
  return shape[found?.parameter ?? name];
}

function drawnCandidate(
  model: SearchModel,
  values: SubSpace['values'],
  { seed, trial }: { readonly seed: number; readonly trial: number },
): Candidate {
  const params: Record<string, ParamValue> = {};
  for (const name of Object.keys(values).sort()) {
    const own = values[name]!;
    if (!isDistribution(own)) {
      params[name] = own[Math.floor(unit({ seed, trial, name }) * own.length)]!;
      continue;
    }
    const range = rangeOf(model, name);
    for (let attempt = 0; params[name] === undefined; attempt++) {
      const value = drawn(own, { seed, trial, name, attempt });
      if (range === undefined || range.safeParse(value).success) params[name] = value;
      else if (attempt === MOST_ATTEMPTS) {
        throw new ConfigError(
          `search.distributions.${name}: expected a distribution of values that ${name} may have, got ${JSON.stringify(own)}, which gave none in ${MOST_ATTEMPTS} draws`,
          { key: `search.distributions.${name}` },
        );
      }
    }
  }
  return candidateOf(model, params);
}

/** The first of a random order of all combinations, which is the same however many are taken. */
function withoutReplacement(
  spaces: readonly ModelSpace[],
  { trials, seed }: Drawing,
): SpaceCandidates {
  const counts = spaces.map(({ values }) => candidateCount(values as Grid));
  const all = counts.reduce((sum, count) => sum + count, 0);
  const moved = new Map<number, number>();
  const candidates: Candidate[] = [];
  for (let trial = 0; trial < Math.min(trials, all); trial++) {
    const other = trial + Math.floor(unit({ seed, trial, name: 'combination' }) * (all - trial));
    const place = moved.get(other) ?? other;
    moved.set(other, moved.get(trial) ?? trial);
    candidates.push(combination(spaces, counts, place));
  }
  const found = once(candidates);
  if (trials <= all) return found;
  const note = `there are ${all} candidates, fewer than the ${trials} trials; each is tried once`;
  return { ...found, notes: [note, ...found.notes] };
}

/** One of all combinations, by its number in the order of a grid. */
function combination(
  spaces: readonly ModelSpace[],
  counts: readonly number[],
  number: number,
): Candidate {
  let [at, rest] = [0, number];
  while (rest >= counts[at]!) rest -= counts[at++]!;
  const { model, values } = spaces[at]!;
  const params: Record<string, ParamValue> = {};
  for (const name of Object.keys(values).sort().reverse()) {
    const own = (values as Grid)[name]!;
    params[name] = own[rest % own.length]!;
    rest = Math.floor(rest / own.length);
  }
  const ordered: Params = Object.fromEntries(Object.entries(params).reverse());
  return candidateOf(model, ordered);
}

/** Equal ones once, with a note on how many were left out. */
function once(all: readonly Candidate[]): SpaceCandidates {
  const candidates = distinct(all);
  const twice = all.length - candidates.length;
  const notes =
    twice === 0
      ? []
      : [`${twice} of ${all.length} candidates are equal to others before them and are tried once`];
  return { candidates, notes };
}
