/**
 * The model file, `model.json` of a run folder: what a fitted model is and how new rows are encoded
 * for it, with nothing else needed to predict. `docs/model-file.md` describes it. Invariant: what
 * `parseModel` returns is complete and consistent; a file of a newer version is refused, and the
 * linear models of earlier runs, which have no `version`, are read as what they were.
 */
import * as z from 'zod';
import { ConfigError } from '../../driver/errors.js';
import { MAX_HASH_COLUMNS } from '../../driver/frame/feature-spec.js';
import { DTYPES } from '../../driver/ir/dtype.js';
import { CSV_ENCODINGS, SCHEMA_TYPES } from '../../driver/ir/read-options.js';
import { basisWidth } from '../estimators/basis.js';
import { ACTIVATIONS, layerShape, widthsOf } from '../estimators/networks/layers.js';
import { withCells } from '../estimators/networks/stored-layers.js';
import { storedStage, widthAfter } from '../prepare/stored-stages.js';

/** Raised when a reader of the version before would get another prediction, or none. */
export const MODEL_VERSION = 1;

const COLUMN_TYPES = ['number', 'boolean', 'text', 'timestamp', 'other'] as const;

const featureText = {
  name: z.string().meta({ description: 'As the job calls it.' }),
  sql: z.string().meta({ description: 'Expression over the columns, as the job says it.' }),
  column: z.string().optional().meta({ description: 'The column, where `sql` is no more.' }),
  dialect: z.enum(['duckdb', 'spark']).optional(),
  type: z.enum(COLUMN_TYPES).optional().meta({ description: 'Type of the values of `sql`.' }),
};

const feature = z.discriminatedUnion('encode', [
  z.strictObject({
    ...featureText,
    encode: z.literal('number'),
    impute: z.number().optional().meta({
      description: 'For missing values; without it a missing value is an error.',
    }),
    missing: z.literal('steps').optional().meta({
      description: 'Missing values are left to `prepare`.',
    }),
  }),
  z.strictObject({
    ...featureText,
    encode: z.literal('onehot'),
    categories: z.array(z.string()).meta({ description: 'A column each, in this order.' }),
    other: z.boolean().meta({ description: 'Whether the others share a column.' }),
    missing: z.boolean().meta({ description: 'Whether missing values have a column.' }),
    impute: z.union([z.string(), z.number()]).optional(),
  }),
  z.strictObject({
    ...featureText,
    encode: z.literal('bin'),
    edges: z.array(z.number()).min(2).meta({ description: 'A column for each two neighbours.' }),
    missing: z.boolean().meta({ description: 'Whether missing values have a column.' }),
    impute: z.number().optional(),
  }),
  z.strictObject({
    ...featureText,
    encode: z.literal('hash'),
    columns: z
      .int()
      .min(1)
      .max(MAX_HASH_COLUMNS)
      .meta({ description: 'Hashed words modulo this.' }),
    ngrams: z.tuple([z.int().min(1), z.int().min(1)]).meta({ description: 'Words of a run.' }),
    lowercase: z.boolean(),
    norm: z.enum(['l1', 'l2', 'none']).meta({ description: 'What counts are divided by.' }),
    alternate_sign: z.boolean().meta({ description: 'Whether a negative hash counts as -1.' }),
    impute: z.undefined().optional(),
  }),
]);

const read = z.strictObject({
  format: z.enum(['parquet', 'orc', 'csv', 'arrow', 'jsonl']).optional(),
  csv: z
    .strictObject({
      delimiter: z.string().optional(),
      quote: z.string().optional(),
      escape: z.string().optional(),
      header: z.boolean().optional(),
      skip: z.number().optional(),
      null: z.array(z.string()).optional(),
      decimal: z.string().optional(),
      thousands: z.string().optional(),
      encoding: z.enum(CSV_ENCODINGS).optional(),
      comment: z.string().optional(),
    })
    .optional(),
  schema: z.record(z.string(), z.enum(SCHEMA_TYPES)).optional(),
  partitions: z.boolean().optional(),
});

const size = z.int().min(1);
const over = z
  .strictObject({
    image: z.tuple([size, size, size]).meta({ description: 'Height, width, channels.' }),
    window: z.tuple([size, size]),
    stride: z.tuple([size, size]),
    padding: z.tuple([
      z.int().nonnegative(),
      z.int().nonnegative(),
      z.int().nonnegative(),
      z.int().nonnegative(),
    ]),
  })
  .meta({ description: 'A window over images; padding: pixels above, below, left and right.' });
