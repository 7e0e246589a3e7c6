/**
 * Models of every encoding, link and task with rows for them and the answers `reprise predict` gives,
 * for tests of exports. Run with a folder, it writes the exported files and `cases.json` into it:
 * `test/fixtures/export/check.py` holds other programs' answers to these.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { encodeBlock } from '../../driver/operators/encode-block.js';
import type { Activation } from '../../jobs/estimators/networks/layers.js';
import { onnxModel } from '../../jobs/export/onnx.js';
import { pmmlModel } from '../../jobs/export/pmml.js';
import { modelEncoding } from '../../jobs/model/encoding.js';
import {
  designWidth,
  type ModelFeature,
  type ModelFile,
  parseModel,
} from '../../jobs/model/model-file.js';
import { modelFor, outputColumns } from '../../jobs/predict/outputs.js';
import { applyToRows } from '../../jobs/prepare/stored-stages.js';
import { layersOfCells } from './plain-layers.js';
import { linearModel, modelFile } from './run-records.js';

const text = (name: string) => ({ name, sql: name, column: name });

const FEATURES: readonly ModelFeature[] = [
  { ...text('a'), type: 'number', encode: 'number', impute: 0.1 + 0.2 },
  { name: 'b', sql: 'x * 2 < 3 & "y"', type: 'number', encode: 'number' },
  { ...text('late'), type: 'boolean', encode: 'number' },
  {
    ...text('town'),
    type: 'text',
    encode: 'onehot',
    categories: ['Oslo', 'Rome', '<"é">'],
    other: true,
    missing: true,
  },
  {
    name: 'town2',
    sql: 'town',
    column: 'town',
    type: 'text',
    encode: 'onehot',
    categories: ['Rome'],
    other: true,
    missing: false,
  },
  {
    ...text('code'),
    type: 'number',
    encode: 'onehot',
    categories: ['1', '2.5', '40'],
    other: false,
    missing: true,
  },
  {
    ...text('flag'),
    type: 'boolean',
    encode: 'onehot',
    categories: ['false', 'true'],
    other: false,
    missing: false,
  },
  { ...text('age'), type: 'number', encode: 'bin', edges: [0, 10, 20, 50], missing: true },
  { ...text('size'), type: 'number', encode: 'bin', edges: [1, 2, 3], missing: false, impute: 2.5 },
];

/** Features under names that a file has for itself, and booleans and a bin that may be missing. */
const AWKWARD: readonly ModelFeature[] = [
  { ...text('prediction'), type: 'boolean', encode: 'number', impute: 0.25 },
  {
    ...text('label'),
    type: 'boolean',
    encode: 'onehot',
    categories: ['false', 'true'],
    other: false,
    missing: true,
  },
  {
    ...text('v1'),
    type: 'boolean',
    encode: 'onehot',
    categories: ['true'],
    other: true,
    missing: false,
    impute: 'true',
  },
  { ...text('v1_'), type: 'number', encode: 'bin', edges: [0, 10], missing: false },
  { ...text('probability_no'), type: 'number', encode: 'number' },
  { name: 'town', sql: 'lower(town)', type: 'text', encode: 'onehot', categories: ['rome'], other: false, missing: false }, // biome-ignore format: a feature
  { ...text('town#rome'), type: 'number', encode: 'number', impute: 2 },
];

type Row = Readonly<Record<string, number | string | boolean | null>>;

/** Raw values by input; null is missing. */
const ROWS: readonly Row[] = [
  { a: 1, b: 2, late: true, town: 'Rome', code: 2.5, flag: true, age: 10, size: 1.5 },
  { a: null, b: -1, late: false, town: 'Lima', code: 7, flag: false, age: -3, size: null },
  { a: 0.25, b: 0, late: false, town: null, code: null, flag: true, age: null, size: 9 },
  { a: -4, b: 3.5, late: true, town: '<"é">', code: 40, flag: false, age: 99, size: 2 },
  { a: 7, b: 1, late: true, town: 'Oslo', code: 1, flag: true, age: 19.9, size: 3 },
];

