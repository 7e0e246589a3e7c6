/**
 * Parameters that say a number of each class. Job files give weights by the class itself and priors
 * in the order of the classes; estimators are given both by class number.
 */
import { type ClassValue, ConfigError } from '../../driver/index.js';
import type { EstimatorFacts, Params, ParamValue } from '../estimators/estimator.js';

/**
 * Classes that a map does not name count 1, as in scikit-learn.
 * @throws ConfigError for a class that the data do not have, or a list that is not a number a class
 */
export function byClassNumber(
  params: Params,
  classes: readonly ClassValue[],
  { lists = [] }: Pick<EstimatorFacts, 'lists'> = {},
): Params {
  const names = classes.map(String);
  const listed = ([name, value]: [string, ParamValue]): [string, ParamValue] => {
    if (typeof value !== 'object' || value === null || lists.includes(name)) return [name, value];
    const fail = (wanted: string, got: string): never => {
      throw new ConfigError(`${name}: expected ${wanted}, got ${got}`, { key: `model.${name}` });
    };
    if (Array.isArray(value)) {
      if (value.length === classes.length) return [name, value];
      return fail(
        `a number for each of the classes ${names.join(', ')}`,
        `${value.length} numbers`,
      );
    }
    const unknown = Object.keys(value).find((key) => !names.includes(key));
    if (unknown !== undefined) fail(`classes of the target (${names.join(', ')})`, unknown);
    const numbers = value as Readonly<Record<string, number>>;
    return [name, names.map((key) => (Object.hasOwn(numbers, key) ? numbers[key]! : 1))];
  };
  return Object.fromEntries(Object.entries(params).map(listed));
}
