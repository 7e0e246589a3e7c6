/**
 * Opens a job's data: the frame, its features, the folds, and the parts that results are kept for.
 * Invariant: nothing is read but what is not known yet of the files: each one's identity, columns
 * and profile.
 */
import { performance } from 'node:perf_hooks';
import {
  type ColumnProfile,
  ConfigError,
  type EncodedFeature,
  FileProfiles,
  type Frame,
  type FrameEngine,
  type FrameFile,
  type FrameSource,
  featureWidth,
  fileSeed,
  type Json,
  Matrix,
  openFrame,
  type PartFeatures,
  partFeatures,
  partFiles,
  type ResolvedFeatures,
  type Run,
  resolveFeatures,
  type SqlText,
  verifyUnchanged,
} from '../driver/index.js';
import { DIALECT_ENGINES, type OpenSession } from './engines.js';
import type { Job } from './job-file/job.js';
import type { CrossValidation } from './search/grid-search.js';
import type { DataPart } from './search/parts.js';

export interface JobData {
  readonly X: Matrix;
  readonly y: Matrix;
  readonly cv: CrossValidation;
  /** The rows file by file, or by groups of files; absent for a single file. */
  readonly parts?: readonly DataPart[];
  readonly resolved: ResolvedFeatures;
  readonly source: FrameSource;
  /** What people should know of the data and the features. */
  readonly warnings: readonly string[];
  /** Rows left out. */
  readonly dropped: number;
}

/** What a part is made of, as it is kept with the resolved features. */
interface PlannedPart extends PartFeatures {
  /** How many files it takes, in order; files without rows are in none. */
  readonly files: number;
  readonly fold: EncodedFeature | null;
}

interface Resolved {
  readonly features: ResolvedFeatures;
  readonly parts: readonly PlannedPart[] | null;
}

/** Raised when what is kept with the resolved features changes. */
const VERSION = 3;

/** Opens the frame and encodes features, target and folds; nothing is read but what resolving needs. */
export async function openData(
  { frames, engine }: OpenSession,
  run: Run,
  job: Job,
  clock: { enter(phase: string): void; progress?(fraction: number): void },
): Promise<JobData> {
  requireDialect(job, engine);
  clock.enter('open');
  const frame = await openFrame(run, frames, job.data.path, job.data.read);
  clock.enter('profile');
  const { source } = frame.description;
  const key = JSON.stringify([
    VERSION,
    frame.expr.attrsText,
    job.data.features ?? null,
    job.data.dialect ?? null,
    job.data.target,
    job.cv,
  ]);
  const memo = await run.memo(
    key,
    () =>
      resolve(run, frames, frame, job, () =>
        clock.progress?.(0),
      ) as Promise<unknown> as Promise<Json>,
    () => verifyUnchanged(source),
    true,
  );
  const { features: resolved, parts } = memo as unknown as Resolved;
  const assigned = resolved.folds;
  const filled = source.files.filter((file) => file.rows > 0);
  return {
    X: Matrix.of(run, frame.encode(resolved.features)),
    y: Matrix.of(run, frame.encode([resolved.target])),
    cv: assigned
      ? {
          folds: assigned.count,
          assignment: Matrix.of(run, frame.encode([assigned.feature])),
        }
      : foldRule(job, filled),
    ...(parts ? { parts: dataParts(run, frame, job, resolved, parts, filled) } : {}),
    resolved,
    source,
    warnings: [...(frame.description.warnings ?? []), ...resolved.warnings],
    dropped: frame.description.dropped ?? 0,
  };
}

/** @throws ConfigError when the job is tied to another engine: nothing kept of a run there may answer here */
function requireDialect({ data: { dialect } }: Job, engine: OpenSession['engine']): void {
  if (dialect === undefined || DIALECT_ENGINES[dialect] === engine) return;
  const own = DIALECT_ENGINES[dialect];
  throw new ConfigError(
    `data.dialect: expected engine ${own} for dialect ${dialect}, got ${engine}; run with --engine ${own}, or leave the dialect out`,
    { key: 'data.dialect', value: dialect },
  );
}