const awkward = (a: boolean | null, b: boolean | null, c: boolean | null, rest: Row): Row => ({
  ...{ prediction: a, label: b, v1: c, v1_: 3, probability_no: 1, town: 'rome', 'town#rome': 5 },
  ...rest,
});

const AWKWARD_ROWS: readonly Row[] = [
  awkward(true, false, false, {}),
  awkward(false, true, true, { v1_: -20, town: 'oslo' }),
  awkward(null, null, null, { town: null, 'town#rome': null }),
  // What predicting refuses.
  awkward(true, true, true, { v1_: null }),
  awkward(true, true, true, { probability_no: null }),
];

const widthOf = (features: readonly ModelFeature[]): number =>
  features.reduce((sum, feature) => sum + designWidth(feature), 0);

/** Numbers without a pattern, the same each time. */
function numbers(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.sin(seed * 7.3 + i * 1.7) * 1.5);
}

function made(
  outputs: number,
  overrides: Partial<ModelFile>,
  features: readonly ModelFeature[] = FEATURES,
): ModelFile {
  const width = widthOf(features);
  const terms = overrides.basis === 'squares' ? 2 * width : width;
  const columns = Array.from({ length: width }, (_, j) => `x${j}`);
  const file = modelFile(linearModel(columns, [], 0), {
    features: [...features],
    inputs: [],
    coefficients: Array.from({ length: outputs }, (_, k) => numbers(terms, k + 1)),
    intercepts: numbers(outputs, 99),
    ...overrides,
  });
  return parseModel(file, 'model');
}

const towns = ['Bern', 'Kyiv', 'A & B'];
const classification = (classes: ModelFile['classes']): Partial<ModelFile> => ({
  task: 'classification',
  classes,
});

type Votes = NonNullable<ModelFile['votes']>;

const votes = (voting: Votes['voting'], members: Votes['members']) => ({
  votes: { voting, members },
  link: voting === 'soft' ? ('shares' as const) : ('margin' as const),
});
const LOGIT = { outputs: 1, link: 'logit' } as const;
const MARGIN = { outputs: 1, link: 'margin' } as const;
const softmax = (outputs: number) => ({ outputs, link: 'softmax' }) as const;

/** Layers of these sizes after a first one of the first size. */
const layers = (activation: Activation, ...sizes: readonly number[]) => ({
  layers: sizes.slice(1).flatMap((units, l) => [
    { kind: 'activation' as const, activation },
    {
      kind: 'dense' as const,
      weights: Array.from({ length: units }, (_, k) => numbers(sizes[l]!, 40 + l + k)),
      intercepts: numbers(units, 50 + l),
    },
  ]),
});

/** Of columns as an image of 11 by 2 pixels, with pixels beyond its border. */
const ofImages = {
  layers: [
    {
      kind: 'conv2d' as const,
      over: over([11, 2, 1], [3, 2], [1, 1], [1, 1, 0, 1]),
      weights: [1, 2, 3].map((filter) => numbers(6, 60 + filter)),
      intercepts: numbers(3, 64),
    },
    { kind: 'scale' as const, pixels: 22, scale: numbers(3, 65), shift: numbers(3, 66) },
    { kind: 'max_pool' as const, over: over([11, 2, 3], [2, 2], [2, 2], [0, 1, 0, 0]) },
    { kind: 'activation' as const, activation: 'relu' as const },
    { kind: 'scale' as const, pixels: 1, scale: [0.5], shift: [0.125] },
    { kind: 'avg_pool' as const, over: over([6, 1, 3], [4, 1], [4, 1], [1, 1, 0, 0]) },
    {
      kind: 'dense' as const,
      weights: [1, 2, 3].map((unit) => numbers(6, 70 + unit)),
      intercepts: numbers(3, 74),
    },
  ],
};

