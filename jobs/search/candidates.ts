/**
 * The candidates of a grid, in scikit-learn's order (`ParameterGrid`): parameters by name, the last
 * one's values changing fastest.
 */
import { ConfigError } from '../../driver/index.js';
import type { Estimator, Params, ParamValue } from '../estimators/estimator.js';

/** Values to try by parameter. */
export type Grid = Readonly<Record<string, readonly ParamValue[]>>;

export interface Candidate {
  /** The parameters of the grid. */
  readonly params: Params;
  /** Every parameter of the estimator. */
  readonly all: Params;
}

/** How many candidates a grid has. */
export function candidateCount(grid: Grid): number {
  return Object.values(grid).reduce((product, values) => product * values.length, 1);
}

/**
 * Every combination of the grid's values, completed by what all candidates have and by defaults.
 * @throws ConfigError for a parameter that the estimator does not have, or a value out of its range
 */
export function candidatesOf(estimator: Estimator, fixed: Params, grid: Grid): Candidate[] {
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
  return combinations.map((params) => ({ params, all: complete(estimator, fixed, params) }));
}

function complete({ name, parameters }: Estimator, fixed: Params, params: Params): Params {
  const parsed = parameters.safeParse({ ...fixed, ...params });
  if (parsed.success) return parsed.data as Params;
  const [issue] = parsed.error.issues;
  const at = String(issue!.path[0] ?? '');
  const got = at in params ? params[at] : fixed[at];
  throw new ConfigError(
    `${at || name}: ${issue!.message.toLowerCase()}, got ${JSON.stringify(got)}`,
    {
      key: `search.grid.${at}`,
    },
  );
}
