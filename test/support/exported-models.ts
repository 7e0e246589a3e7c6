/**
 * Models of every encoding, link and task with rows for them and the answers `reprise predict` gives,
 * for tests of exports. Run with a folder, it writes the exported files and `cases.json` into it:
 * `test/fixtures/export/check.py` holds other programs' answers to these.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { encodeBlock } from '../../driver/operators/encode-block.js';
import { onnxModel } from '../../jobs/export/onnx.js';
import { pmmlModel } from '../../jobs/export/pmml.js';
import { modelEncoding } from '../../jobs/model/encoding.js';
import {
  designWidth,
  type ModelFeature,
  type ModelFile,
  parseModel,
} from '../../jobs/model/model-file.js';
import { outputColumns } from '../../jobs/predict/outputs.js';
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

type Row = Readonly<Record<string, number | string | boolean | null>>;

/** Raw values by input; null is missing. */
export const ROWS: readonly Row[] = [
  { a: 1, b: 2, late: true, town: 'Rome', code: 2.5, flag: true, age: 10, size: 1.5 },
  { a: null, b: -1, late: false, town: 'Lima', code: 7, flag: false, age: -3, size: null },
  { a: 0.25, b: 0, late: false, town: null, code: null, flag: true, age: null, size: 9 },
  { a: -4, b: 3.5, late: true, town: '<"é">', code: 40, flag: false, age: 99, size: 2 },
  { a: 7, b: 1, late: true, town: 'Oslo', code: 1, flag: true, age: 19.9, size: 3 },
];

const WIDTH = FEATURES.reduce((sum, feature) => sum + designWidth(feature), 0);

/** Numbers without a pattern, the same each time. */
function numbers(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.sin(seed * 7.3 + i * 1.7) * 1.5);
}

function made(outputs: number, overrides: Partial<ModelFile>, terms = WIDTH): ModelFile {
  const columns = Array.from({ length: WIDTH }, (_, j) => `x${j}`);
  const file = modelFile(linearModel(columns, [], 0), {
    features: [...FEATURES],
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

export const MODELS: Readonly<Record<string, ModelFile>> = {
  identity: made(1, {}),
  float32: made(1, { dtype: 'float32' }),
  log: made(1, { link: 'log' }),
  logit: made(1, { ...classification([false, true]), link: 'logit' }),
  softmax: made(3, { ...classification(towns), link: 'softmax' }),
  margin: made(1, { ...classification([3, 8]), link: 'margin' }),
  margins: made(3, { ...classification([0.5, 1, 2]), link: 'margin' }),
  squares: made(3, { ...classification([1, 2, 3]), link: 'softmax', basis: 'squares' }, 2 * WIDTH),
  above: made(2, { ...classification(['no', 'yes']), link: 'softmax', basis: { above: 0.3 } }),
  clusters: made(3, { task: 'clustering', link: 'margin' }),
  components: made(2, { task: 'decomposition' }),
};

/** Whether PMML has a form for it that computes in its own precision. */
export function hasPmml({ task, basis, dtype }: ModelFile): boolean {
  const isForm = task === 'regression' || task === 'classification';
  return isForm && typeof basis !== 'object' && dtype === 'float64';
}

/** Columns of answers by name, as `reprise predict` computes them. */
export function answersOf(model: ModelFile): Record<string, number[]> {
  const { features, width, basis, weights, intercepts } = modelEncoding(model);
  const byName = new Map(model.features.map((feature) => [feature.name, feature]));
  const columns = features.map((feature) => {
    const { impute, column } = byName.get(feature.name)!;
    return Float64Array.from(ROWS, (row) => {
      const value = row[column ?? feature.name] ?? impute;
      if (feature.kind !== 'onehot') return value === undefined ? Number.NaN : Number(value);
      if (value === undefined) return -1;
      const code = feature.categories.indexOf(String(value));
      return code < 0 ? -2 : code;
    });
  });
  const cells =
    model.dtype === 'float32'
      ? new Float32Array(ROWS.length * width)
      : new Float64Array(ROWS.length * width);
  encodeBlock(features, { rows: ROWS.length, columns }, cells, width, 0);
  const outputs = intercepts.length;
  const z = Float64Array.from({ length: ROWS.length * outputs }, (_, at) => {
    const own = [...cells.subarray(Math.floor(at / outputs) * width).subarray(0, width)];
    const terms =
      basis === 'linear'
        ? own
        : basis === 'squares'
          ? [...own, ...own.map((x) => x * x)]
          : own.map((x) => (x > basis.above ? 1 : 0));
    const sum = terms.reduce(
      (total, x, j) => total + x * weights[j * outputs + (at % outputs)]!,
      0,
    );
    return sum + intercepts[at % outputs]!;
  });
  const hasShares = model.link === 'logit' || model.link === 'softmax';
  const asked =
    model.task === 'decomposition' ? (['components'] as const) : (['prediction'] as const);
  const made = outputColumns(model, hasShares ? [...asked, 'probability'] : asked);
  return Object.fromEntries(made.map(({ name, compute }) => [name, [...compute(z, ROWS.length)]]));
}

function writeCases(folder: string): void {
  const cases = Object.entries(MODELS).map(([name, model]) => {
    writeFileSync(join(folder, `${name}.onnx`), onnxModel(model));
    if (hasPmml(model)) writeFileSync(join(folder, `${name}.pmml`), pmmlModel(model));
    return { name, task: model.task, classes: model.classes ?? null, answers: answersOf(model) };
  });
  writeFileSync(join(folder, 'cases.json'), JSON.stringify({ rows: ROWS, cases }));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) writeCases(process.argv[2]!);
