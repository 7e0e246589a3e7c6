/**
 * Run records for tests of the report, the shape of those a real search leaves: a grid of penalties
 * over folds with a plausible curve, lineage and timeline. Deterministic: the same options give the
 * same record.
 */
import type { LineageNode, RunRecord, TimelineEvent } from '../../jobs/runs/record.js';
import type { TrialResult } from '../../jobs/search/result.js';
import { linearModel } from './run-records.js';

export interface SampleOptions {
  readonly lambdas?: number;
  readonly folds?: number;
  readonly columns?: number;
  /** Trials, counted from the largest penalty, of which one fit failed. */
  readonly failed?: number;
  readonly name?: string;
}

/** Mulberry32: 0..1, the same for a seed everywhere. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The record of a grid search like that of the flights example. */
export function sampleRecord(options: SampleOptions = {}): RunRecord {
  const lambdas = options.lambdas ?? 40;
  const folds = options.folds ?? 10;
  const metrics = ['neg_mean_squared_error', 'r2'] as const;
  const trials = sampleTrials(lambdas, folds, options.failed ?? 0);
  const best = trials.findIndex((trial) => trial.rank.neg_mean_squared_error === 1);
  const lineage = sampleLineage(lambdas, folds);
  const columns = sampleColumns(options.columns ?? 148);
  const hits = lineage.reduce((sum, node) => sum + node.hits, 0);
  const next = random(3);
  return {
    run: '20261122T141503Z-flights-7f3a91',
    name: options.name ?? 'flights delay',
    startedAt: '2026-11-22T14:15:03.412Z',
    reprise: '0.1.0',
    engine: 'spark',
    job: sampleJob(),
    search: {
      paramNames: ['lambda'],
      metrics,
      refit: 'neg_mean_squared_error',
      folds,
      rows: 3_000_000,
      columns: columns.length,
      trials,
      bestIndex: best,
      model: {
        ...linearModel(
          columns,
          columns.map((_, i) => (next() - 0.5) * 24 * Math.exp(-i / 40) * (i % 3 === 0 ? 1 : 0.4)),
          8.41273,
        ),
        imputed: { distance: 731.25 },
      },
    },
    reuse: {
      hits,
      partial: folds,
      misses: lineage.filter((node) => node.state === 'computed').length,
      savedSeconds: 131.7,
    },
    passes: 2,
    rowsRead: 6_000_000,
    scans: 3,
    sparkJobs: 9,
    kernels: 1234,
    seconds: {
      open: 2.91,
      profile: 4.12,
      gram: 7.83,
      fit: 0.412,
      score: 6.05,
      refit: 0.0121,
      total: 21.62,
    },
    peakMemoryBytes: 612_400_000,
    lineage,
    timeline: sampleTimeline(lambdas, folds),
    plan: samplePlan(folds),
    environment: {
      Node: '20.20.0',
      System: 'Linux 6.1, 2 cores, 24 GB',
      BLAS: 'OpenBLAS 0.3.28 (native), 2 threads',
      Spark: '3.5.6, Scala 2.12, embedded',
    },
  };
}

function sampleTrials(lambdas: number, folds: number, failed: number): TrialResult[] {
  const next = random(11);
  const foldShift = Array.from({ length: folds }, () => (next() - 0.5) * 60);
  const drafts = Array.from({ length: lambdas }, (_, i) => {
    const lambda = 10 ** (lambdas === 1 ? 0 : -2 + (8 * i) / (lambdas - 1));
    const penalty = 6 * (Math.log10(lambda) - 2.4) ** 2 * (lambda > 250 ? 1.6 : 0.25);
    const mse = foldShift.map((shift) => 1412 + shift + penalty + (next() - 0.5) * 0.8);
    const broken = i >= lambdas - failed;
    if (broken) mse[0] = Number.NaN;
    return { lambda, mse, broken };
  });
  const rows = drafts.map(({ lambda, mse, broken }) => {
    const splits = {
      neg_mean_squared_error: mse.map((value) => -value),
      r2: mse.map((value) => 1 - value / 1521.7),
    };
    return {
      params: { lambda },
      splitScores: splits,
      meanScore: mapValues(splits, mean),
      stdScore: mapValues(splits, std),
      ...(broken
        ? { errors: { 0: 'solve: expected a positive definite matrix, got a singular one' } }
        : {}),
    };
  });
  const ranks = mapValues(rows[0]?.meanScore ?? {}, (_, metric) =>
    rankOf(rows.map((row) => row.meanScore[metric] as number)),
  );
  return rows.map((row, i) => ({
    ...row,
    rank: mapValues(row.meanScore, (_, metric) => ranks[metric]?.[i] as number),
  }));
}

/** 1 for the greatest; ties share the lowest rank, missing scores the last. */
function rankOf(scores: readonly number[]): number[] {
  const keys = scores.map((score) => (Number.isNaN(score) ? Number.NEGATIVE_INFINITY : score));
  const sorted = [...keys].sort((a, b) => b - a);
  const first = new Map<number, number>();
  for (const [i, key] of sorted.entries()) if (!first.has(key)) first.set(key, i + 1);
  return keys.map((key) => first.get(key) as number);
}

function mapValues<T, U>(
  record: Readonly<Record<string, T>>,
  map: (value: T, key: string) => U,
): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function std(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
}

