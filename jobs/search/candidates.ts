/**
 * Candidates: a model with the parameters that are searched, completed and checked. Those of a grid
 * are in scikit-learn's order (`ParameterGrid`): parameters by name, the last one's values changing
 * fastest.
 */
import { ConfigError } from '../../driver/index.js';
import type { Estimator, Params, ParamValue } from '../estimators/estimator.js';
import { type StepDocument, splitParams } from '../prepare/chosen-steps.js';
import { type ChosenStep, stepsKey } from '../prepare/preparation.js';

/** Values to try by parameter. */
export type Grid = Readonly<Record<string, readonly ParamValue[]>>;

/** A model of a search: an estimator, and the parameters that its candidates have in common. */
export interface SearchModel {
  /** What the user calls it; the estimator's name where that is enough. */
  readonly name: string;
  readonly estimator: Estimator;
  readonly params: Params;
  /** Cleaning steps before it, in order. Default: none. */
  readonly prepare?: readonly StepDocument[];
}

export interface Candidate {
  readonly model: SearchModel;
  /** The parameters that are searched. */
  readonly params: Params;
  /** Every parameter of the estimator. */
  readonly all: Params;
  /** Cleaning steps with all their parameters. */
  readonly steps: readonly ChosenStep[];
}

/** Whether the columns that it is fitted on are its own. */
export function hasSteps({ model, steps }: Candidate): boolean {
  return steps.length > 0 || (model.prepare?.length ?? 0) > 0;
}

/** How many candidates a grid has. */
export function candidateCount(grid: Grid): number {
  return Object.values(grid).reduce((product, values) => product * values.length, 1);
}

/**
 * Every combination of the grid's values.
 * @throws ConfigError for a parameter that the estimator does not have, or a value out of its range
 */
export function candidatesOf(model: SearchModel, grid: Grid): Candidate[] {
  let combinations: Params[] = [{}];
  for (const name of Object.keys(grid).sort()) {
    const values = grid[name]!;
    if (values.length === 0) {
      throw new ConfigError(`${name}: expected at least one value, got none`, {
        key: `search.grid.${name}`,
      });
    }
    combinations = combinations.flatMap((params) =>
      values.map((value) => ({ ...params, [name]: value })),
    );
  }
  return combinations.map((params) => candidateOf(model, params));
}

/**
 * Completed by what all candidates of the model have, and by defaults.
 * @throws as `candidatesOf`
 */
export function candidateOf(model: SearchModel, params: Params): Candidate {
  const { estimator, params: fixed, prepare = [] } = model;
  const { own, steps } = splitParams(prepare, params);
  const parsed = estimator.parameters.safeParse({ ...fixed, ...own });
  if (parsed.success) return { model, params, all: parsed.data as Params, steps };
  const [issue] = parsed.error.issues;
  const at = String(issue!.path[0] ?? '');
  const got = at in params ? params[at] : fixed[at];
  throw new ConfigError(
    `${at || estimator.name}: ${issue!.message.toLowerCase()}, got ${JSON.stringify(got)}`,
    { key: `search.grid.${at}` },
  );
}

/** Without those that are as another before them, which would be trained twice for one answer. */
export function distinct(candidates: readonly Candidate[]): Candidate[] {
  const seen = new Set<string>();
  return candidates.filter(({ model, all, steps }) => {
    const own = Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1));
    const key = JSON.stringify([model.name, own, stepsKey(steps)]);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