const linear = {
  weights: z.array(z.array(z.number()).min(1)).min(1),
  intercepts: z.array(z.number()),
};
const layer = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('dense'), ...linear }).meta({
    description: 'Weights by unit, then unit before.',
  }),
  z
    .strictObject({
      kind: z.literal('conv2d'),
      over,
      groups: z.int().min(2).optional(),
      ...linear,
    })
    .meta({
      description:
        'Weights by filter, then pixel of the window and channel; with `groups` of channels and filters, channel of its group.',
    }),
  z
    .strictObject({
      kind: z.literal('scale'),
      pixels: size,
      scale: z.array(z.number()).min(1),
      shift: z.array(z.number()).min(1),
    })
    .meta({ description: 'A factor and what is added, by channel.' }),
  z
    .strictObject({
      kind: z.literal('layer_norm'),
      pixels: size,
      epsilon: z.number().positive(),
      scale: z.array(z.number()).min(1),
      shift: z.array(z.number()).min(1),
    })
    .meta({
      description:
        'Channels of a pixel less their mean, over the root of their variance and epsilon; then as `scale`.',
    }),
  z.strictObject({ kind: z.literal('activation'), activation: z.enum(ACTIVATIONS) }),
  z.strictObject({ kind: z.enum(['max_pool', 'avg_pool']), over }),
]);

const model = z.strictObject({
  version: z.literal(MODEL_VERSION),
  kind: z.literal('linear').meta({ description: 'Decision values are linear in the columns.' }),
  estimator: z
    .string()
    .meta({ description: 'As `model.type` of the job; `ensemble` for the sum of several models.' }),
  task: z.enum(['regression', 'classification', 'clustering', 'decomposition']),
  link: z.enum(['identity', 'log', 'logit', 'softmax', 'margin', 'shares']).meta({
    description: 'How decision values become predictions and probabilities.',
  }),
  basis: z
    .union([z.literal('squares'), z.strictObject({ above: z.number() })])
    .optional()
    .meta({
      description:
        'What decision values are linear in, if not the columns: the columns, then their squares; or whether they are above a number.',
    }),
  nonnegative: z
    .strictObject({
      loss: z.enum(['frobenius', 'kullback-leibler']),
      l1: z.number().nonnegative(),
      l2: z.number().nonnegative(),
    })
    .optional()
    .meta({
      description:
        'Components w of a row x are not below 0 and the least of half the squared distance, or divergence, of x and w H, plus l1 sum w + l2 sum w^2 / 2; H is `coefficients`.',
    }),
  layers: z.array(layer).min(1).optional().meta({
    description:
      'Of a network: `coefficients` and `intercepts` are its first layer, and these follow; both are empty where layers begin at the columns.',
  }),
  code: z.int().min(1).optional().meta({
    description:
      'How many of `layers` give the code of a row, where all of them say the row again.',
  }),
  votes: z
    .strictObject({
      voting: z.enum(['soft', 'hard']),
      members: z
        .array(
          z.strictObject({
            outputs: z.int().min(1),
            link: z.enum(['logit', 'softmax', 'margin']),
            weight: z.number().nonnegative(),
          }),
        )
        .min(1),
    })
    .optional()
    .meta({
      description:
        'Members whose decision values stand side by side; the answer is the weighted mean of their probabilities (soft) or votes (hard).',
    }),
  classes: z.array(z.union([z.number(), z.string(), z.boolean()])).optional(),
  target: z.string().optional(),
  columns: z.array(z.string()).meta({ description: 'Names of the encoded columns.' }),
  coefficients: z.array(z.array(z.number())).meta({ description: 'By output, then column.' }),
  intercepts: z.array(z.number()).meta({ description: 'By output.' }),
  imputed: z.record(z.string(), z.number()).meta({
    description: 'What was fitted to stand for missing values, by column.',
  }),
  prepare: z.array(storedStage).optional().meta({
    description: 'Stages of cleaning steps, which make `columns` of the encoded ones.',
  }),
  encoded: z.array(z.string()).optional().meta({
    description: 'Names of the encoded columns, where `prepare` makes others of them.',
  }),
  features: z.array(feature).meta({ description: 'How new data are encoded, in this order.' }),
  dtype: z.enum(DTYPES).meta({ description: 'Of the encoded cells.' }),
  inputs: z
    .array(z.strictObject({ name: z.string(), type: z.enum(COLUMN_TYPES), engineType: z.string() }))
    .meta({ description: 'Columns of the data that are read, as they were in training.' }),
  read: read.meta({ description: 'How text files are read: `data` of the job.' }),
  trained: z
    .strictObject({
      job: z.string(),
      rows: z.number(),
      files: z.number(),
      data: z.string().meta({ description: 'SHA-256 over the digests of the files.' }),
      reprise: z.string(),
    })
    .meta({ description: 'What it was trained on.' }),
});