function sampleColumns(count: number): string[] {
  const names = ['distance', 'distance2'];
  for (let hour = 0; hour < 24; hour++) names.push(`hour=${hour}`);
  for (let day = 0; day < 7; day++) names.push(`weekday=${day}`);
  for (let month = 1; month <= 12; month++) names.push(`month=${month}`);
  for (let airport = 0; names.length < count; airport++) names.push(`origin=A${airport}`);
  return names.slice(0, count);
}

function sampleJob(): unknown {
  return {
    kind: 'grid-search',
    data: {
      path: 'flights-3m.parquet',
      target: 'delay',
      features: [
        'distance',
        { name: 'distance2', sql: 'distance * distance' },
        { name: 'hour', sql: 'extract(hour from date)', encode: 'onehot' },
        { name: 'origin', encode: 'onehot', top: 50 },
      ],
      standardize: true,
    },
    model: { type: 'ridge', intercept: true },
    search: { grid: { lambda: { logspace: [-2, 6, 40] } } },
    cv: { folds: 10, shuffle: true, seed: 7 },
    scoring: ['neg_mean_squared_error', 'r2'],
    refit: 'neg_mean_squared_error',
    error_score: Number.NaN,
  };
}

/** Lineage of a ridge search: about `lambdas * folds * 4` nodes. */
export function sampleLineage(lambdas: number, folds: number): LineageNode[] {
  const nodes: LineageNode[] = [];
  const add = (
    op: string,
    label: string,
    inputs: number[],
    rows: number,
    cols: number,
    rest: Partial<LineageNode> = {},
  ): number => {
    const id = nodes.length + 1;
    const state = rest.state ?? (inputs.length === 0 ? 'source' : 'computed');
    nodes.push({
      id,
      op,
      label,
      inputs,
      rows,
      cols,
      backend: state === 'computed' ? 'cpu' : null,
      state,
      hits: 0,
      seconds: state === 'computed' ? 0.0004 : 0,
      key: null,
      ...rest,
    });
    return id;
  };
  const n = 3_000_000;
  const frame = add('frame', 'flights-3m.parquet', [], n, 5);
  const x = add('encode', '148 columns', [frame], n, 148, { state: 'fused' });
  const y = add('encode', 'delay', [frame], n, 1, { state: 'fused' });
  const fold = add('kfold', `folds ${folds}, seed 7`, [], n, 1);
  const gram = add('groupGram', `${folds} groups`, [fold, x, y], folds * 150, 150, {
    backend: 'spark',
    seconds: 7.8,
    hits: folds,
  });
  const scalars = Array.from({ length: lambdas }, (_, i) => add('scalar', `${i}`, [], 1, 1));
  const eye = add('diag', 'identity', [], 148, 148);
  const ridges = scalars.map((scalar) =>
    add('multiply', '', [scalar, eye], 148, 148, { hits: folds - 1 }),
  );
  const models: number[] = [];
  for (let f = 0; f < folds; f++) {
    const slice = add('slice', `fold ${f}`, [gram], 150, 150);
    const rest = add('subtract', '', [gram, slice], 150, 150);
    const left = add('slice', 'XtX', [rest], 148, 148, { hits: lambdas - 1 });
    const right = add('slice', 'Xty', [rest], 148, 1, { hits: lambdas - 1 });
    for (const [l, ridge] of ridges.entries()) {
      const reused = l % 8 === 7;
      const sum = add('add', '', [left, ridge], 148, 148, { state: 'fused' });
      const solve = add('solve', 'spd', [sum, right], 148, 1, {
        seconds: reused ? 0 : 0.0009,
        ...(reused ? { state: 'reused' as const, backend: null, hits: 1 } : {}),
      });
      const dot = add('matmul', '', [left, solve], 148, 1);
      models.push(add('rbind', 'intercept', [solve, dot], 149, 1));
    }
  }
  const w = add('cbind', '', models, 149, models.length);
  const loss = add('groupLoss', 'squared', [fold, x, y, w], 1, models.length, {
    backend: 'spark',
    seconds: 6.0,
  });
  add('divide', '', [loss, gram], 1, models.length);
  return nodes;
}

function sampleTimeline(lambdas: number, folds: number): TimelineEvent[] {
  const events: TimelineEvent[] = [
    { lane: 'driver', name: 'open', start: 0, end: 2.91 },
    { lane: 'driver', name: 'profile', start: 2.91, end: 7.03 },
    { lane: 'spark', name: 'groupGram', start: 7.1, end: 14.86 },
    { lane: 'spark', name: 'groupLoss', start: 15.4, end: 21.44 },
    { lane: 'spark', name: 'broadcast', start: 15.31, end: 15.4 },
    { lane: 'driver', name: 'write', start: 21.5, end: 21.62 },
  ];
  let at = 14.9;
  const step = 0.4 / (lambdas * folds);
  for (let i = 0; i < lambdas * folds; i++) {
    events.push({ lane: 'cpu', name: 'solve', start: at, end: at + step * 0.7 });
    if (i % 10 === 0)
      events.push({ lane: 'cpu', name: 'slice', start: at + step * 0.7, end: at + step });
    at += step;
  }
  return events;
}

function samplePlan(folds: number): string {
  return [
    'pass linearise',
    '%1 = frame [flights-3m.parquet]            3000000x5',
    '%2 = encode %1 [148 columns]               3000000x148   spark, fused into %5',
    `%5 = groupGram %4 %2 %3 [groups=${folds}]           ${folds * 150}x150      spark, persist`,
    '%6 = solve ... x400                        148x1         cpu',
    '%7 = groupLoss %4 %2 %3 %6 [squared]       1x400         spark',
    '',
  ].join('\n');
}