const normedLayers = {
  layers: [
    {
      kind: 'conv2d' as const,
      over: over([11, 2, 1], [3, 2], [1, 1], [1, 1, 0, 1]),
      weights: [1, 2].map((filter) => numbers(6, 80 + filter)),
      intercepts: numbers(2, 83),
    },
    ...[{ kind: 'layer_norm' as const, pixels: 22, epsilon: 1e-3, scale: numbers(2, 84), shift: numbers(2, 85) }], // biome-ignore format: a layer
    {
      kind: 'conv2d' as const,
      over: over([11, 2, 2], [2, 2], [2, 2], [0, 1, 0, 0]),
      groups: 2,
      weights: [1, 2, 3, 4].map((filter) => numbers(4, 86 + filter)),
      intercepts: numbers(4, 91),
    },
    { kind: 'activation' as const, activation: 'gelu' as const },
    {
      kind: 'dense' as const,
      weights: [1, 2, 3].map((unit) => numbers(24, 92 + unit)),
      intercepts: numbers(3, 96),
    },
  ],
};

type Pair = [number, number];

function over(
  image: [number, number, number],
  window: Pair,
  stride: Pair,
  padding: [number, number, number, number],
) {
  return { image, window, stride, padding };
}

/** With a number that steps are given missing. */
const STAGED: readonly ModelFeature[] = [
  { ...text('a'), type: 'number', encode: 'number', missing: 'steps' },
  ...FEATURES.slice(1),
];
const ENCODED = Array.from({ length: widthOf(STAGED) }, (_, j) => `x${j}`);
type Branch = Extract<
  NonNullable<ModelFile['prepare']>[number],
  { kind: 'beside' }
>['branches'][number];
const FILLED: Branch = [
  {
    kind: 'columns',
    columns: ENCODED,
    fill: ENCODED.map((_, j) => (j === 0 ? 1.75 : null)),
    scale: numbers(ENCODED.length, 31),
    shift: numbers(ENCODED.length, 32),
  },
  {
    kind: 'outliers',
    action: 'clip',
    low: ENCODED.map((_, j) => (j % 2 === 0 ? -0.7 : null)),
    high: ENCODED.map((_, j) => (j % 3 === 0 ? 0.9 : null)),
  },
  { kind: 'polynomial', terms: [[], [0], [1, 1, 0], [3, 4], [8]] },
];
/** Mixed while a cell is missing, which is none in the second column. */
const MIXED: Branch = [
  {
    kind: 'columns',
    columns: ['one', 'two'],
    matrix: ENCODED.map((_, j) => [j < 3 ? 0.5 : 0, j === 1 ? 1 : j > 5 ? 0.25 : 0]),
    shift: [0.125, -1],
  },
  { kind: 'outliers', action: 'missing', low: [null, -0.5], high: [2, null] },
  { kind: 'columns', columns: ['one', 'two'], fill: [-3, 4] },
  { kind: 'outliers', action: 'zero', low: [-2.5, null], high: [null, 3] },
];

function staged(outputs: number, width: number, overrides: Partial<ModelFile>): ModelFile {
  const columns = Array.from({ length: width }, (_, j) => `z${j}`);
  const coefficients = Array.from({ length: outputs }, (_, k) => numbers(width, k + 41));
  return made(outputs, { columns, coefficients, encoded: ENCODED, ...overrides }, STAGED);
}

