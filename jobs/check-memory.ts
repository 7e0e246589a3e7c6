/**
 * Holds a run's forecast against the memory this process may take, and says, before anything large
 * is made, what does not fit and what would. Invariant: advice is forecast like the run itself, so
 * what is advised fits.
 */
import { availableParallelism } from 'node:os';
import { ConfigError, encodedWidth, rowCells } from '../driver/index.js';
import { cellBytes } from '../driver/ir/dtype.js';
import { env } from '../driver/support/env.js';
import { memorySetting, memoryShares } from '../driver/support/memory.js';
import { formatBytes } from '../driver/support/size.js';
import type { OpenSession } from './engines.js';
import { plural } from './format.js';
import type { Job } from './job-file/job.js';
import { forecastMemory, type MemoryForecast, type RunShape } from './memory-forecast.js';
import type { JobData } from './open-data.js';
import { wholeMatrices } from './prepare/preparation.js';
import { groupCount } from './search/choose-fit.js';
import type { SearchGroup } from './search/groups.js';
import { allPartitions } from './search/splits/nested-splits.js';
import { splitCount } from './search/splits/partition.js';

/** A forecast beside what there is; in run records and in `plan --json`. @units bytes */
export interface MemoryOutlook extends MemoryForecast {
  /** What this process may take. */
  readonly limitBytes: number;
  /** Where that comes from. */
  readonly limitFrom: string;
  /** What the setting would have to be for this run. */
  readonly neededBytes: number;
}

/** The forecast of a run, that of the group of its candidates which needs most. */
export function memoryOf(
  open: OpenSession,
  job: Job,
  data: JobData,
  groups: readonly SearchGroup[],
): { readonly shape: RunShape; readonly memory: MemoryOutlook } {
  const candidates = groups.reduce((sum, group) => sum + group.candidates.length, 0);
  const outlooks = groups.map((group) => {
    const shape = runShape(open, job, data, {
      candidates,
      isByRows: group.isByRows,
      wholeCells: wholeCells(group),
    });
    return { shape, memory: outlookOf(shape) };
  });
  return outlooks.reduce((most, one) =>
    one.memory.neededBytes > most.memory.neededBytes ? one : most,
  );
}

/** Of the rows of a group that cleaning steps take whole. */
function wholeCells({ X, candidates, folds, prepared }: SearchGroup): number {
  const [first] = candidates;
  return X.rows * (prepared?.rows.width ?? 0) * wholeMatrices(first!.steps, folds);
}

/** What a run's forecast depends on. */
function runShape(
  { engine }: OpenSession,
  job: Job,
  data: JobData,
  { candidates, isByRows, wholeCells }: Pick<RunShape, 'candidates' | 'isByRows' | 'wholeCells'>,
): RunShape {
  const { features, imputations } = data.resolved;
  const { cv, nested, parts } = data;
  const partitions = allPartitions(cv, nested);
  // Partitions of the same groups share their moments.
  const groups = (data.weight ? 2 : 1) * groupCount(partitions);
  // A part's rows run through few of the contiguous groups.
  const { type, shuffle } = job.cv;
  const isContiguous = type === 'time-series' || (type === 'kfold' && !shuffle);
  const ownGroups = isContiguous ? Math.min(groups, 1 + groups / parts.length) : groups;
  return {
    rows: data.X.rows,
    columns: data.X.cols,
    expressions: features.length + 1,
    hashedCells: rowCells(features.filter(({ kind }) => kind === 'hash')),
    categories: encodedWidth(features.filter(({ kind }) => kind === 'onehot')),
    imputations: imputations.length,
    isByRows,
    ...(wholeCells ? { wholeCells } : {}),
    stackBytes: memoryShares().materialiseBytes,
    groups,
    folds: splitCount(partitions),
    candidates,
    standardize: job.data.standardize,
    cellBytes: cellBytes(job.data),
    partCells: parts.reduce(
      (sum, part) => sum + ownGroups * (encodedWidth(part.features) + 2) ** 2,
      0,
    ),
    isText: data.source.format === 'csv' || data.source.format === 'jsonl',
    lanes: Number(env.threads() ?? availableParallelism()),
    engine: engine === 'local' ? 'local' : env.livyUrl() === undefined ? 'spark' : 'livy',
  };
}

