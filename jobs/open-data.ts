/**
 * Opens a job's data: the frame, its features, the folds, and the parts that results are kept for.
 * Invariant: nothing is read but what is not known yet of the files: each one's identity, columns
 * and profile.
 */
import { performance } from 'node:perf_hooks';
import {
  type ClassValue,
  ConfigError,
  type EncodedFeature,
  type EncodedPart,
  encodedParts,
  encodedWidth,
  FileProfiles,
  type Frame,
  type FrameColumn,
  type FrameEngine,
  type FrameSource,
  type Json,
  Matrix,
  openFrame,
  partFiles,
  type ResolvedFeatures,
  type Run,
  resolveFeatures,
  verifyUnchanged,
} from '../driver/index.js';
import { DIALECT_ENGINES, type OpenSession } from './engines.js';
import type { Job } from './job-file/job.js';
import { foldPartition, resolveSplits, type Splits } from './search/splits/partition.js';

export interface JobData {
  readonly X: Matrix;
  /** Numbers or class numbers; absent without a target. */
  readonly y?: Matrix;
  /** The target's values by class number; none for a target of numbers. */
  readonly classes: readonly ClassValue[];
  readonly cv: Splits;
  /** Files or groups of files whose moments are kept apart; none for a single file. */
  readonly parts: readonly EncodedPart[];
  readonly resolved: ResolvedFeatures;
  readonly source: FrameSource;
  /** Of the files, features or not. */
  readonly columns: readonly FrameColumn[];
  /** What people should know of the data and the features. */
  readonly warnings: readonly string[];
  /** Rows left out. */
  readonly dropped: number;
}

/** What is known once the files were examined: features, and what parts need of them and folds. */
interface ResolvedData {
  readonly features: ResolvedFeatures;
  readonly parts?: readonly EncodedPart[];
  readonly foldParts?: readonly EncodedPart[];
}

/** Raised when what is kept with the resolved features changes. */
const VERSION = 5;

/** Opens the frame and encodes features, target and folds; reads only what resolving needs. */
export async function openData(
  { frames, engine }: OpenSession,
  run: Run,
  job: Job,
  clock: { enter(phase: string): void; progress?(fraction: number): void },
): Promise<JobData> {
  requireDialect(job, engine);
  const { dtype } = job.data;
  clock.enter('open');
  const frame = await openFrame(run, frames, job.data.path, job.data.read);
  clock.enter('profile');
  const { source } = frame.description;
  const key = JSON.stringify([
    VERSION,
    frame.expr.attrsText,
    job.data.features ?? null,
    job.data.dialect ?? null,
    job.data.target ?? null,
    ...(isClassification(job) ? ['classes'] : []),
    job.cv,
    ...(dtype === 'float32' ? [dtype] : []),
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
  const { features: resolved, parts, foldParts } = memo as unknown as ResolvedData;
  const { target } = resolved;
  return {
    X: Matrix.of(run, frame.encode(resolved.features, { dtype, parts })),
    // Operands have one dtype; folds are numbers of groups in either.
    ...(target ? { y: Matrix.of(run, frame.encode([target], { dtype })) } : {}),
    classes: resolved.classes ?? [],
    cv: crossValidation(run, frame, job, resolved, foldParts),
    parts: parts ?? [],
    resolved,
    source,
    columns: frame.columns,
    warnings: [...(frame.description.warnings ?? []), ...resolved.warnings],
    dropped: frame.description.dropped ?? 0,
  };
}

function isClassification({ model }: Job): boolean {
  return model.estimator.task === 'classification';
}

/** @throws ConfigError when the job is tied to another engine, whose results do not count here */
function requireDialect({ data: { dialect } }: Job, engine: OpenSession['engine']): void {
  if (dialect === undefined || DIALECT_ENGINES[dialect] === engine) return;
  const own = DIALECT_ENGINES[dialect];
  throw new ConfigError(
    `data.dialect: expected engine ${own} for dialect ${dialect}, got ${engine}; run with --engine ${own}, or leave the dialect out`,
    { key: 'data.dialect', value: dialect },
  );
}

function crossValidation(
  run: Run,
  frame: Frame,
  { cv }: Job,
  { folds: assigned }: ResolvedFeatures,
  foldParts: ResolvedData['foldParts'],
): Splits {
  if (assigned !== undefined) {
    const groupOf = Matrix.of(run, frame.encode([assigned.feature], { parts: foldParts }));
    // Rows that always train are the last group.
    return [foldPartition(groupOf, assigned.count, assigned.count + 1)];
  }
  if (cv.kind !== 'kfold') throw new RangeError('folds: expected a rule, got a column');
  const { folds, shuffle, seed } = cv;
  const byFile = shuffle ? frame.foldsByFile(folds, seed) : undefined;
  if (byFile === undefined) return resolveSplits(run, frame.expr.rows, { folds, shuffle, seed });
  return [foldPartition(Matrix.of(run, byFile), folds)];
}

async function resolve(
  run: Run,
  frames: FrameEngine,
  frame: Frame,
  job: Job,
  onScan: () => void,
): Promise<ResolvedData> {
  const { cv, data } = job;
  const { description } = frame;
  const start = performance.now();
  const profiles = new FileProfiles(
    frames,
    (key, compute, unchanged) => run.memo(key, compute as () => Promise<Json>, unchanged),
    (files) => {
      onScan();
      run.statistics.scans++;
      run.statistics.rowsRead += files.reduce((rows, file) => rows + file.rows, 0);
    },
  );
  const features = await resolveFeatures(profiles, description, {
    ...(data.features ? { features: data.features } : {}),
    dialect: data.dialect,
    dtype: data.dtype,
    ...(data.target === undefined ? {} : { target: data.target }),
    classes: isClassification(job),
    ...(cv.kind === 'group' ? { group: { column: cv.column, folds: cv.folds } } : {}),
    ...(cv.kind === 'predefined' ? { predefined: { column: cv.column } } : {}),
  });
  run.statistics.bar(frames.name, 'profile', start, performance.now());
  const { source } = description;
  const files = source.isUndivided ? [] : partFiles(source.files, momentBytes(features, job));
  if (files.length < 2) return { features };
  const partsOf = (some: readonly EncodedFeature[]): EncodedPart[] =>
    encodedParts(some, files, (part, text) => profiles.ofFiles(part, text));
  const { folds } = features;
  const parts = partsOf(features.features);
  return folds ? { features, parts, foldParts: partsOf([folds.feature]) } : { features, parts };
}

/** What the moments of one part take. @units bytes */
function momentBytes({ features, folds }: ResolvedFeatures, { cv }: Job): number {
  const side = encodedWidth(features) + 2;
  const groups = folds ? folds.count + 1 : cv.kind === 'kfold' ? cv.folds : 1;
  return groups * side * side * Float64Array.BYTES_PER_ELEMENT;
}
