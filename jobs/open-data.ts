/**
 * Opens a job's data: the frame, its features, the folds, and the parts that results are kept for.
 * Invariant: nothing is read but what is not known yet of the files: each one's identity, columns
 * and profile.
 */
import { performance } from 'node:perf_hooks';
import { isRemote } from '../driver/frame/identity.js';
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
  featureWidth,
  fileTree,
  type Json,
  lineageKey,
  Matrix,
  openFrame,
  ownCategories,
  type ResolvedFeatures,
  type Run,
  resolveFeatures,
} from '../driver/index.js';
import { memoryShares } from '../driver/support/memory.js';
import { DIALECT_ENGINES, type OpenSession } from './engines.js';
import type { Job } from './job-file/job.js';
import { makeNested, type NestedSplits } from './search/splits/nested-splits.js';
import type { Splits } from './search/splits/partition.js';
import { makeSplits, type SplitRows } from './search/splits/resolve.js';

export interface JobData {
  readonly X: Matrix;
  /** Numbers or class numbers; absent without a target. */
  readonly y?: Matrix;
  /** Weights of the rows; absent where all count alike. */
  readonly weight?: Matrix;
  /** The target's values by class number; none for a target of numbers. */
  readonly classes: readonly ClassValue[];
  readonly cv: Splits;
  readonly nested?: NestedSplits;
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

/** What is known once the files were examined, and what that took. */
interface ResolvedData {
  readonly features: ResolvedFeatures;
  readonly learned: FileProfiles['learned'];
}

/** What parts of the data need of the features, and of the column that folds follow. */
interface DataParts {
  readonly parts?: readonly EncodedPart[];
  readonly foldParts?: readonly EncodedPart[];
}

/** Raised when what is kept with the resolved features changes. */
const VERSION = 9;

/**
 * Opens the frame and encodes features, target and folds; reads only what resolving needs.
 * @param fromStatistics see `FeatureSelection`
 */
export async function openData(
  open: OpenSession,
  run: Run,
  job: Job,
  clock: { enter(phase: string): void; progress?(fraction: number): void },
  fromStatistics: boolean,
): Promise<JobData> {
  const { frames, engine } = open;
  requireDialect(job, engine);
  const { dtype } = job.data;
  clock.enter('open');
  const frame = await openFrame(run, frames, job.data.path, job.data.read);
  clock.enter('profile');
  const { source } = frame.description;
  const key = JSON.stringify([
    VERSION,
    lineageKey(frame.expr),
    job.data.features ?? null,
    job.data.dialect ?? null,
    job.data.target ?? null,
    ...(job.data.weight === undefined ? [] : [{ weight: job.data.weight }]),
    ...(isClassification(job) ? ['classes'] : []),
    ...(keepsMissing(job) ? ['keeps missing'] : []),
    job.cv,
    ...(dtype === 'float32' ? [dtype] : []),
    fromStatistics,
  ]);
  const profiles = profilesOf(run, profilerOf(open, frame, job), () => clock.progress?.(0));
  const memo = await run.memo(
    key,
    () => resolve(run, profiles, frame, job, fromStatistics) as Promise<unknown> as Promise<Json>,
    // Every profile it is made of was compared with the files after it was read.
    async () => undefined,
    true,
  );
  const known = memo as unknown as ResolvedData;
  const { features: resolved } = known;
  const { parts, foldParts } = await dataParts(profiles, frame, job, known);
  const { target, weight } = resolved;
  const warnings: string[] = [];
  const rows = splitRows(run, frame, resolved, foldParts);
  const warn = (message: string): void => void warnings.push(message);
  const cv = await makeSplits(run, job.cv, rows, warn);
  const { outer } = job.cv;
  const nested = outer && (await makeNested(run, { outer, inner: job.cv }, rows, () => undefined));
  return {
    X: Matrix.of(run, frame.encode(resolved.features, { dtype, parts })),
    // Operands have one dtype; folds are numbers of groups in either.
    ...(target ? { y: Matrix.of(run, frame.encode([target], { dtype })) } : {}),
    ...(weight ? { weight: Matrix.of(run, frame.encode([weight])) } : {}),
    classes: resolved.classes ?? [],
    cv,
    ...(nested ? { nested } : {}),
    parts: parts ?? [],
    resolved,
    source,
    columns: frame.columns,
    warnings: [...(frame.description.warnings ?? []), ...resolved.warnings, ...warnings],
    dropped: frame.description.dropped ?? 0,
  };
}

/**
 * What profiles the data. A profile is exact on every engine, and DuckDB has one of files on this
 * machine before a JVM has compiled its first query; the files of a Spark elsewhere may be others.
 */
function profilerOf(
  { frames, duckdb, spark }: OpenSession,
  { description: { source } }: Frame,
  { data: { dialect } }: Job,
): FrameEngine {
  const isOurs = spark?.survey.isHere === true && !source.files.some(({ path }) => isRemote(path));
  const isReadable = dialect !== 'spark' && source.format !== 'orc';
  return isOurs && isReadable && duckdb !== undefined ? duckdb : frames;
}

/** Whether cleaning steps are to say what stands for missing numbers. */
function keepsMissing({ models }: Job): boolean {
  return models.some(({ prepare = [] }) => prepare.length > 0);
}

function isClassification({ models }: Job): boolean {
  return models[0]!.estimator.task === 'classification';
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

/** What rules of splits know of the rows. */
function splitRows(
  run: Run,
  frame: Frame,
  { folds: given, categories }: ResolvedFeatures,
  foldParts: DataParts['foldParts'],
): SplitRows {
  const encode = (feature: EncodedFeature, parts?: readonly EncodedPart[]): Matrix =>
    Matrix.of(run, frame.encode([feature], { parts }));
  // Only one column has parts.
  const groupParts = given === undefined ? foldParts : undefined;
  const [group, strata] = (['group', 'stratify'] as const).map((role) =>
    categories.find((one) => one.role === role),
  );
  return {
    rows: frame.expr.rows,
    ...(strata
      ? {
          strata: {
            column: strata.column,
            classOf: encode(strata.feature),
            classes: strata.counts.length,
            ...(strata.feature.kind === 'map' ? { names: namesOf(strata.feature) } : {}),
          },
        }
      : {}),
    ...(group
      ? {
          groups: {
            column: group.column,
            groupOf: encode(group.feature, groupParts),
            counts: group.counts,
            foldOf: (folds, count) => {
              const mapped = (feature: EncodedFeature): EncodedFeature =>
                feature.kind === 'map'
                  ? { ...feature, values: feature.values.map((n) => folds[n]!), fallback: count }
                  : feature;
              const parts = groupParts?.map((part) => ({
                ...part,
                features: part.features.map(mapped),
              }));
              return encode(mapped(group.feature), parts);
            },
          },
        }
      : {}),
    ...(given ? { given: { groupOf: encode(given.feature, foldParts), folds: given.count } } : {}),
    foldsByFile: (folds, seed) => {
      const byFile = frame.foldsByFile(folds, seed);
      return byFile && Matrix.of(run, byFile);
    },
  };
}

/** By class number. */
function namesOf({ categories, values }: EncodedFeature & { readonly kind: 'map' }): string[] {
  return values.map((_, c) => categories[values.indexOf(c)]!);
}

function profilesOf(run: Run, frames: FrameEngine, onScan: () => void): FileProfiles {
  return new FileProfiles(frames, run, (files) => {
    onScan();
    run.statistics.scans++;
    run.statistics.rowsRead += files.reduce((rows, file) => rows + file.rows, 0);
  });
}

async function resolve(
  run: Run,
  profiles: FileProfiles,
  frame: Frame,
  job: Job,
  fromStatistics: boolean,
): Promise<ResolvedData> {
  const { cv, data } = job;
  const { group, stratify, predefined } = { ...cv.outer, ...cv };
  const { description } = frame;
  const start = performance.now();
  const features = await resolveFeatures(profiles, description, {
    ...(data.features ? { features: data.features } : {}),
    dialect: data.dialect,
    dtype: data.dtype,
    keepsMissing: keepsMissing(job),
    fromStatistics,
    ...(data.target === undefined ? {} : { target: data.target }),
    classes: isClassification(job),
    ...(data.weight === undefined ? {} : { weight: data.weight }),
    categories: [
      ...(group === undefined ? [] : [{ role: 'group' as const, column: group }]),
      ...(stratify === undefined ? [] : [{ role: 'stratify' as const, column: stratify }]),
    ],
    ...(predefined === undefined ? {} : { predefined: { column: predefined } }),
  });
  run.statistics.bar(profiles.name, 'profile', start, performance.now());
  return { features, learned: profiles.learned };
}

/** From the profiles of the files; reads what is not known of them any more. */
async function dataParts(
  profiles: FileProfiles,
  frame: Frame,
  job: Job,
  { features, learned }: ResolvedData,
): Promise<DataParts> {
  const { source } = frame.description;
  const widths = partWidths(features, job);
  const groups = source.isUndivided ? [] : fileTree(source.files, widths.bytes);
  if (groups.length < 2) return {};
  if (profiles.learned !== learned) await profiles.learn(source, learned);
  const scope = JSON.stringify([profiles.name, frame.expr.attrs.format, source.options ?? null]);
  const partsOf = (some: readonly EncodedFeature[]): EncodedPart[] =>
    encodedParts(some, groups, (group, text) => profiles.ofGroup(group, text), {
      most: widths.most,
      scope,
    });
  const parts = partsOf(features.features);
  const by = features.folds ?? features.categories.find(({ role }) => role === 'group');
  return by ? { parts, foldParts: partsOf([by.feature]) } : { parts };
}

/** Moments of one part may take this in all, and then have columns for more than is kept of it. */
const PART_SHARE = 1 / 1024;

/** How wide the moments of a part may be. */
function partWidths(
  { features, summary, folds }: ResolvedFeatures,
  { cv }: Job,
): { readonly most: number; readonly bytes: number } {
  const groups = cv.repeats * (folds ? folds.count + 1 : cv.folds);
  const cellsBytes = groups * Float64Array.BYTES_PER_ELEMENT;
  const shared = features.flatMap((one) => (one.kind === 'onehot' && one.other ? [one] : []));
  const wide = Math.sqrt((memoryShares().partsBytes * PART_SHARE) / cellsBytes);
  const most = Math.floor(wide / Math.max(1, shared.length));
  const distinct = new Map(summary.map((feature) => [feature.name, feature.distinct]));
  let side = encodedWidth(features) + 2;
  for (const feature of shared) {
    const unlisted = (distinct.get(feature.name) ?? 0) - featureWidth(feature);
    side += Math.max(0, Math.min(unlisted, ownCategories(feature, most)));
  }
  return { most, bytes: cellsBytes * side * side };
}
