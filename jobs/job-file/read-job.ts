/**
 * From a job file and overrides to a `Job`. Invariant: either a valid job comes out or one
 * `ConfigError` that lists every problem as `file:line:column: key: expected .., got ..` (or
 * `command line: ..` for an override).
 */
import { basename, dirname, extname, resolve } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import { closest } from '../../driver/support/closest.js';
import { devicesOf } from '../devices/device-choice.js';
import type { Params } from '../estimators/estimator.js';
import { type StepDocument, stepOf } from '../prepare/chosen-steps.js';
import { checkSchedule } from '../schedule/read-schedule.js';
import type { SearchModel } from '../search/candidates.js';
import { nameOf } from '../search/scoring/scorers.js';
import { storePlace } from '../store-place.js';
import { checkJob, type Problem } from './check-job.js';
import { scrubberOf, shownSpark, sparkSection } from './check-spark.js';
import { resolveDataPath } from './data-path.js';
import {
  type DocumentOptions,
  parseDocument,
  type ReadDocument,
  readDocument,
} from './document.js';
import type { Job } from './job.js';
import {
  type ModelDocument,
  modelsOf,
  type NamedModel,
  namedModels,
  parametersOf,
} from './model-schema.js';
import type { Override } from './overrides.js';
import { problemsOf } from './problems.js';
import { plain, readOptions } from './read-options.js';
import { type JobDocument, SEARCH_KINDS, schemaOf } from './schema.js';
import { scoringsOf } from './scoring-schema.js';
import { namedType, subSpaces } from './space-schema.js';
import { splitRules } from './split-schema.js';

export interface ReadJobOptions extends DocumentOptions {
  /** Folder for run folders, before any `output` of the file. Relative to `cwd`. */
  readonly output?: string;
  /** False: results are kept nowhere, whatever file and environment say. */
  readonly store?: boolean;
}

/** Reads and checks a job file. @throws ConfigError listing every problem */
export async function readJob(file: string, options: ReadJobOptions = {}): Promise<Job> {
  return jobOf(await readDocument(file, options), options);
}

/** As `readJob`, from text already read; `file` names it in messages and is its paths' base. */
export function parseJob(file: string, text: string, options: ReadJobOptions = {}): Job {
  return jobOf(parseDocument(file, text, options), options);
}

/** The job of a document. @throws ConfigError listing every problem */
export function jobOf(source: ReadDocument, options: ReadJobOptions = {}): Job {
  const cwd = options.cwd ?? process.cwd();
  if (options.output === '') {
    throw new ConfigError('--output: expected a folder, got an empty name', {
      key: '--output',
      source: 'flag',
    });
  }
  const { file, overrides } = source;
  if (isOfNoKind(source.value)) throw source.error([kindProblem(source.value)]);
  const document = nanToText(source.value);
  const parsed = schemaOf(document).safeParse(document);
  const problems = parsed.success
    ? checkJob(parsed.data)
    : problemsOf(parsed.error.issues, document);
  if (problems.length > 0 || !parsed.success) throw source.error(problems, scrubberOf(document));
  checkSchedule(source, cwd);
  const { output, store } = options;
  return resolveJob(parsed.data, { file, cwd, overrides, output, store });
}

const KINDS: readonly string[] = [...SEARCH_KINDS, 'pipeline'];

/** Whether a document has another kind, or none and the steps of a pipeline. */
function isOfNoKind({ kind, steps }: Readonly<Record<string, unknown>>): boolean {
  return kind === undefined
    ? steps !== undefined
    : kind === 'pipeline' || !KINDS.includes(kind as string);
}

/** Told alone: what else seems wrong is right for the kind that was meant. */
function kindProblem({ kind }: Readonly<Record<string, unknown>>): Problem {
  const meant = typeof kind === 'string' ? closest(kind, KINDS) : undefined;
  const got = kind === undefined ? 'none' : JSON.stringify(kind);
  const remedy = meant === undefined ? '' : ` (did you mean ${meant}?)`;
  return { path: ['kind'], message: `expected one of ${KINDS.join(', ')}${remedy}, got ${got}` };
}

/** YAML's `.nan` for `error_score` becomes the word, since NaN is no number to the schema. */
function nanToText(document: unknown): unknown {
  if (typeof document !== 'object' || document === null) return document;
  const { error_score: score } = document as { error_score?: unknown };
  return Number.isNaN(score) ? { ...document, error_score: 'nan' } : document;
}

interface Context {
  readonly file: string;
  readonly cwd: string;
  readonly overrides: readonly Override[];
  readonly output: string | undefined;
  readonly store: boolean | undefined;
}