/** Shuffled folds of several files are shuffled within each, so that a row's fold never depends on the files beside it. */
function foldRule({ cv }: Job, files: readonly FrameFile[]): CrossValidation {
  if (cv.kind !== 'kfold') throw new RangeError('folds: expected a rule, got a column');
  const { folds, shuffle, seed } = cv;
  if (!shuffle || files.length < 2) return { folds, shuffle, seed };
  return { folds, shuffle, seed, files: shuffledFiles(files, seed) };
}

function shuffledFiles(files: readonly FrameFile[], seed: number): DataPart['files'] {
  return files.map((file) => ({ rows: file.rows, seed: fileSeed(seed, file) }));
}

async function resolve(
  run: Run,
  frames: FrameEngine,
  frame: Frame,
  job: Job,
  onScan: () => void,
): Promise<Resolved> {
  const { cv, data } = job;
  const start = performance.now();
  const { description } = frame;
  const counted = counting(frames, run, onScan);
  const byFile =
    description.source.files.length > 1 && description.isUniform !== false
      ? new FileProfiles(counted, (key, compute, unchanged) =>
          run.memo(key, compute as () => Promise<Json>, unchanged),
        )
      : undefined;
  const features = await resolveFeatures(byFile ?? counted, description, {
    ...(data.features ? { features: data.features } : {}),
    dialect: data.dialect,
    target: data.target,
    ...(cv.kind === 'group' ? { group: { column: cv.column, folds: cv.folds } } : {}),
    ...(cv.kind === 'predefined' ? { predefined: { column: cv.column } } : {}),
  });
  run.statistics.bar(frames.name, 'profile', start, performance.now());
  return { features, parts: byFile ? planParts(byFile, description.source, features, job) : null };
}

/** The parts and their features; null when one part would hold everything. */
function planParts(
  profiles: FileProfiles,
  source: FrameSource,
  { features, folds }: ResolvedFeatures,
  { cv }: Job,
): PlannedPart[] | null {
  const side = features.reduce((width, feature) => width + featureWidth(feature), 2);
  const groups = folds ? folds.count + 1 : cv.kind === 'kfold' ? cv.folds : 1;
  const parts = partFiles(source.files, groups * side * side * Float64Array.BYTES_PER_ELEMENT);
  if (parts.length < 2) return null;
  return parts.map((files) => {
    const known = new Map<string, ColumnProfile | undefined>();
    const profileOf = ({ sql, dialect }: SqlText): ColumnProfile | undefined => {
      const key = `${dialect ?? ''} ${sql}`;
      if (!known.has(key))
        known.set(key, profiles.ofFiles(files, { sql, ...(dialect ? { dialect } : {}) }));
      return known.get(key);
    };
    const fold = folds ? partFeatures([folds.feature], profileOf).features[0]! : null;
    return { files: files.length, fold, ...partFeatures(features, profileOf) };
  });
}

function dataParts(
  run: Run,
  frame: Frame,
  job: Job,
  resolved: ResolvedFeatures,
  planned: readonly PlannedPart[],
  filled: readonly FrameFile[],
): DataPart[] {
  const seed = job.cv.kind === 'kfold' ? job.cv.seed : 0;
  let next = 0;
  let firstRow = 0;
  return planned.map(({ files: count, features, columns, fold }) => {
    const files = filled.slice(next, next + count);
    next += count;
    const part = frame.part(files);
    const own: DataPart = {
      X: Matrix.of(run, part.encode(features)),
      y: Matrix.of(run, part.encode([resolved.target])),
      columns,
      files: shuffledFiles(files, seed),
      firstRow,
      ...(fold ? { assignment: Matrix.of(run, part.encode([fold])) } : {}),
    };
    firstRow += own.X.rows;
    return own;
  });
}

/** Counts the scans an engine makes, and the rows they read, into the run's statistics, and says when one begins. */
function counting(frames: FrameEngine, run: Run, onScan: () => void): FrameEngine {
  const count = (source: FrameSource): void => {
    onScan();
    run.statistics.scans++;
    run.statistics.rowsRead += source.files.reduce((rows, file) => rows + file.rows, 0);
  };
  return {
    name: frames.name,
    describe: (path, options) => frames.describe(path, options),
    profile: (source, requests) => {
      count(source);
      return frames.profile(source, requests);
    },
    ...(frames.profileFiles
      ? {
          profileFiles: (source, requests) => {
            count(source);
            return frames.profileFiles!(source, requests);
          },
        }
      : {}),
  };
}
