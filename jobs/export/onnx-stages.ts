/**
 * Stages of cleaning steps in an ONNX graph, as `jobs/prepare/stored-stages.ts` applies them. A
 * missing cell is NaN, and stays so only in columns that have a share of it.
 */
import { ConfigError } from '../../driver/errors.js';
import type { StoredStage } from '../prepare/stored-stages.js';
import type { Graph } from './onnx-graph.js';

type Stage<K extends StoredStage['kind']> = Extract<StoredStage, { readonly kind: K }>;

/** @param x NaN where a cell is missing: [rows, width] */
export function stagedColumns(graph: Graph, x: string, stages: readonly StoredStage[]): string {
  return stages.reduce((own, stage) => stageColumns(graph, own, stage), x);
}

function stageColumns(graph: Graph, x: string, stage: StoredStage): string {
  switch (stage.kind) {
    case 'columns':
      return mapped(graph, x, stage);
    case 'outliers':
      return bounded(graph, x, stage);
    case 'polynomial':
      return products(graph, x, stage);
    case 'network':
      throw new ConfigError(
        `export: expected a model of the columns, got one behind the network ${stage.path}; use reprise predict`,
        { key: 'model', value: stage.path },
      );
    case 'beside':
      return graph.node('Concat', stage.branches.map((branch) => stagedColumns(graph, x, branch)), { axis: 1 }); // biome-ignore format: a call
  }
}

function row(graph: Graph, cells: readonly (number | null)[], none: number): string {
  return graph.doubles(Float64Array.from(cells, (cell) => cell ?? none), [1, cells.length]); // biome-ignore format: a call
}

function mapped(graph: Graph, x: string, { fill, scale, matrix, shift }: Stage<'columns'>): string {
  const own = fill ? graph.node('Where', [graph.node('IsNaN', [x]), row(graph, fill, Number.NaN), x]) : x; // biome-ignore format: a choice
  const made = matrix
    ? mixed(graph, own, matrix)
    : scale
      ? graph.node('Mul', [own, row(graph, scale, 1)])
      : own;
  return shift ? graph.node('Add', [made, row(graph, shift, 0)]) : made;
}

function mixed(graph: Graph, x: string, matrix: readonly (readonly number[])[]): string {
  const dims = [matrix.length, matrix[0]!.length];
  const isMissing = graph.node('IsNaN', [x]);
  const has = matrix.flat().map((cell) => (cell === 0 ? 0 : 1));
  const shares = graph.node('MatMul', [graph.cast(isMissing, 'double'), graph.doubles(has, dims)]);
  const present = graph.node('Where', [isMissing, graph.doubles([0], [1, 1]), x]);
  return graph.node('Where', [
    graph.node('Greater', [shares, graph.doubles([0], [1, 1])]),
    graph.doubles([Number.NaN], [1, 1]),
    graph.node('MatMul', [present, graph.doubles(matrix.flat(), dims)]),
  ]);
}

function bounded(graph: Graph, x: string, { action, low, high }: Stage<'outliers'>): string {
  const least = row(graph, low, Number.NEGATIVE_INFINITY);
  const greatest = row(graph, high, Number.POSITIVE_INFINITY);
  const [isBelow, isAbove] = [graph.node('Less', [x, least]), graph.node('Greater', [x, greatest])];
  if (action === 'clip') {
    return graph.node('Where', [isBelow, least, graph.node('Where', [isAbove, greatest, x])]);
  }
  const other = graph.doubles([action === 'zero' ? 0 : Number.NaN], [1, 1]);
  return graph.node('Where', [graph.node('Or', [isBelow, isAbove]), other, x]);
}

/** The first factors of all terms, times the second, ..; a term with fewer has ones for the rest. */
function products(graph: Graph, x: string, { terms }: Stage<'polynomial'>): string {
  const first = graph.node('Gather', [x, graph.ints([0])], { axis: 1 });
  const nothing = graph.node('Mul', [
    graph.cast(graph.node('IsNaN', [first]), 'double'),
    graph.doubles([0], [1, 1]),
  ]);
  const one = graph.node('Add', [nothing, graph.doubles([1], [1, 1])]);
  // Place 0 is that of the ones.
  const all = graph.node('Concat', [one, x], { axis: 1 });
  const degree = terms.reduce((most, { length }) => Math.max(most, length), 1);
  const factors = Array.from({ length: degree }, (_, d) =>
    graph.node('Gather', [all, graph.ints(terms.map((term) => (term[d] ?? -1) + 1))], { axis: 1 }),
  );
  return factors.reduce((product, factor) => graph.node('Mul', [product, factor]));
}

/**
 * Decision values, NaN where a cell is missing that predicting refuses, whatever stages make of it.
 * @param columns those that may not be missing
 */
export function refusedAtMissing(graph: Graph, z: string, columns: readonly string[]): string {
  if (columns.length === 0) return z;
  const all = graph.node('Concat', columns, { axis: 1 });
  const guard = graph.node('Mul', [all, graph.doubles([0], [1, 1])]);
  return graph.node('Add', [z, graph.node('ReduceSum', [guard, graph.ints([1])], { keepdims: 1 })]);
}
