/**
 * The shape of a job file, stated once: zod checks files with it, the JSON Schema for editors is
 * printed from it, and `JobDocument` is its type. Invariant: unknown keys are refused, and every
 * key says its meaning and default. `model-schema.ts` adds estimators' keys. Rules across keys are
 * in `check-job.ts`, so that each names its key.
 */
import * as z from 'zod';
import { DTYPES } from '../../driver/ir/dtype.js';
import { CSV_ENCODINGS, SCHEMA_TYPES } from '../../driver/ir/read-options.js';
import { REUSE_WORDS } from '../../driver/support/reuse-words.js';
import { parseSize } from '../../driver/support/size.js';
import { secretSource } from '../config/secret-schema.js';
import { EXPECTED_DEVICES, parseDevices } from '../devices/device-choice.js';
import type { Task } from '../estimators/estimator.js';
import { estimators } from '../estimators/index.js';
import { searchTypes } from '../search/strategies/index.js';
import { documentKeys } from './document.js';
import { feature } from './feature-schema.js';
import {
  type ModelsDocument,
  modelOf,
  type NamedModel,
  type NamedParameter,
  namedModels,
  unknownModel,
} from './model-schema.js';
import { isMap } from './plain-data.js';
import { anyPrepareSchema, namedSteps, prepareSchema, stepParameters } from './prepare-schema.js';
import { scoringOf } from './scoring-schema.js';
import {
  anySpaceSchema,
  namedType,
  type SearchDocument,
  SPACE_KEYS,
  searchSchema,
  spaceSchema,
  unknownSearch,
} from './space-schema.js';
import { cvSchema } from './split-schema.js';

const text = (max: number) => z.string().min(1).max(max);
/** No file system takes a NUL. */
const pathText = text(4096).refine((value) => !value.includes('\0'), {
  error: 'a path without NUL',
});

const name = text(200)
  .refine((value) => !hasControlCharacter(value), { error: 'text without control characters' })
  .meta({ description: 'Name of the job, used in the run folder. Default: the file name.' });

/** One character that can stand between or around cells. */
const character = z
  .string()
  .refine((value) => value.length === 1 && !/[\r\n\0]/.test(value), { error: 'one character' });

/** YAML reads `null` and -999 as what they are, but in a file both are text. */
const nullToken = z.union([text(100), z.number(), z.null()]);

const csv = z
  .strictObject({
    delimiter: character.optional().meta({
      description:
        'Between cells. Default: comma, semicolon, tab or bar, as the first line has it.',
    }),
    quote: z
      .union([character, z.literal('')])
      .optional()
      .meta({ description: 'Around cells that hold a delimiter; empty for none. Default: `"`.' }),
    escape: character.optional().meta({
      description: 'Before a quote that is part of a cell. Default: the quote once more.',
    }),
    header: z.boolean().optional().meta({
      description:
        'Whether the first line names the columns; else they are column0, column1, .. Default: true.',
    }),
    skip: z.int().min(0).max(1_000_000).optional().meta({
      description: 'Lines before the header to leave out. Default: 0.',
    }),
    null: z
      .union([nullToken, z.array(nullToken).max(100)])
      .optional()
      .meta({
        description:
          "What means a missing value besides an empty cell; `pandas` stands for pandas' own list.",
      }),
    decimal: z.enum(['.', ',']).optional().meta({
      description: 'Before the decimals of a number. Default: `.`.',
    }),
    thousands: character.optional().meta({
      description: 'Between groups of three digits. Default: none.',
    }),
    encoding: z.enum(CSV_ENCODINGS).optional().meta({
      description: 'How characters stand as bytes. Default: utf-8.',
    }),
    comment: character.optional().meta({
      description: 'Lines that begin with it are left out. Default: none.',
    }),
  })
  .meta({ id: 'csv' });

/** Keys that say how files are read. */
export const readKeys = {
  format: z.enum(['parquet', 'orc', 'csv', 'arrow', 'jsonl']).optional().meta({
    description: 'Format of the files. Default: by their extension. ORC is read by Spark only.',
  }),
  csv: csv.optional().meta({ description: 'How CSV files are written.' }),
  schema: z.record(text(500), z.enum(SCHEMA_TYPES)).optional().meta({
    description:
      'Types of columns of CSV and JSON lines; a value that does not fit stops the job. Default: found out from all rows.',
  }),
  partitions: z.boolean().optional().meta({
    description: 'Whether folders named `column=value` are columns. Default: true.',
  }),
};

/** What they say. */
export type ReadKeys = z.output<z.ZodObject<typeof readKeys, z.core.$strict>>;