export const MODELS: Readonly<Record<string, ModelFile>> = {
  identity: made(1, {}),
  float32: made(1, { dtype: 'float32' }),
  log: made(1, { link: 'log' }),
  logit: made(1, { ...classification([false, true]), link: 'logit' }),
  softmax: made(3, { ...classification(towns), link: 'softmax' }),
  margin: made(1, { ...classification([3, 8]), link: 'margin' }),
  margins: made(3, { ...classification([0.5, 1, 2]), link: 'margin' }),
  squares: made(3, { ...classification([1, 2, 3]), link: 'softmax', basis: 'squares' }),
  above: made(2, { ...classification(['no', 'yes']), link: 'softmax', basis: { above: 0.3 } }),
  clusters: made(3, { task: 'clustering', link: 'margin' }),
  components: made(2, { task: 'decomposition' }),
  awkward: made(1, {}, AWKWARD),
  network: made(4, layers('tanh', 4, 3, 1)),
  networkOfClasses: made(4, { ...classification(towns), link: 'softmax', ...layers('relu', 4, 3) }),
  networkAwkward: made(3, { ...classification(['no', 'yes']), link: 'logit', ...layers('relu', 3, 1) }, AWKWARD), // biome-ignore format: a model
  networkOfNumbers: made(3, layers('logistic', 3, 1), AWKWARD),
  networkOfImages: made(0, { ...classification(towns), link: 'softmax', ...ofImages }),
  networkOfNorms: made(0, { ...classification(towns), link: 'softmax', ...normedLayers }),
  autoencoder: made(4, { estimator: 'autoencoder', task: 'decomposition', code: 3, ...layers('tanh', 4, 2, 22) }), // biome-ignore format: a model
  awkwardClasses: made(2, { ...classification(['no', 'yes']), link: 'softmax' }, AWKWARD),
  awkwardAbove: made(1, { ...classification([1, 2.5]), link: 'margin', basis: { above: 0.3 } }, AWKWARD), // biome-ignore format: a model
  // Of equal weights some rows divide them.
  softVotes: made(3, { ...classification(['no', 'yes']), ...votes('soft', [{ ...LOGIT, weight: 0.375 }, { ...softmax(2), weight: 0.625 }]) }), // biome-ignore format: a model
  softVotesOfThree: made(6, { ...classification(towns), ...votes('soft', [{ ...softmax(3), weight: 0.3 }, { ...softmax(3), weight: 0.7 }]) }), // biome-ignore format: a model
  softVotesAwkward: made(2, { ...classification(['no', 'yes']), ...votes('soft', [{ ...LOGIT, weight: 0.25 }, { ...LOGIT, weight: 0.75 }]) }, AWKWARD), // biome-ignore format: a model
  hardVotes: made(2, { ...classification([3, 8]), ...votes('hard', [{ ...MARGIN, weight: 0.5 }, { ...LOGIT, weight: 0.5 }]) }), // biome-ignore format: a model
  hardVotesOfThree: made(9, { ...classification([0.5, 1, 2]), basis: 'squares', ...votes('hard', [{ outputs: 3, link: 'margin', weight: 0.25 }, { ...softmax(3), weight: 0.5 }, { ...softmax(3), weight: 0.25 }]) }, AWKWARD), // biome-ignore format: a model
  staged: staged(1, 5, { prepare: FILLED }),
  stagedMixed: staged(2, 2, { ...classification(['no', 'yes']), link: 'softmax', prepare: MIXED }),
  stagedVotes: staged(2, 7, { ...classification(['no', 'yes']), ...votes('soft', [{ ...LOGIT, weight: 0.25 }, { ...LOGIT, weight: 0.75 }]), prepare: [{ kind: 'beside', branches: [FILLED, MIXED] }] }), // biome-ignore format: a model
};

/** Rows for a model; null is missing. */
function rowsOf({ features, prepare }: ModelFile): readonly Row[] {
  // Of a column that training had no missing value of, whatever stages make of it.
  if (prepare !== undefined) return [...ROWS, { ...ROWS[0], b: null }];
  return features.some(({ name }) => name === AWKWARD[0]!.name) ? AWKWARD_ROWS : ROWS;
}

