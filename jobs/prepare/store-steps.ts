/**
 * From fitted steps to what a model file has of them. Steps that are maps of the columns as they are
 * encoded become part of a linear model's own coefficients, so that predictions and exports need know
 * nothing of them; others are kept as stages. Invariant: the model says the same of every row.
 */
import { type DenseMatrix, InternalError, type Matrix, type Run } from '../../driver/index.js';
import type { FitOutputs, LinearOutputs } from '../estimators/estimator.js';
import type { LinearModel } from '../estimators/model.js';
import type { Columns } from './columns.js';
import { type NetworkFacts, networkStage } from './stored-network.js';
import type { StoredStage } from './stored-stages.js';

/** Numbers of an affine map of columns. */
interface MapValues {
  readonly fill?: Float64Array;
  readonly scale?: Float64Array;
  readonly mix?: DenseMatrix;
  readonly shift?: Float64Array;
}

/**
 * A fit of columns as one of the encoded columns they are maps of; undefined where they are more.
 * @param isLinear whether decision values are linear in the columns
 */
export function encodedFit(
  { rows, map }: Columns,
  outputs: FitOutputs,
  isLinear: boolean,
): FitOutputs | undefined {
  if (rows.made !== undefined || !isLinear) return undefined;
  const { coefficients, intercept } = outputs as LinearOutputs;
  const { fill, scale, mix, shift } = map;
  return {
    coefficients: mix?.matmul(coefficients) ?? (scale ? coefficients.mul(scale.t()) : coefficients),
    intercept: shift === null ? intercept : intercept.add(shift.matmul(coefficients)),
    ...(fill ? { imputed: fill } : {}),
    ...(outputs.layers ? { layers: outputs.layers } : {}),
  };
}

/** The model with the stages that make its columns of the encoded ones. */
export async function withStages(
  run: Run,
  columns: Columns,
  model: LinearModel,
): Promise<LinearModel> {
  const { stages, names } = await stagesOf(run, columns);
  return { ...model, columns: names, prepare: stages, encoded: sourceNames(columns) };
}

/** Of the rows that steps began with. */
export function sourceNames(columns: Columns): readonly string[] {
  const { names, made } = columns.rows;
  if (made !== undefined) return sourceNames(made.of);
  if (names === undefined) throw new InternalError('prepare: expected names of encoded columns');
  return names;
}

async function stagesOf(
  run: Run,
  columns: Columns,
): Promise<{ readonly stages: StoredStage[]; readonly names: readonly string[] }> {
  const { made } = columns.rows;
  const before = made === undefined ? undefined : await stagesOf(run, made.of);
  const stages = [...(before?.stages ?? [])];
  let names = before?.names ?? sourceNames(columns);
  if (made?.kind === 'network') {
    names = made.names!;
    stages.push(networkStage(made.facts as NetworkFacts, names));
  } else if (made?.kind === 'polynomial') {
    const terms = made.facts.terms as number[][];
    stages.push({ kind: 'polynomial', terms });
    names = made.names ?? terms.map((term) => term.map((j) => names[j]!).join(' ') || '1');
  } else if (made?.kind === 'map') {
    const { matrix: mix, shift } = made.values;
    names = made.names ?? names;
    stages.push({
      kind: 'columns',
      columns: [...names],
      matrix: rowsOf(await mix!.in(run).value()),
      shift: [...(await cellsOf(run, shift!))],
    });
  } else if (made?.kind === 'outliers') {
    const { low, high } = made.values;
    const action = made.facts.action as 'clip' | 'zero' | 'missing';
    const [least, greatest] = await Promise.all([low, high].map((bound) => cellsOf(run, bound!)));
    stages.push({ kind: 'outliers', action, low: finite(least!), high: finite(greatest!) });
  }
  const values = await valuesOf(run, columns);
  const { fill, scale, mix, shift } = values;
  if (fill === undefined && scale === undefined && mix === undefined && shift === undefined) {
    return { stages, names };
  }
  const own = namesAfter(names, values, columns.map.names);
  stages.push({
    kind: 'columns',
    columns: [...own],
    ...(fill ? { fill: finite(fill) } : {}),
    ...(scale ? { scale: [...scale] } : {}),
    ...(mix ? { matrix: rowsOf(mix) } : {}),
    ...(shift ? { shift: [...shift] } : {}),
  });
  return { stages, names: own };
}

/** A picked column has its name; others are numbered. */
function namesAfter(
  names: readonly string[],
  { mix }: MapValues,
  known: readonly string[] | undefined,
): readonly string[] {
  if (mix === undefined) return known ?? names;
  return Array.from({ length: mix.cols }, (_, k) => {
    const from = names.flatMap((name, j) => (mix.data[j * mix.cols + k] === 0 ? [] : [name]));
    return from.length === 1 ? from[0]! : `component ${k + 1}`;
  });
}

async function valuesOf(run: Run, { map }: Columns): Promise<MapValues> {
  const { fill, scale, mix, shift } = map;
  return {
    ...(fill ? { fill: await cellsOf(run, fill) } : {}),
    ...(scale ? { scale: await cellsOf(run, scale) } : {}),
    ...(mix ? { mix: await mix.in(run).value() } : {}),
    ...(shift ? { shift: await cellsOf(run, shift) } : {}),
  };
}

async function cellsOf(run: Run, row: Matrix): Promise<Float64Array> {
  return Float64Array.from((await row.in(run).value()).data);
}

function finite(cells: Float64Array): (number | null)[] {
  return Array.from(cells, (cell) => (Number.isFinite(cell) ? cell : null));
}

function rowsOf({ rows, cols, data }: DenseMatrix): number[][] {
  return Array.from({ length: rows }, (_, i) => [...data.subarray(i * cols, (i + 1) * cols)]);
}