const dataKeys = {
  path: pathText.optional().meta({
    description: 'A file, folder or glob; relative to the job file.',
  }),
  table: text(1000).optional().meta({
    description: 'Instead of `path`: a table of Parquet or ORC files in the catalog of Spark.',
  }),
  ...readKeys,
  weight: text(500).optional().meta({
    description:
      "Column of the rows' weights in fits, from 0; scores count all rows alike. Default: none.",
  }),
  drop_missing_target: z.boolean().default(false).meta({
    description: 'Leave out the rows without a target, and say how many. Default: false.',
  }),
  features: z
    .array(feature)
    .min(1)
    .max(10_000)
    .optional()
    .meta({ description: 'What to predict from. Default: every column but the target.' }),
  dialect: z.enum(['duckdb', 'spark']).optional().meta({
    description:
      'Take any function of DuckDB, or of Spark, in `sql`; the job then runs on that engine only. Default: what means the same on both.',
  }),
  dtype: z.enum(DTYPES).default('float64').meta({
    description:
      'Cells of features and target: `float32` takes half the memory and keeps 7 digits; moments, fits and scores are float64 always. Default: float64.',
  }),
  standardize: z.boolean().default(false).meta({
    description:
      'Scale columns to mean 0 and deviation 1, fitted on the training rows. Default: false.',
  }),
};

const target = z
  .union([
    text(500),
    z.strictObject({
      name: text(500).meta({ description: 'What it is called; a name that no column has.' }),
      sql: text(10_000).meta({
        description:
          'Expression over the columns, as of a feature: `delay > 15`. `features` are to be listed.',
      }),
    }),
  ])
  .meta({
    description:
      'The column to predict, or `{name, sql}`: a number, or text, booleans or whole numbers as classes.',
  });

/** `data` of a job for estimators that do one of these tasks, some of which have no target. */
function dataOf(tasks: readonly Task[]): z.ZodType<DataDocument> {
  const isSupervised = (task: Task): boolean => task === 'regression' || task === 'classification';
  if (tasks.every(isSupervised)) return z.strictObject({ ...dataKeys, target });
  if (!tasks.some(isSupervised)) return z.strictObject(dataKeys);
  return z.strictObject({ ...dataKeys, target: target.optional() });
}

type DataDocument = z.output<z.ZodObject<typeof dataKeys, z.core.$strict>> & {
  readonly target?: z.output<typeof target> | undefined;
};

const store = z.union([
  z.literal(false),
  z.strictObject({
    folder: text(4096).optional().meta({
      description: 'Folder for them; relative to the job file. Default: .reprise.',
    }),
    size: z
      .string()
      .refine((value) => parseSize(value) !== undefined, { error: 'a size such as 5GiB or 500MB' })
      .optional()
      .meta({ description: 'What they may take: `5GiB`, `500MB`. Default: 2GiB.' }),
  }),
]);

const spark = z.strictObject({
  master: text(1000).optional().meta({
    description:
      'Where `--engine spark` runs: `spark://HOST:PORT`, `yarn`, `k8s://https://HOST:PORT` or `local[N]`, by spark-submit. Default: REPRISE_SPARK_MASTER, else Livy or this machine.',
  }),
  conf: z
    .record(text(500), z.union([z.string().max(10_000), z.number(), z.boolean(), secretSource]))
    .optional()
    .meta({
      description:
        'Settings of Spark, by their names: `spark.executor.memory: 4g`. Secrets by `{env: NAME}`, `{file: PATH}` or `{command: [PROGRAM, ..]}`.',
    }),
  packages: z.array(text(500)).max(100).optional().meta({
    description: 'Maven coordinates for driver and executors, `group:artifact:version`.',
  }),
});

/** Keys that say where anything runs and what it leaves where. */
export const runKeys = {
  name: name.optional(),
  store: store.optional().meta({
    description:
      'Where results are kept for later runs, `false` for nowhere. Default: .reprise beside the job file.',
  }),
  reuse: z.enum(REUSE_WORDS).optional().meta({
    description:
      'What is reused: `off`, or what one kind of system reuses and no more (`operators`, `steps`, `input`, `predictions`, `layers`, `functions`), or all. Default: full.',
  }),
  devices: z
    .union([z.string().max(1000), z.array(z.string().max(20)).max(64)])
    .refine((value) => parseDevices(value) !== undefined, { error: EXPECTED_DEVICES })
    .optional()
    .meta({
      description:
        'GPUs that work beside the processor: `auto` takes those there are, `none` takes none, `[opencl:0, cuda:0]` these. Default: auto.',
    }),
  spark: spark.optional().meta({ description: 'Where and how `--engine spark` runs.' }),
  output: pathText
    .optional()
    .meta({ description: 'Folder for run folders; relative to the job file. Default: ./runs.' }),
};

/** Kinds of jobs that are searches. */
export const SEARCH_KINDS = ['grid-search', 'search'] as const;