/** Whether PMML has a form for it that computes in its own precision. */
export function hasPmml({ task, basis, dtype, votes, prepare, layers }: ModelFile): boolean {
  if (layers !== undefined || prepare !== undefined) return false;
  const isForm = task === 'regression' || task === 'classification';
  return isForm && votes?.voting !== 'hard' && typeof basis !== 'object' && dtype === 'float64';
}

/** Columns of answers by name, as `reprise predict` computes them; NaN where it refuses the row. */
export function answersOf(model: ModelFile): Record<string, number[]> {
  const { width, weights, intercepts, picks } = modelEncoding(model);
  const rows = rowsOf(model);
  const outputs = picks?.length ?? intercepts.length;
  const z = Float64Array.from(
    rows.flatMap((row) => {
      const terms = termsOf(model, row, width);
      if (picks) return picks.map((place) => terms?.[place] ?? Number.NaN);
      return intercepts.map((intercept, k) =>
        terms === undefined
          ? Number.NaN
          : intercept + terms.reduce((sum, x, j) => sum + x * weights[j * outputs + k]!, 0),
      );
    }),
  );
  const hasShares = ['logit', 'softmax', 'shares'].includes(model.link);
  const asked =
    model.task === 'decomposition' ? (['components'] as const) : (['prediction'] as const);
  const all = [
    hasShares ? [...asked, 'probability' as const] : asked,
    ...(model.code === undefined ? [] : [['reconstruction' as const]]),
  ];
  const made = all.flatMap((names) =>
    outputColumns(model, names).map((column) => ({ ...column, own: modelFor(model, names) })),
  );
  return Object.fromEntries(
    made.map(({ name, compute, own: { layers: after } }) => {
      const last = after ? layersOfCells(z, rows.length, after) : z;
      const cells = compute(last, rows.length);
      return [
        name,
        [...cells].map((cell, i) => (Number.isNaN(z[i * outputs]!) ? Number.NaN : cell)),
      ];
    }),
  );
}

/** What a row's decision values are linear in; undefined where predicting refuses it. */
function termsOf(model: ModelFile, row: Row, width: number): number[] | undefined {
  const { features, basis, stages } = modelEncoding(model);
  const byName = new Map(model.features.map((feature) => [feature.name, feature]));
  const columns = features.map((feature) => {
    const { impute, column } = byName.get(feature.name)!;
    const value = row[column ?? feature.name] ?? impute;
    if (feature.kind !== 'onehot') return value === undefined ? Number.NaN : Number(value);
    if (value === undefined) return -1;
    const code = feature.categories.indexOf(String(value));
    return code < 0 ? -2 : code;
  });
  const cells = new (model.dtype === 'float32' ? Float32Array : Float64Array)(width);
  const chunk = { rows: 1, columns: columns.map((cell) => Float64Array.of(cell)) };
  if (encodeBlock(features, chunk, cells, width, 0) !== undefined) return undefined;
  const places = stages?.places.map(([at, indicator]) =>
    indicator >= 0 && cells[indicator] === 1 ? Number.NaN : cells[at]!,
  );
  const own = places ? [...applyToRows(Float64Array.from(places), 1, stages!.stages)] : [...cells];
  if (basis === 'linear') return own;
  return basis === 'squares'
    ? [...own, ...own.map((x) => x * x)]
    : own.map((x) => (x > basis.above ? 1 : 0));
}

function writeCases(folder: string): void {
  const cases = Object.entries(MODELS).map(([name, model]) => {
    writeFileSync(join(folder, `${name}.onnx`), onnxModel(model));
    if (hasPmml(model)) writeFileSync(join(folder, `${name}.pmml`), pmmlModel(model));
    const inputs = [...new Set(model.features.map(({ column, name: own }) => column ?? own))];
    const { task, classes = null } = model;
    return { name, task, classes, inputs, rows: rowsOf(model), answers: answersOf(model) };
  });
  writeFileSync(join(folder, 'cases.json'), JSON.stringify({ cases }));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) writeCases(process.argv[2]!);