function resolveJob(document: JobDocument, context: Context): Job {
  const folder = dirname(resolve(context.cwd, context.file));
  const { data, spark } = document;
  const overridden = (key: string): boolean =>
    context.overrides.some((override) => override.path.join('.') === key);
  const path =
    data.path === undefined
      ? `table://${data.table}`
      : resolveDataPath(data.path, folder, overridden('data.path') ? context.cwd : folder);
  const output =
    context.output !== undefined || document.output === undefined
      ? resolve(context.cwd, context.output ?? 'runs')
      : resolve(overridden('output') ? context.cwd : folder, document.output);
  const scoring = scoringsOf(document.scoring, data.dialect);
  const [first] = scoring;
  const target = typeof data.target === 'string' ? { name: data.target } : data.target;
  const name = document.name ?? basename(context.file, extname(context.file));
  const models = resolveModels(document, folder);
  const [model] = models;
  const isNamed = modelsOf(document).some((one) => one.name !== undefined) || models.length > 1;
  const isClassification = model!.estimator.task === 'classification';
  return {
    kind: document.kind,
    name,
    data: {
      path,
      read: {
        ...readOptions(data),
        ...(data.drop_missing_target && target ? { dropMissing: target.name } : {}),
      },
      ...(data.dialect ? { dialect: data.dialect } : {}),
      ...(target === undefined ? {} : { target }),
      ...(data.weight === undefined ? {} : { weight: data.weight }),
      ...(data.features
        ? { features: data.features.map((f) => (typeof f === 'string' ? { name: f } : plain(f))) }
        : {}),
      dtype: data.dtype,
      standardize: data.standardize,
    },
    store: context.store === false ? null : storePlace(folder, document.store, context.cwd),
    ...(document.reuse === undefined ? {} : { reuse: document.reuse }),
    ...devicesOf(document.devices),
    ...(spark ? { spark: sparkSection(spark, folder) } : {}),
    models,
    search: resolveSearch(document),
    cv: splitRules(document.cv, isClassification, target?.name),
    scoring,
    metric: typeof document.refit === 'string' ? document.refit : nameOf(first!),
    refit: document.refit !== false,
    errorScore: document.error_score === 'nan' ? Number.NaN : document.error_score,
    output,
    document: {
      ...document,
      name,
      model: Array.isArray(document.model)
        ? models.map((one) => modelDocument(one, isNamed))
        : modelDocument(model!, isNamed),
      ...(spark ? { spark: shownSpark(spark) } : {}),
    },
  };
}

/** The models of a document, without the parameters that are searched. */
function resolveModels(document: JobDocument, folder: string): SearchModel[] {
  const named = namedModels(document) as readonly NamedModel[];
  const spaces = subSpaces(document.search, named);
  const prepare = (document.prepare ?? []).map((step): StepDocument => {
    const files = stepOf(step).files ?? [];
    const paths = files.flatMap((key) => {
      const path = step[key];
      return typeof path === 'string'
        ? [[key, resolveDataPath(path, folder, folder)] as const]
        : [];
    });
    return { ...plain(step), ...Object.fromEntries(paths) };
  });
  return modelsOf(document).map((given, i) => {
    const { name, estimator } = named[i]!;
    const searched = spaces.flatMap(({ models, values }) =>
      models.includes(name) ? Object.keys(values) : [],
    );
    const fallbacks = parametersOf(estimator).flatMap((own) =>
      searched.includes(own.name) ? [] : [[own.name, own.fallback] as const],
    );
    const { type: _, name: __, ...params } = plain(given);
    const all = { ...Object.fromEntries(fallbacks), ...params } as Params;
    return { name, estimator, params: all, ...(prepare.length > 0 ? { prepare } : {}) };
  });
}

/** As a document says it. */
function modelDocument({ name, estimator, params }: SearchModel, isNamed: boolean): ModelDocument {
  return { type: estimator.name, ...(isNamed ? { name } : {}), ...params };
}

function resolveSearch(document: JobDocument): Job['search'] {
  const { search } = document;
  const { max_failures: maxFailures, fail_fast: failFast, max_seconds: maxSeconds } = search;
  const type = namedType(document)!;
  const settings = Object.keys(type.keys).map((key) => [key, search[key]] as const);
  return {
    type,
    space: subSpaces(search, namedModels(document) as readonly NamedModel[]),
    settings: plain(Object.fromEntries(settings)),
    ...(failFast ? { maxFailures: 0 } : {}),
    ...(maxFailures === undefined ? {} : { maxFailures }),
    ...(maxSeconds === undefined ? {} : { maxSeconds }),
    ...(search.ensemble ? { ensemble: search.ensemble } : {}),
  };
}