/** A job file for an estimator that does one of these tasks. */
function jobWith(
  model: z.ZodType<ModelsDocument>,
  search: z.ZodType<SearchDocument>,
  tasks: readonly Task[],
  prepare: ReturnType<typeof prepareSchema>,
) {
  return z.strictObject({
    kind: z.enum(SEARCH_KINDS).meta({
      description: 'What to run: a search; `grid-search` is the same under its first name.',
    }),
    name: runKeys.name,
    ...documentKeys,
    data: dataOf(tasks).meta({ description: 'What to learn from.' }),
    store: runKeys.store,
    reuse: runKeys.reuse,
    devices: runKeys.devices,
    spark: runKeys.spark,
    prepare,
    model: model.meta({ description: 'What to fit: a model, or a list of models of one task.' }),
    search: search.prefault({}).meta({
      description: 'The candidates to try. Default: those that `model` says.',
    }),
    cv: cvSchema.prefault({}).meta({ description: 'How rows are split into folds.' }),
    scoring: scoringOf(tasks),
    refit: z
      .union([text(200), z.literal(false)])
      .optional()
      .meta({
        description:
          'Metric to choose the best candidate by, then fitted on all rows; `false` fits none. Default: the first scored.',
      }),
    error_score: z
      .union([z.number(), z.literal(['raise', 'nan'])])
      .default('nan')
      .meta({
        description: 'Score of a candidate whose fit fails, or `raise` to stop. Default: nan.',
      }),
    output: runKeys.output,
  });
}

const ALL_TASKS = estimators.map(({ task }) => task);

/** By what they depend on, made when first asked for. */
const schemas = new Map<string, JobSchema>();

/** The schema that a document is checked by: that of the models and the type of search it names. */
export function schemaOf(document: unknown): JobSchema {
  const named = namedModels(document);
  const type = namedType(document);
  const { model, search } = (document ?? {}) as { model?: unknown; search?: unknown };
  const spaces = SPACE_KEYS.map((key) => (isMap(search) ? search[key] : undefined));
  const subs = spaces.map((space) => [space].flat().map((one) => (isMap(one) ? one.model : null)));
  const shape = [Array.isArray(model), named.map((one) => one && [one.name, one.estimator.name])];
  const { prepare } = (document ?? {}) as { prepare?: unknown };
  const steps = [Array.isArray(prepare), [prepare].flat().map((one) => isMap(one) && [one.step, one.name])]; // biome-ignore format: a key
  const key = JSON.stringify([...shape, type?.type, spaces.map(Array.isArray), subs, steps]);
  let schema = schemas.get(key);
  if (schema === undefined) {
    const known = named.filter((one) => one !== undefined);
    const isKnown = known.length === named.length && known.length > 0;
    schema = jobWith(
      modelsSchema(model, named),
      !isKnown
        ? anySearch
        : documentSearch(type, search, known, stepParameters(namedSteps(document))),
      isKnown ? [known[0]!.estimator.task] : ALL_TASKS,
      prepareSchema(document),
    );
    schemas.set(key, schema);
  }
  return schema;
}

const anySearch = z.unknown() as z.ZodType<SearchDocument>;

function modelsSchema(
  given: unknown,
  named: readonly (NamedModel | undefined)[],
): z.ZodType<ModelsDocument> {
  const own = named.map((one) =>
    one === undefined ? unknownModel : modelOf(one.estimator, Array.isArray(given)),
  );
  if (!Array.isArray(given)) return own[0]!;
  if (own.length === 0) return z.array(unknownModel).min(1);
  return z.tuple(own as [z.ZodType, ...z.ZodType[]]) as unknown as z.ZodType<ModelsDocument>;
}

function documentSearch(
  type: ReturnType<typeof namedType>,
  given: unknown,
  models: readonly NamedModel[],
  steps: readonly NamedParameter[],
): z.ZodType<SearchDocument> {
  if (type === undefined) return unknownSearch;
  const space = isMap(given) ? given : {};
  return searchSchema(type, (key) => spaceSchema(key, space[key], models, steps));
}

/** Every job file there can be, for editors. */
export function editorSchema(): JobSchema {
  const [one, some] = [false, true].map((isOfSeveral) =>
    z.union(estimators.map((estimator) => modelOf(estimator, isOfSeveral))),
  );
  const spaces = Object.fromEntries(
    SPACE_KEYS.map((key) => [key, anySpaceSchema(key, estimators).meta({ id: key })]),
  );
  const search = searchTypes.map((type) => searchSchema(type, (key) => spaces[key]!));
  return jobWith(
    z.union([one!, z.array(some!).min(1)]),
    z.union(search),
    ALL_TASKS,
    anyPrepareSchema(),
  ).meta({
    title: 'Reprise job',
    description: 'A job for `reprise run`.',
  });
}

type JobSchema = ReturnType<typeof jobWith>;
/** A job file after parsing: the keys as users write them. */
export type JobDocument = z.output<JobSchema>;

function hasControlCharacter(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code < 32 || code === 127) return true;
  }
  return false;
}