function outlookOf(shape: RunShape): MemoryOutlook {
  const forecast = forecastMemory(shape);
  const { bytes, from } = memorySetting();
  return { ...forecast, limitBytes: bytes, limitFrom: from, neededBytes: needed(forecast) };
}

/** The setting a forecast needs: process and JVM by their shares, moments within the cache's. */
function needed({ processBytes, heapBytes, momentBytes }: MemoryForecast): number {
  const { totalBytes, heapBytes: heap, cacheBytes } = memoryShares();
  const heapShare = heap / totalBytes;
  const forProcess = heapBytes === null ? processBytes : processBytes / (1 - heapShare);
  const forHeap = heapBytes === null ? 0 : heapBytes / heapShare;
  return Math.max(forProcess, forHeap, momentBytes / (cacheBytes / totalBytes));
}

/** The error of a run over its memory, with figures and what would fit; undefined if it fits. */
export function memoryError(
  outlook: MemoryOutlook,
  shape: RunShape,
  data: JobData,
): ConfigError | undefined {
  const { limitBytes, limitFrom, neededBytes } = outlook;
  if (neededBytes <= limitBytes) return undefined;
  const largest = [...outlook.items]
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, 3)
    .map(({ what, bytes }) => `${formatBytes(bytes)} for ${what}`);
  const heap =
    outlook.heapBytes === null ? '' : `, and a heap of ${formatBytes(outlook.heapBytes)} in Spark`;
  return new ConfigError(
    `memory: expected a run that fits ${formatBytes(limitBytes)} (${limitFrom}), got one that takes about ${formatBytes(outlook.processBytes)} (${largest.join(', ')})${heap}; ${remedies(shape, data, neededBytes).join(', or ')}`,
    {
      key: 'REPRISE_MEMORY',
      neededBytes: Math.ceil(neededBytes),
      availableBytes: limitBytes,
    },
  );
}

function remedies(shape: RunShape, data: JobData, neededBytes: number): string[] {
  const fits = (other: Partial<RunShape>): boolean =>
    needed(forecastMemory({ ...shape, ...other })) <= memorySetting().bytes;
  const found: string[] = [];
  const widest = data.resolved.summary
    .filter(({ encode }) => encode === 'onehot')
    .sort((a, b) => b.columns - a.columns)[0];
  if (widest !== undefined) {
    const rest = shape.columns - widest.columns;
    // The categories kept, and one column for all others.
    const top = largest(widest.columns - 1, (n) => fits({ columns: rest + n + 1 }));
    if (top >= 1) {
      found.push(
        `say top: ${roundDown(top)} for feature ${widest.name} (${plural(widest.columns, 'column')})`,
      );
    }
  }
  if (shape.groups === shape.folds) {
    const folds = largest(shape.folds - 1, (n) => fits({ folds: n, groups: n }));
    if (folds >= 2) found.push(`use ${folds} folds instead of ${shape.folds}`);
  }
  if (shape.engine === 'local' && fits({ engine: 'spark' })) found.push('run with --engine spark');
  if (shape.engine === 'spark' && fits({ engine: 'local' })) found.push('run with --engine local');
  if (found.length === 0) {
    const columns = largest(shape.columns, (n) =>
      fits({ columns: n, expressions: Math.min(n, shape.expressions) }),
    );
    if (columns >= 1)
      found.push(`use at most ${roundDown(columns)} of the ${shape.columns} columns`);
  }
  found.push(
    `give it more memory (REPRISE_MEMORY or --memory, ${formatBytes(neededBytes * 1.02)} at least)`,
  );
  return found;
}

/** The largest whole number up to `most` that fits, 0 for none; all below one that fits do fit. */
function largest(most: number, fits: (n: number) => boolean): number {
  let [low, high] = [0, most];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Two digits of a number that is advice. */
function roundDown(n: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(n)) - 1);
  return Math.floor(n / unit) * unit;
}
