/**
 * What is written of a model's decision values: predictions, probabilities, the values themselves.
 * Invariant: predictions are scikit-learn's for the same decision values: class 1 where the one
 * value is above 0, else the first of the greatest.
 */
import { ConfigError } from '../../driver/errors.js';
import { duckDbValue, sparkValue } from '../../driver/frame/sql/coded-values.js';
import { type ClassValue, foldCols, type Matrix } from '../../driver/index.js';
import { layersWidth } from '../estimators/networks/stored-layers.js';
import { votesOf, votesOfRows, voteWidth } from '../estimators/votes.js';
import type { ModelFile } from '../model/model-file.js';
import type { OutputName } from './output-names.js';

/** One column to write: how it is computed, and how its numbers become values. */
export interface OutputColumn {
  readonly name: string;
  /** From decision values row by row: [rows, outputs] -> [rows]. */
  readonly compute: (z: Float64Array, rows: number) => Float64Array;
  /** The same of a matrix. @shape [n, outputs] -> [n, 1] */
  readonly column: (z: Matrix) => Matrix;
  /** What numbers are: themselves, whole numbers, or places in a list. */
  readonly values: 'numbers' | 'whole' | readonly ClassValue[];
}

/** SQL of a column's value by that of its number, for the engine that writes it. */
export function valueSql(
  { values }: OutputColumn,
  engine: 'local' | 'spark',
  cell: string,
): string {
  if (values === 'numbers') return cell;
  if (values === 'whole') return `CAST(${cell} AS BIGINT)`;
  return engine === 'local' ? duckDbValue(values, cell) : sparkValue(values, cell);
}

/** @throws ConfigError for an output the model has not */
export function outputColumns(
  model: ModelFile,
  asked: readonly OutputName[] = [defaultOutput(model)],
): OutputColumn[] {
  const last = answering(modelFor(model, asked));
  const columns = asked.flatMap((name) => votedColumns(last, name) ?? columnsOf(last, name));
  const names = columns.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw unfit('each output once', twice);
  return columns;
}

/** With an intercept for each value of the layer that answers, by which outputs are counted. */
function answering(model: ModelFile): ModelFile {
  const width = layersWidth(model.layers);
  return width === undefined ? model : { ...model, intercepts: new Array<number>(width).fill(0) };
}

/**
 * The model as it answers with these outputs: of an autoencoder the layers up to the code, unless it
 * is to say the rows again.
 * @throws ConfigError for both at once
 */
export function modelFor(
  model: ModelFile,
  asked: readonly OutputName[] = [defaultOutput(model)],
): ModelFile {
  const { code, layers, ...rest } = model;
  if (code === undefined || layers === undefined) return model;
  if (!asked.includes('components')) return { ...rest, layers };
  if (asked.includes('reconstruction')) throw unfit('components or reconstruction', asked.join());
  return { ...rest, layers: layers.slice(0, code) };
}

/** Of an ensemble whose members vote; undefined for other models. */
function votedColumns(model: ModelFile, name: OutputName): OutputColumn[] | undefined {
  const { votes, classes = [], estimator } = model;
  if (votes === undefined) return undefined;
  if (name === 'decision') throw unfit(`prediction or probability of ${estimator}`, name);
  const intercepts = range(voteWidth(classes.length));
  return columnsOf({ ...model, intercepts }, name).map((column) => ({
    ...column,
    compute: (z, rows) => column.compute(votesOfRows(votes, classes.length, z, rows), rows),
    column: (z) => column.column(votesOf(votes, classes.length, z)),
  }));
}

function defaultOutput({ task }: ModelFile): OutputName {
  return task === 'decomposition' ? 'components' : 'prediction';
}

