/**
 * Reads a layers model of TensorFlow.js: `model.json`, whose topology is Keras layers, and the shards
 * of weights beside it, quantised or not. Invariant: what would change a value and is not read is
 * refused by name, here or by the layer's importer. Format: tfjs-core `io/types.ts`, `io_utils.ts`.
 */
import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import * as z from 'zod';
import { DataError } from '../../driver/index.js';
import type { Attribute, Constant, NetworkGraph, NetworkOperation } from './graph.js';
import { WEIGHTS } from './layer-importers.js';
import { exportedLiteral } from './packed-file.js';

/** Name of a layer, which of its uses, which of its outputs. */
const place = z.tuple([z.string(), z.int(), z.int()]).rest(z.unknown());

const layerSchema = z.object({
  class_name: z.string(),
  name: z.string().optional(),
  config: z.looseObject({ name: z.string().optional() }),
  inbound_nodes: z.array(z.array(place)).optional(),
});
type Layer = z.output<typeof layerSchema>;

const functional = z.object({
  layers: z.array(layerSchema),
  input_layers: z.union([z.array(place), place.transform((one) => [one])]),
  output_layers: z.union([z.array(place), place.transform((one) => [one])]),
});
const sequential = z.union([
  z.array(layerSchema),
  z.object({ layers: z.array(layerSchema) }).transform(({ layers }) => layers),
]);

const modelSchema = z.object({ class_name: z.string(), config: z.unknown() });

const weightSchema = z.object({
  name: z.string(),
  shape: z.array(z.int().nonnegative()),
  dtype: z.string(),
  quantization: z
    .object({ dtype: z.string(), min: z.number().optional(), scale: z.number().optional() })
    .optional(),
});
type Weight = z.output<typeof weightSchema>;

const fileSchema = z.object({
  format: z.string().optional(),
  modelTopology: z.looseObject({}),
  weightsManifest: z.array(
    z.object({ paths: z.array(z.string()), weights: z.array(weightSchema) }),
  ),
});

/** @throws DataError for files that are no layers model, or have parts that are not read */
export async function readLayers(path: string): Promise<NetworkGraph> {
  const given = await modelOf(path);
  refuseGraph(given, path);
  const file = parsed(fileSchema, given, 'a model.json of TensorFlow.js', path);
  if (file.format !== undefined && file.format !== 'layers-model') {
    throw refused('a layers model', `a ${file.format}`, path);
  }
  const constants = new Map<string, Constant>();
  for (const { paths, weights } of file.weightsManifest) {
    const shards = await Promise.all(paths.map((one) => shardOf(path, one)));
    decode(Buffer.concat(shards), weights, constants, path);
  }
  const { model_config: within } = file.modelTopology;
  const model = parsed(modelSchema, within ?? file.modelTopology, 'a topology of layers', path);
  return graphOf(model, constants, path);
}

const graphSchema = z.union([
  z.object({ format: z.literal('graph-model') }),
  z.object({ modelTopology: z.object({ node: z.array(z.unknown()) }) }),
]);

/** Operations of TensorFlow in place of Keras layers. */
function refuseGraph(given: unknown, path: string): void {
  if (!graphSchema.safeParse(given).success) return;
  throw new DataError(
    `layers: expected a layers model of TensorFlow.js, got a graph model: ${path}; convert the Keras model it was made of by \`tensorflowjs_converter --output_format tfjs_layers_model\`, or export an ONNX file`,
    { op: 'layers', path },
  );
}

/** The file and the shards it names; the file alone where it can not be read. */
export async function layerFiles(path: string): Promise<readonly string[]> {
  const file = await modelOf(path).then(fileSchema.safeParse, () => undefined);
  const shards = file?.data?.weightsManifest.flatMap(({ paths }) => paths) ?? [];
  return [path, ...shards.map((shard) => shardPath(path, shard))];
}

async function modelOf(path: string): Promise<unknown> {
  const text = (await bytesOf(path)).toString('utf8');
  if (isModule(path)) return exportedLiteral(text, path);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw refused('JSON', (cause as Error).message, path);
  }
}

const isModule = (path: string): boolean => ['.js', '.mjs', '.cjs'].includes(extname(path));

