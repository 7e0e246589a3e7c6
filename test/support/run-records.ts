/** A small run record with everything a run folder is written from. */
import type { LinearModel } from '../../jobs/estimators/model.js';
import type { ModelFile } from '../../jobs/model/model-file.js';
import type { RunRecord } from '../../jobs/runs/record.js';
import type { TrialResult } from '../../jobs/search/result.js';

const trial = (lambda: number, scores: readonly number[], rank: number): TrialResult => ({
  params: { lambda },
  splitScores: { r2: scores },
  meanScore: { r2: scores.reduce((sum, score) => sum + score, 0) / scores.length },
  stdScore: { r2: 0.125 },
  rank: { r2: rank },
  ...(scores.some(Number.isNaN) ? { errors: { 1: 'solve: singular' } } : {}),
});

/** A regression's model. */
export function linearModel(
  columns: readonly string[],
  coefficients: readonly number[],
  intercept: number,
): LinearModel {
  return {
    kind: 'linear',
    task: 'regression',
    link: 'identity',
    columns,
    coefficients: [coefficients],
    intercepts: [intercept],
    imputed: {},
  };
}

/** The model file of a regression on plain columns. */
export function modelFile(model: LinearModel, overrides: Partial<ModelFile> = {}): ModelFile {
  const columns = [...model.columns];
  return {
    version: 1,
    kind: 'linear',
    estimator: 'ridge',
    task: model.task,
    link: model.link,
    ...(model.classes ? { classes: [...model.classes] } : {}),
    target: 'y',
    columns,
    coefficients: model.coefficients.map((row) => [...row]),
    intercepts: [...model.intercepts],
    imputed: { ...model.imputed },
    features: columns.map((name) => ({ name, sql: name, column: name, encode: 'number' })),
    dtype: 'float64',
    inputs: columns.map((name) => ({ name, type: 'number', engineType: 'DOUBLE' })),
    read: {},
    trained: { job: 'small', rows: 10, files: 1, data: '', reprise: '0.1.0' },
    ...overrides,
  };
}

/** @param overrides fields in place of the default ones */
export function runRecord(overrides: Partial<RunRecord> = {}): RunRecord {
  return {
    run: '20261122T101112Z-small-0a1b2c3d',
    name: 'small',
    startedAt: '2026-11-22T10:11:12.000Z',
    reprise: '0.1.0',
    engine: 'local',
    job: { kind: 'grid-search', name: 'small' },
    search: {
      paramNames: ['lambda'],
      metrics: ['r2'],
      refit: 'r2',
      folds: 2,
      rows: 10,
      columns: 2,
      trials: [trial(0.1, [0.5, 0.75], 1), trial(1e-7, [0.1 + 0.2, Number.NaN], 2)],
      bestIndex: 0,
      model: linearModel(['a', 'b'], [1.5, -2], 0.25),
    },
    model: modelFile(linearModel(['a', 'b'], [1.5, -2], 0.25)),
    reuse: { hits: 3, partial: 0, misses: 5, savedSeconds: 0.5 },
    passes: 2,
    rowsRead: 1000,
    scans: 1,
    sparkJobs: 0,
    kernels: 9,
    seconds: { total: 1.5, gram: 1 },
    peakMemoryBytes: 1 << 20,
    lineage: [],
    timeline: [{ lane: 'cpu', name: 'gram', start: 0, end: 1 }],
    plan: 'plan\n',
    ...overrides,
  };
}

/** What the one JSON line of a run holds, in order. */
export const summaryKeys: readonly string[] = [
  'run',
  'best',
  'trials',
  'folds',
  'engine',
  'reuse',
  'passes',
  'rowsRead',
  'sparkJobs',
  'kernels',
  'seconds',
  'memory',
  'path',
];