/** A fitted model with all that predictions need. */
export type ModelFile = z.output<typeof model>;
/** One feature as new data are encoded for it. */
export type ModelFeature = z.output<typeof feature>;

/**
 * Checks what a model file holds.
 * @param where the file, for messages
 * @throws ConfigError for another version, a key that is wrong, or parts that do not fit
 */
export function parseModel(value: unknown, where: string): ModelFile {
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version === 'number' && version > MODEL_VERSION) {
    throw invalid(
      where,
      `version ${MODEL_VERSION} or earlier`,
      `version ${version}; it was written by a newer Reprise, install that one`,
    );
  }
  const parsed = model.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(where, 'a model', `${issue?.path.join('.') || 'the file'}: ${issue?.message}`);
  }
  const found = parsed.data;
  const width = found.features.reduce((sum, each) => sum + designWidth(each), 0);
  const { prepare = [], columns } = found;
  const made = widthAfter(prepare, width);
  if (made !== columns.length) {
    throw invalid(where, `${made} columns by its features`, String(columns.length));
  }
  const terms = basisWidth(found.basis ?? 'linear', made);
  const wrong = found.coefficients.find((row) => row.length !== terms);
  if (wrong !== undefined) throw invalid(where, `${terms} coefficients`, String(wrong.length));
  checkLayers(found, where);
  const voted = found.votes?.members.reduce((sum, { outputs }) => sum + outputs, 0);
  if (voted !== undefined && voted !== found.coefficients.length) {
    throw invalid(where, `coefficients of ${voted} outputs`, String(found.coefficients.length));
  }
  if (found.coefficients.length !== found.intercepts.length) {
    throw invalid(where, 'an intercept an output', String(found.intercepts.length));
  }
  return found;
}

/** Whether each layer takes as many values as the one before gives. */
function checkLayers(
  { layers = [], intercepts, coefficients, columns, code }: ModelFile,
  where: string,
): void {
  const isOfColumns = coefficients.length === 0;
  if (isOfColumns && layers.length === 0) throw invalid(where, 'coefficients or layers', 'none');
  let width = isOfColumns ? columns.length : intercepts.length;
  for (const [place, stored] of layers.entries()) {
    const wrong = (expected: string, got: number): ConfigError =>
      invalid(where, `${expected} of layer ${place}`, String(got));
    if (stored.kind === 'dense' || stored.kind === 'conv2d') {
      const { weights } = stored;
      const odd = weights.find((row) => row.length !== weights[0]!.length);
      if (odd !== undefined) throw wrong(`${weights[0]!.length} weights a unit`, odd.length);
      if (weights.length !== stored.intercepts.length) {
        throw wrong('an intercept a unit', stored.intercepts.length);
      }
    }
    const isScaled = stored.kind === 'scale' || stored.kind === 'layer_norm';
    if (isScaled && stored.scale.length !== stored.shift.length) {
      throw wrong(`${stored.scale.length} numbers to add`, stored.shift.length);
    }
    const { layer: own, cells } = withCells(stored);
    const [inputs, outputs] = widthsOf(own, width);
    if (inputs !== width) throw wrong(`${width} values`, inputs);
    const [rows, cols] = layerShape(own) ?? [0, 0];
    if (rows * cols !== (cells?.length ?? 0)) throw wrong(`${rows * cols} numbers`, cells!.length);
    width = outputs;
  }
  if (code !== undefined && code > layers.length)
    throw invalid(where, `code at most ${layers.length}`, String(code));
}

/** Encoded columns of a feature. */
export function designWidth(given: ModelFeature): number {
  if (given.encode === 'number') return 1;
  if (given.encode === 'hash') return given.columns;
  const missing = given.missing ? 1 : 0;
  if (given.encode === 'bin') return given.edges.length - 1 + missing;
  return given.categories.length + (given.other ? 1 : 0) + missing;
}

function invalid(where: string, expected: string, got: string): ConfigError {
  return new ConfigError(`${where}: expected ${expected}, got ${got}`, {
    key: 'model',
    value: where,
    source: 'file',
  });
}