/** Beside the model, in the form that it has itself. */
async function shardOf(model: string, shard: string): Promise<Buffer> {
  if (shard.split(/[\\/]/).includes('..')) throw refused('shards beside it', shard, model);
  const path = shardPath(model, shard);
  if (!isModule(model)) return bytesOf(path);
  const packed = exportedLiteral((await bytesOf(path)).toString('latin1'), path);
  if (typeof packed !== 'string') throw refused('bytes in base64', typeof packed, path);
  return Buffer.from(packed, 'base64');
}

function shardPath(model: string, shard: string): string {
  const [, ending] = /^[^.]*(\..*)$/.exec(basename(model)) ?? [];
  return join(dirname(model), isModule(model) ? `${shard}${ending}` : shard);
}

async function bytesOf(path: string): Promise<Buffer> {
  return readFile(path).catch((cause: NodeJS.ErrnoException) => {
    throw refused('a file', cause.code === 'ENOENT' ? 'none' : (cause.code ?? 'an error'), path);
  });
}

/** How cells lie in a shard. */
const STORED: Readonly<Record<string, { bytes: number; read: (at: Buffer, i: number) => number }>> =
  {
    float32: { bytes: 4, read: (at, i) => at.readFloatLE(i) },
    float16: { bytes: 2, read: (at, i) => halfOf(at.readUInt16LE(i)) },
    int32: { bytes: 4, read: (at, i) => at.readInt32LE(i) },
    uint16: { bytes: 2, read: (at, i) => at.readUInt16LE(i) },
    uint8: { bytes: 1, read: (at, i) => at[i]! },
  };

function halfOf(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15, (bits >> 10) & 31, bits & 1023];
  const size =
    exponent === 31
      ? fraction === 0
        ? Number.POSITIVE_INFINITY
        : Number.NaN
      : exponent === 0
        ? fraction * 2 ** -24
        : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return sign === 1 ? -size : size;
}

function decode(
  bytes: Buffer,
  weights: readonly Weight[],
  into: Map<string, Constant>,
  path: string,
): void {
  let from = 0;
  for (const { name, shape, dtype, quantization } of weights) {
    const stored = STORED[quantization?.dtype ?? dtype];
    if (dtype !== 'float32' || stored === undefined) {
      const got = `${quantization?.dtype ?? dtype} of ${name}`;
      throw refused('weights of float32, whole or quantised', got, path);
    }
    // Float16 has its values as they are.
    const { min = 0, scale = 1 } = quantization ?? {};
    const count = shape.reduce((size, one) => size * one, 1);
    if (from + count * stored.bytes > bytes.length) {
      throw refused(`${count} cells of ${name}`, `the end of its shards`, path);
    }
    const cells = new Float32Array(count);
    for (let i = 0; i < count; i++)
      cells[i] = stored.read(bytes, from + i * stored.bytes) * scale + min;
    from += count * stored.bytes;
    into.set(name, { dims: shape, cells });
  }
  if (from !== bytes.length) throw refused(`${from} bytes of weights`, `${bytes.length}`, path);
}

type Place = z.output<typeof place>;
const useName = ([name, use]: Place): string => (use === 0 ? name : `${name}:${use}`);

/** A layer, its name, and what it reads at each use. */
interface UsedLayer {
  readonly name: string;
  readonly layer: Layer;
  readonly uses: readonly (readonly string[])[];
}

function graphOf(
  model: z.output<typeof modelSchema>,
  constants: ReadonlyMap<string, Constant>,
  path: string,
): NetworkGraph {
  const { layers, outputs } =
    model.class_name === 'Sequential' ? inLine(model.config, path) : linked(model, path);
  const isInput = ({ layer }: UsedLayer): boolean => layer.class_name === 'InputLayer';
  return {
    format: 'layers',
    opset: 0,
    operations: layers
      .filter((one) => !isInput(one))
      .flatMap((one) => operationsOf(one, constants, path)),
    constants,
    inputs: layers.filter(isInput).map(({ name, layer }) => {
      const { batch_input_shape: shape, batch_shape: newer } = layer.config;
      const dims = z.array(z.int().nullable()).min(1);
      return {
        name,
        dims: parsed(dims, shape ?? newer, `a shape of input ${name}`, path).slice(1),
      };
    }),
    outputs,
  };
}

