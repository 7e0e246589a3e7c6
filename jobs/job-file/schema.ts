/**
 * The shape of a job file, stated once: zod checks files with it, the JSON Schema for editors is
 * printed from it, and `JobDocument` is its type. Invariant: unknown keys are refused, and every
 * key says its meaning and default. `model-schema.ts` adds estimators' keys. Rules across keys are
 * in `check-job.ts`, so that each names its key.
 */
import { z } from 'zod';
import { DTYPES } from '../../driver/ir/dtype.js';
import { CSV_ENCODINGS, SCHEMA_TYPES } from '../../driver/ir/read-options.js';
import { parseSize } from '../../driver/support/size.js';
import { secretSource } from '../config/secret-schema.js';
import type { Estimator, Task } from '../estimators/estimator.js';
import { estimators } from '../estimators/index.js';
import { documentKeys } from './document.js';
import {
  type GridDocument,
  gridOf,
  type ModelDocument,
  modelOf,
  namedEstimator,
  unknownGrid,
  unknownModel,
} from './model-schema.js';
import { scoringOf } from './scoring-schema.js';
import { cvSchema } from './split-schema.js';

const text = (max: number) => z.string().min(1).max(max);
/** No file system takes a NUL. */
const pathText = text(4096).refine((value) => !value.includes('\0'), {
  error: 'a path without NUL',
});

const name = text(200)
  .refine((value) => !hasControlCharacter(value), { error: 'text without control characters' })
  .meta({ description: 'Name of the job, used in the run folder. Default: the file name.' });

const featureObject = z
  .strictObject({
    name: text(500).meta({ description: 'Name of the feature; a column unless `sql` is given.' }),
    sql: text(10_000).optional().meta({
      description: 'Expression over the columns; docs/sql-functions.md lists what it may use.',
    }),
    encode: z.enum(['number', 'onehot', 'bin']).optional().meta({
      description: '`number` (default) as is, `onehot` a column a category, `bin` a column a bin.',
    }),
    top: z.int().min(1).max(100_000).optional().meta({
      description: 'Keep the most frequent categories; the rest become `other`. Default: all.',
    }),
    bins: z
      .union([z.int().min(2).max(10_000), z.array(z.number()).min(1).max(10_000)])
      .optional()
      .meta({
        description: 'Number of bins of equal count, or the inner edges in ascending order.',
      }),
    impute: z
      .union([z.number(), text(500)])
      .optional()
      .meta({
        description:
          'What stands in for a missing value: `mean` (of the training rows), `zero`, a number, or a category.',
      }),
  })
  .meta({ id: 'feature' });

const feature = z.union([text(500), featureObject]);

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

const target = text(500).meta({
  description: 'The column to predict: a number, or text, booleans or whole numbers as classes.',
});

/** `data` of a job for estimators that do one of these tasks, some of which have no target. */
function dataOf(tasks: readonly Task[]): z.ZodType<DataDocument> {
  const isSupervised = (task: Task): boolean => task === 'regression' || task === 'classification';
  if (tasks.every(isSupervised)) return z.strictObject({ ...dataKeys, target });
  if (!tasks.some(isSupervised)) return z.strictObject(dataKeys);
  return z.strictObject({ ...dataKeys, target: target.optional() });
}

type DataDocument = z.output<z.ZodObject<typeof dataKeys, z.core.$strict>> & {
  readonly target?: string | undefined;
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
  spark: spark.optional().meta({ description: 'Where and how `--engine spark` runs.' }),
  output: pathText
    .optional()
    .meta({ description: 'Folder for run folders; relative to the job file. Default: ./runs.' }),
};

/** A job file for an estimator that does one of these tasks. */
function jobWith(
  model: z.ZodType<ModelDocument>,
  grid: z.ZodType<GridDocument>,
  tasks: readonly Task[],
) {
  return z.strictObject({
    kind: z.enum(['grid-search']).meta({ description: 'What to run.' }),
    name: runKeys.name,
    ...documentKeys,
    data: dataOf(tasks).meta({ description: 'What to learn from.' }),
    store: runKeys.store,
    spark: runKeys.spark,
    model: model.meta({ description: 'What to fit.' }),
    search: z
      .strictObject({
        grid: grid.prefault({}).meta({
          description: 'Values to try by parameter, every combination of them. Default: none.',
        }),
        max_failures: z.int().min(0).max(1e9).optional().meta({
          description:
            'Stop before the next wave when more candidates than this have failed. Default: go on.',
        }),
        fail_fast: z.boolean().optional().meta({
          description: 'Stop at the first candidate that fails: `max_failures: 0`. Default: false.',
        }),
      })
      .prefault({ grid: {} })
      .meta({ description: 'The candidates to try. Default: the one that `model` says.' }),
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

/** By estimator, made when first asked for. */
const schemas = new Map<Estimator | undefined, JobSchema>();

/** The schema that a document is checked by: that of the estimator it names. */
export function schemaOf(document: unknown): JobSchema {
  const estimator = namedEstimator(document);
  let schema = schemas.get(estimator);
  if (schema === undefined) {
    schema =
      estimator === undefined
        ? jobWith(unknownModel, unknownGrid, ALL_TASKS)
        : jobWith(modelOf(estimator), gridOf(estimator), [estimator.task]);
    schemas.set(estimator, schema);
  }
  return schema;
}

/** Every job file there can be, for editors. */
export function editorSchema(): JobSchema {
  return jobWith(z.union(estimators.map(modelOf)), z.union(estimators.map(gridOf)), ALL_TASKS).meta(
    { title: 'Reprise job', description: 'A job for `reprise run`.' },
  );
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
