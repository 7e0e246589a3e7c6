/**
 * Whether new data have the columns a model was trained on. Invariant: what passes is read as the
 * training data were: a column of a text file whose cells alone say another type is read as the
 * type of the training data.
 */

import { formatOf } from '../../driver/frame/files.js';
import { DataError, type DescribeOptions, type FrameEngine } from '../../driver/index.js';
import type { ColumnType, FrameDescription } from '../../driver/ir/frame-engine.js';
import type { SchemaType } from '../../driver/ir/read-options.js';
import { closestText } from '../../driver/support/closest.js';
import type { ModelFile } from '../model/model-file.js';

type Input = ModelFile['inputs'][number];

const NOUNS: Readonly<Record<ColumnType, string>> = {
  number: 'numbers',
  boolean: 'booleans',
  text: 'text',
  timestamp: 'dates or times',
  other: 'values of another type',
};

/**
 * Opens new data for a model.
 * @param needed further columns the data must have
 * @throws DataError for a column that is not there, or of another type
 */
export async function describeFor(
  model: ModelFile,
  frames: FrameEngine,
  path: string,
  needed: readonly string[],
): Promise<FrameDescription> {
  const options = readOptions(model, path);
  const first = await frames.describe(path, options);
  requireColumns(model, first, needed);
  const others = mismatches(model, first);
  const { format } = first.source;
  if (others.length === 0 || (format !== 'csv' && format !== 'jsonl'))
    return checked(first, others);
  const stated = Object.fromEntries(others.map((input) => [input.name, schemaType(input)]));
  const schema = { ...options.schema, ...stated };
  const second = await frames.describe(path, { ...options, schema });
  return checked(second, mismatches(model, second));
}

/** What the job said of its files; types only of columns the model reads. */
function readOptions({ read, inputs }: ModelFile, path: string): DescribeOptions {
  const { format, schema = {}, ...rest } = JSON.parse(JSON.stringify(read)) as DescribeOptions;
  const names = new Set(inputs.map(({ name }) => name));
  const own = Object.entries(schema).filter(([name]) => names.has(name));
  // The training data's format holds for names that do not say one.
  const isNamed = formatOf(path) !== undefined;
  return {
    ...rest,
    ...(own.length > 0 ? { schema: Object.fromEntries(own) } : {}),
    ...(format === undefined || isNamed ? {} : { format }),
  };
}

function requireColumns(
  model: ModelFile,
  description: FrameDescription,
  needed: readonly string[],
): void {
  const names = description.columns.map(({ name }) => name);
  const require = (name: string, what: string): void => {
    if (names.includes(name)) return;
    throw new DataError(
      `data: expected the column ${JSON.stringify(name)} ${what}, got none; the columns are ${closestText(name, names)}`,
      { column: name, columns: names },
    );
  };
  for (const { name } of model.inputs) require(name, 'that the model was trained on');
  for (const { column } of model.features) {
    if (column !== undefined) require(column, 'that the model was trained on');
  }
  for (const name of needed) require(name, 'to keep');
}

function mismatches({ inputs }: ModelFile, { columns }: FrameDescription): Mismatch[] {
  const types = new Map(columns.map((column) => [column.name, column]));
  return inputs.flatMap((input) => {
    const { type = input.type, engineType = '' } = types.get(input.name) ?? {};
    return type === input.type ? [] : [{ ...input, got: { type, engineType } }];
  });
}

interface Mismatch extends Input {
  readonly got: { readonly type: ColumnType; readonly engineType: string };
}

function checked(description: FrameDescription, [wrong]: readonly Mismatch[]): FrameDescription {
  if (wrong === undefined) return description;
  const { name, type, engineType, got } = wrong;
  const path = description.source.files[0]?.path;
  throw new DataError(
    `data: expected ${NOUNS[type]} in column ${JSON.stringify(name)} as in the training data (${engineType}), got ${NOUNS[got.type]} (${got.engineType}) in ${path}; write it with the type it had`,
    { column: name, expected: engineType, got: got.engineType },
  );
}

function schemaType({ type, engineType }: Input): SchemaType {
  if (type === 'timestamp') return /^date$/i.test(engineType) ? 'date' : 'timestamp';
  return type === 'number' ? 'double' : type === 'boolean' ? 'boolean' : 'text';
}