function columnsOf(model: ModelFile, name: OutputName): OutputColumn[] {
  const { task, link, estimator, intercepts } = model;
  const outputs = intercepts.length;
  const isDecomposition = task === 'decomposition';
  switch (name) {
    case 'prediction':
      if (isDecomposition) throw unfit(`components of ${estimator}`, name);
      return [prediction(model)];
    case 'probability': {
      if (link !== 'logit' && link !== 'softmax' && link !== 'shares') {
        throw unfit(`prediction or decision of ${estimator}, which has no probabilities`, name);
      }
      const names = classTexts(model);
      return names.map((text, c) => ({
        name: `probability_${text}`,
        compute: (z, rows) => probabilityOf(model, z, rows, c),
        column: (z) => {
          if (link === 'softmax') return z.softmax(outputs).slice(null, c);
          if (link === 'shares') return outputs > 1 ? z.slice(null, c) : z.mul(2 * c - 1).add(0.5);
          return (c === 1 ? z : z.neg()).sigmoid();
        },
        values: 'numbers',
      }));
    }
    case 'components':
      if (!isDecomposition) throw unfit(`prediction of ${estimator}`, name);
      return range(outputs).map((k) => decision(`component_${k}`, k, outputs));
    case 'reconstruction': {
      if (model.estimator !== 'autoencoder') throw unfit(`another output of ${estimator}`, name);
      const { columns } = model;
      return columns.map((column, k) => decision(`reconstruction_${column}`, k, outputs));
    }
    case 'decision': {
      if (outputs === 1) return [decision('decision', 0, 1)];
      const names = model.classes?.length === outputs ? classTexts(model) : range(outputs);
      return range(outputs).map((k) => decision(`decision_${names[k]}`, k, outputs));
    }
  }
}

function decision(name: string, k: number, outputs: number): OutputColumn {
  const compute = (z: Float64Array, rows: number): Float64Array =>
    Float64Array.from({ length: rows }, (_, i) => z[i * outputs + k]!);
  return { name, compute, column: (z) => z.slice(null, k), values: 'numbers' };
}

function prediction({ task, link, classes, intercepts }: ModelFile): OutputColumn {
  const name = 'prediction';
  const outputs = intercepts.length;
  if (task === 'regression') {
    const isLog = link === 'log';
    return {
      name,
      compute: (z) => (isLog ? z.map(Math.exp) : z),
      column: (z) => (isLog ? z.exp() : z),
      values: 'numbers',
    };
  }
  const values = classes ?? 'whole';
  if (task === 'clustering' && outputs === 1) {
    const compute = (_: Float64Array, rows: number) => new Float64Array(rows);
    return { name, compute, column: (z) => z.mul(0), values };
  }
  return {
    name,
    compute: (z, rows) => greatest(z, rows, outputs),
    column: (z) => (outputs === 1 ? z.gt(0) : foldCols(z, { width: outputs, fold: 'indexMax' })),
    values,
  };
}

/** The place of the greatest value of each row; of one value, whether it is above 0. */
export function greatest(z: Float64Array, rows: number, outputs: number): Float64Array {
  return Float64Array.from({ length: rows }, (_, i) => {
    if (outputs === 1) return z[i]! > 0 ? 1 : 0;
    let best = 0;
    for (let k = 1; k < outputs; k++) {
      if (z[i * outputs + k]! > z[i * outputs + best]!) best = k;
    }
    return best;
  });
}

/** Probabilities of class `c`, stable where decision values are large. */
function probabilityOf(model: ModelFile, z: Float64Array, rows: number, c: number): Float64Array {
  if (model.link === 'shares') {
    const { length: width } = model.intercepts;
    const of = (i: number): number => (width > 1 ? z[i * width + c]! : (2 * c - 1) * z[i]! + 0.5);
    return Float64Array.from({ length: rows }, (_, i) => of(i));
  }
  if (model.link === 'logit') {
    const sign = c === 1 ? 1 : -1;
    return Float64Array.from({ length: rows }, (_, i) => 1 / (1 + Math.exp(-sign * z[i]!)));
  }
  const outputs = model.intercepts.length;
  return Float64Array.from({ length: rows }, (_, i) => {
    const row = z.subarray(i * outputs, (i + 1) * outputs);
    const top = row.reduce((a, b) => Math.max(a, b));
    const sum = row.reduce((total, value) => total + Math.exp(value - top), 0);
    return Math.exp(row[c]! - top) / sum;
  });
}

function classTexts({ classes = [] }: ModelFile): string[] {
  return classes.map(String);
}

function range(length: number): number[] {
  return Array.from({ length }, (_, k) => k);
}

function unfit(expected: string, got: string): ConfigError {
  return new ConfigError(`--output: expected ${expected}, got ${got}`, {
    key: '--output',
    value: got,
    source: 'flag',
  });
}
