/**
 * Metrics in SQL: aggregates over the predictions for the rows that each split tests, under every
 * candidate. DuckDB computes them here, Spark where its rows are. Columns: `prediction`, `target`,
 * `weight`, `probability_CLASS`; of decompositions `component_0`, .. Invariant: what was computed of
 * the same predictions is not computed again.
 */
import {
  ConfigError,
  type Json,
  lineageKey,
  type Matrix,
  type Run,
} from '../../../driver/index.js';
import type { SqlText } from '../../../driver/ir/frame-engine.js';
import type {
  AggregateValues,
  TableAggregates,
  TableColumn,
} from '../../../driver/ir/table-aggregates.js';
import type { Task } from '../../estimators/estimator.js';
import type { SearchGroup } from '../groups.js';
import type { HeldOut } from './held-out.js';
import type { ReadMeasure } from './measure-readers.js';
import type { Scorer } from './scorers.js';

/** The SQL of an open session. */
export interface FormulaEngine {
  /** @throws DataError with the `expression` that is no aggregate over these columns */
  check(formulas: readonly SqlText[], columns: readonly TableColumn[]): Promise<void>;
  /** @throws as `check`, or for a formula whose value is no number */
  aggregate(run: Run, table: Matrix, asked: TableAggregates): Promise<AggregateValues>;
}

export type SqlScorer = Scorer & Required<Pick<Scorer, 'formula'>>;

export function sqlScorers(scoring: readonly Scorer[]): SqlScorer[] {
  return scoring.filter((scorer): scorer is SqlScorer => scorer.formula !== undefined);
}

/** What predictions there are. */
export interface PredictionFacts {
  readonly task: Task;
  readonly classes: SearchGroup['classes'];
  readonly hasWeight: boolean;
  readonly hasProbabilities: boolean;
  /** Of decision values. */
  readonly outputs: number;
}

/** What formulas may name, of the first of `models` models. */
export function predictionColumns(
  predicted: PredictionFacts,
  models = 1,
  model = 0,
): TableColumn[] {
  const { task, classes, hasWeight, hasProbabilities, outputs } = predicted;
  const isSupervised = task === 'regression' || task === 'classification';
  const values = classes.length > 0 ? { values: classes } : {};
  const shared: TableColumn[] = isSupervised ? [{ name: 'target', cell: 1, ...values }] : [];
  const weightAt = shared.length + 1;
  shared.push({ name: 'weight', cell: hasWeight ? weightAt : null });
  const first = weightAt + (hasWeight ? 1 : 0);
  if (task === 'decomposition') {
    const cellOf = (k: number): number => first + model * outputs + k;
    return [...range(outputs, (k) => ({ name: `component_${k}`, cell: cellOf(k) })), ...shared];
  }
  const prediction = { name: 'prediction', cell: first + model, ...values };
  if (!hasProbabilities) return [prediction, ...shared];
  const isPair = classes.length === 2;
  const width = isPair ? 1 : classes.length;
  const probabilities = classes.map((name, c): TableColumn => {
    const cell = first + models + model * width + (isPair ? 0 : c);
    const complement = isPair && c === 0 ? { isComplement: true as const } : {};
    return { name: `probability_${name}`, cell, ...complement };
  });
  return [prediction, ...probabilities, ...shared];
}

/** By model. */
export function viewsOf(predicted: PredictionFacts, models: number): TableColumn[][] {
  return range(models, (model) => predictionColumns(predicted, models, model));
}

export interface FormulaTable {
  readonly table: Matrix;
  readonly predicted: PredictionFacts;
  readonly asked: TableAggregates;
}

/** The predictions of models of one kind, and what is asked of them. */
export function formulaTable(
  { estimator: { task }, classes, weight, scoring }: SearchGroup,
  held: HeldOut,
): FormulaTable {
  const { kind, models, splits, splitOf, y } = held;
  const formulas = sqlScorers(scoring).map(({ formula }) => formula);
  // They are not computed where no formula can name them.
  const asksShares = formulas.some(({ sql }) => /probability_/i.test(sql));
  const predicted: PredictionFacts = {
    task,
    classes,
    hasWeight: weight !== undefined,
    hasProbabilities: asksShares && hasProbabilities(task, kind.link),
    outputs: kind.outputs,
  };
  const columns = [
    ...(task === 'regression' || task === 'classification' ? [y] : []),
    ...(weight ? [weight.cast('float64')] : []),
    ...predictionsOf(task, held),
    ...(predicted.hasProbabilities ? [held.probabilities] : []),
  ];
  const views = viewsOf(predicted, models);
  const table = splitOf.cast('float64').cbind(...columns);
  return { table, predicted, asked: { formulas, groups: splits, views } };
}

export function hasProbabilities(task: Task, link: HeldOut['kind']['link']): boolean {
  return task === 'classification' && link !== 'margin';
}

function predictionsOf(task: Task, held: HeldOut): Matrix[] {
  if (task === 'decomposition') return [held.decisions];
  if (task === 'regression') return [held.mean];
  return [task === 'clustering' ? held.clusters : held.winner];
}

const VERSION = 1;

/** By model, formula and split. */
export async function formulaValues(
  run: Run,
  engine: FormulaEngine | undefined,
  { table, asked }: Pick<FormulaTable, 'table' | 'asked'>,
): Promise<AggregateValues> {
  if (engine === undefined) {
    throw new ConfigError('scoring: expected an engine for metrics in SQL, got none', {
      key: 'formulas',
    });
  }
  const key = JSON.stringify(['formulas', VERSION, lineageKey(run.simplified(table.expr)), asked]);
  const texts = await run.memo(key, async () => {
    const values = await engine.aggregate(run, table, asked);
    // JSON has no NaN and no infinity.
    return values.map((view) => view.map((formula) => formula.map(String))) as Json;
  });
  return (texts as readonly (readonly (readonly string[])[])[]).map((view) =>
    view.map((formula) => formula.map(Number)),
  );
}

/** @param values by model, formula and split */
export function readFormulas(scorers: readonly SqlScorer[], values: AggregateValues): ReadMeasure {
  return (split, model) => {
    const own = scorers.map(({ name }, f) => [name, values[model]![f]![split]!] as const);
    return { formulas: Object.fromEntries(own) };
  };
}

function range<T>(length: number, of: (i: number) => T): T[] {
  return Array.from({ length }, (_, i) => of(i));
}
