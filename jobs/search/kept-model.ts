/** The model to keep of a fit on all rows: of encoded columns where it can be, else with stages. */
import { converted, type Run } from '../../driver/index.js';
import type { Fit, Params } from '../estimators/estimator.js';
import { type LinearModel, storedModel } from '../estimators/model.js';
import { encodedFit, sourceNames, withStages } from '../prepare/store-steps.js';
import type { SearchGroup } from './groups.js';
import type { SearchOptions } from './prepare.js';

/** @param onOutput told the nodes that its numbers are read from */
export async function keptModel(
  session: Run,
  { estimator, columns, imputed, classes, prepared }: SearchGroup,
  params: Params,
  { outputs: fitted }: Fit,
  onOutput: SearchOptions['onOutput'],
): Promise<LinearModel> {
  const isLinear =
    (estimator.basis?.(params) ?? 'linear') === 'linear' &&
    estimator.nonnegative === undefined &&
    fitted.coefficients !== undefined;
  const encoded = prepared && encodedFit(prepared, fitted, isLinear);
  const values = await Promise.all(
    Object.entries({ ...(encoded ?? fitted) }).map(async ([name, output]) => {
      onOutput?.(name, output.expr);
      return [name, converted(await output.value(), 'float64').data] as const;
    }),
  );
  const design =
    prepared === undefined || encoded === undefined
      ? { columns, imputed, classes }
      : { columns: sourceNames(prepared), imputed: prepared.rows.missing, classes };
  const model = storedModel(estimator, params, Object.fromEntries(values), design);
  return prepared === undefined || encoded !== undefined
    ? model
    : withStages(session, prepared, model);
}