/** One layer after the other; the first says what is read. */
function inLine(config: unknown, path: string): { layers: UsedLayer[]; outputs: string[] } {
  const all = parsed(sequential, config, 'a list of layers', path);
  const layers = all.map((layer, at): UsedLayer => {
    const before = all[at - 1];
    const name = nameOf(layer, path);
    return { name, layer, uses: [[before ? nameOf(before, path) : `${name}_input`]] };
  });
  const [first] = layers;
  if (first === undefined) throw refused('layers', 'none', path);
  const isGiven = first.layer.class_name === 'InputLayer';
  const { name, layer } = first;
  const input = { name: `${name}_input`, layer: { ...layer, class_name: 'InputLayer' }, uses: [] };
  return { layers: isGiven ? layers : [input, ...layers], outputs: [layers.at(-1)!.name] };
}

function linked(
  { class_name: kind, config }: z.output<typeof modelSchema>,
  path: string,
): { layers: UsedLayer[]; outputs: string[] } {
  if (!['Model', 'Functional'].includes(kind))
    throw refused('a Sequential or Functional model', kind, path);
  const expected = 'layers linked by name, as Keras 2 writes them';
  const { layers, output_layers: outputs } = parsed(functional, config, expected, path);
  const used = layers.map((layer) => {
    const uses = (layer.inbound_nodes ?? []).map((all) => all.map((one) => linkOf(one, path)));
    return { name: nameOf(layer, path), layer, uses };
  });
  return { layers: used, outputs: outputs.map((one) => linkOf(one, path)) };
}

function linkOf(one: Place, path: string): string {
  const [name, , output, options] = one;
  if (output !== 0 || Object.keys(options ?? {}).length > 0) {
    throw refused(
      'layers of one output, linked without arguments',
      `another link to ${name}`,
      path,
    );
  }
  return useName(one);
}

function nameOf({ name, config, class_name: kind }: Layer, path: string): string {
  const own = name ?? config.name;
  if (own === undefined) throw refused('names of layers', `a ${kind} without`, path);
  return own;
}

function operationsOf(
  { name, layer, uses }: UsedLayer,
  constants: ReadonlyMap<string, Constant>,
  path: string,
): NetworkOperation[] {
  const { config, class_name: op } = layer;
  const weights = (WEIGHTS[op] ?? []).map(({ weight, unless }) => {
    if (unless !== undefined && config[unless] === false) return '';
    const own = `${name}/${weight}`;
    if (!constants.has(own)) throw refused(`weights ${own} of its ${op}`, 'none', path);
    return own;
  });
  const attributes = attributesOf(config);
  return uses.map((inputs, use) => ({
    ...{ name, op, attributes, outputs: [useName([name, use, 0])] },
    inputs: [...inputs, ...weights],
  }));
}

/** Of training, or said by the weights. */
const WITHOUT_EFFECT =
  /^(name|trainable|batch_input_shape|batch_shape|sparse|ragged|filters|units|momentum|rate|noise_shape|seed|stddev|input_dtype|use_bias|center|scale|virtual_batch_size|renorm_momentum|.*_(initializer|regularizer|constraint))$/;

/** Numbers, texts and lists of numbers; flags as 0 and 1, and what is not set left out. */
function attributesOf(config: Layer['config']): ReadonlyMap<string, Attribute> {
  const attributes = new Map<string, Attribute>();
  for (const [name, value] of Object.entries(config)) {
    const isNone = value === null || value === undefined || value === false;
    const isDefault = isNone || (name === 'dtype' && value === 'float32');
    if (isDefault || (WITHOUT_EFFECT.test(name) && !(name === 'scale' && value !== true))) continue;
    const flat = Array.isArray(value) ? value.flat() : value;
    if (typeof flat === 'boolean') attributes.set(name, 1);
    else if (typeof flat === 'number' || typeof flat === 'string') attributes.set(name, flat);
    else if (Array.isArray(flat) && flat.every((one) => typeof one === 'number'))
      attributes.set(name, flat);
    else attributes.set(name, JSON.stringify(value));
  }
  return attributes;
}

function parsed<T>(schema: z.ZodType<T>, value: unknown, expected: string, path: string): T {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw refused(
    expected,
    `${issue!.path.join('.') || 'it'}: ${issue!.message.toLowerCase()}`,
    path,
  );
}

function refused(expected: string, got: string, path: string): DataError {
  return new DataError(
    `layers: expected ${expected}, got ${got}: ${path}; save the model again with what is read (docs/pretrained-networks.md)`,
    { op: 'layers', path },
  );
}
