/**
 * Networks as expressions: each operation of a file becomes nodes over the rows of a matrix,
 * so that every value inside is a place to cut, and is reused, planned and batched like all else.
 * Invariant: equal files over equal data give equal nodes; nothing is computed here.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ConfigError, Images, type Matrix, UnsupportedError } from '../../driver/index.js';
import { type BringOptions, localPath } from '../npm-data.js';
import { cellImporters } from './cell-importers.js';
import { efficientNetLite0 } from './efficientnet-lite.js';
import type { Constant, GraphInput, NetworkFormat, NetworkGraph } from './graph.js';
import { imageImporters } from './image-importers.js';
import { layerImporters } from './layer-importers.js';
import { type Importer, type NetworkValue, NodeSite } from './node-site.js';
import { layerFiles, readLayers } from './read-layers.js';
import { readOnnx } from './read-onnx.js';
import { readTensors } from './read-torch.js';
import { ConstantMatrices, RowsValue } from './rows-value.js';
import { shapeImporters } from './shape-importers.js';

const IMPORTERS: Readonly<Record<NetworkFormat, ReadonlyMap<string, Importer>>> = {
  onnx: new Map(Object.entries({ ...imageImporters, ...cellImporters, ...shapeImporters })),
  layers: new Map(Object.entries(layerImporters)),
};

const namesOf = (format: NetworkFormat): string[] => [...IMPORTERS[format].keys()].sort();

/** Operators of ONNX that are read. */
export const READ_OPERATORS: readonly string[] = namesOf('onnx');
/** Classes of Keras layers that are read; an InputLayer is an input. */
export const READ_LAYERS: readonly string[] = namesOf('layers');

/** A value of a network over some rows. */
export interface CutValue {
  /** As the file's format has its cells, row by row: [n, product of dims]. */
  readonly matrix: Matrix;
  /** The same channels last, where it is an image a row. */
  readonly images: Images | undefined;
  /** Sizes after the first. */
  readonly dims: readonly number[];
}

export class Network {
  readonly #graph: NetworkGraph;
  readonly #matrices = new ConstantMatrices();
  /**
   * By operation: what it makes of the file's constants alone, once, so that its nodes are the same
   * ones. Sizes of an input are constants too, but another input has others.
   */
  readonly #computed = new Map<number, Constant>();
  /** By value: the operation that makes it. */
  readonly #makers: ReadonlyMap<string, number>;
  /** By value: how many operations of the file read it. */
  readonly #readers = new Map<string, number>();

  constructor(graph: NetworkGraph) {
    this.#graph = graph;
    this.#makers = new Map(
      graph.operations.flatMap(({ outputs }, at) => outputs.map((name) => [name, at] as const)),
    );
    for (const { inputs } of graph.operations) {
      for (const name of inputs) this.#readers.set(name, (this.#readers.get(name) ?? 0) + 1);
    }
  }

  /** Names and sizes after the rows, null where they are free. */
  get inputs(): readonly GraphInput[] {
    return this.#graph.inputs;
  }

  get outputs(): readonly string[] {
    return this.#graph.outputs;
  }

  /** Every value that can be asked for, in the order in which they are made. */
  get values(): readonly string[] {
    return [...this.#makers.keys()];
  }

  /**
   * Expressions of these values over the rows of the input.
   * @param names default the outputs
   * @param dims sizes of the input after the rows, as the format has them; default those of the
   *   images, or one
   * @throws UnsupportedError for an operator that is not read, by name, ConfigError for an unknown
   *   value, ShapeError and PlanError for images of a size that does not fit
   */
  apply(
    input: Images | Matrix,
    names: readonly string[] = this.outputs,
    dims?: readonly number[],
  ): readonly CutValue[] {
    const { format } = this.#graph;
    const [first, ...others] = this.#graph.inputs;
    if (first === undefined || others.length > 0) {
      throw new UnsupportedError(
        `${format}: expected a network of one input, got ${this.#graph.inputs.length}; cut it into networks of one each`,
        { op: format, backend: 'networks' },
      );
    }
    const given =
      input instanceof Images
        ? RowsValue.ofImages(input)
        : RowsValue[format === 'onnx' ? 'ofPlain' : 'channelsLast'](input, dims ?? [input.cols]);
    const known = new Map<string, NetworkValue>([...this.#graph.constants, [first.name, given]]);
    for (const at of this.#needed(names)) this.#make(at, known);
    return names.map((name) => cut(name, known.get(name), format));
  }

  #make(at: number, known: Map<string, NetworkValue>): void {
    const operation = this.#graph.operations[at]!;
    const inputs = operation.inputs.map((name) => known.get(name));
    const site = new NodeSite(operation, this.#graph, inputs, this.#matrices);
    const importer =
      IMPORTERS[this.#graph.format].get(operation.op) ??
      site.refuse(`one of ${namesOf(this.#graph.format).join(', ')} instead`);
    const made = this.#computed.get(at) ?? imported(importer, site);
    if (operation.inputs.every((name) => this.#isOfFile(name))) {
      this.#computed.set(at, made as Constant);
    }
    const values = Array.isArray(made) ? (made as readonly NetworkValue[]) : [made as NetworkValue];
    for (const [i, value] of values.entries()) {
      const name = operation.outputs[i]!;
      known.set(name, this.#isReadOnce(name) ? value : withoutFold(value));
    }
  }

  /** What others read as well is computed: a second convolution would cost more than a step. */
  #isReadOnce(name: string): boolean {
    return this.#readers.get(name) === 1 && !this.#graph.outputs.includes(name);
  }

  #isOfFile(name: string): boolean {
    const maker = this.#makers.get(name);
    if (maker !== undefined) return this.#computed.has(maker);
    return name === '' || this.#graph.constants.has(name);
  }

  /** Operations below these values, in order. @throws ConfigError */
  #needed(names: readonly string[]): number[] {
    const needed = new Set<number>();
    const waiting = [...names];
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      const at = this.#makers.get(name);
      if (at === undefined) {
        if (name === '' || this.#graph.constants.has(name)) continue;
        if (this.#graph.inputs.some((one) => one.name === name)) continue;
        throw new ConfigError(
          `network: expected one of ${this.values.length} values, such as ${this.values.slice(-3).join(', ')}, got ${name}`,
          { key: 'network', value: name },
        );
      }
      if (needed.has(at)) continue;
      needed.add(at);
      waiting.push(...this.#graph.operations[at]!.inputs);
    }
    return [...needed].sort((a, b) => a - b);
  }
}

function withoutFold(value: NetworkValue): NetworkValue {
  return value instanceof RowsValue ? new RowsValue(value.matrix, value.dims) : value;
}

function imported(importer: Importer, site: NodeSite): ReturnType<Importer> {
  const made = importer(site);
  site.refuseUnread();
  return made;
}

/**
 * @param path an ONNX file; a layers model of TensorFlow.js: its model.json, or that as a module of
 *   JavaScript; or tensors of PyTorch, .pth, which must be those of EfficientNet-Lite0. Also within a
 *   package, `npm://package@version/path` or `pypi://package@version/path`
 * @throws DataError for a file that is none of these, or has parts that are not read
 */
export async function readNetwork(path: string, options: BringOptions = {}): Promise<Network> {
  const here = await localPath(path, options);
  if (/\.pth?$/i.test(here)) return new Network(efficientNetLite0(await readTensors(here), here));
  return new Network(await (isLayers(here) ? readLayers(here) : readOnnx(here)));
}

/** Whether a path is taken for a layers model of TensorFlow.js. */
const isLayers = (path: string): boolean => /\.(json|[cm]?js)$/i.test(path);

/** The files of a network on this machine: its own, then those it names. */
export async function networkFiles(path: string): Promise<readonly string[]> {
  return isLayers(path) ? layerFiles(path) : [path];
}

/** SHA-256 of its file; of several, over their digests, line by line. What isn't there counts as empty. */
export async function networkDigest(path: string): Promise<string> {
  const digests: string[] = [];
  for (const file of await networkFiles(path)) {
    const bytes = await readFile(file).catch(() => '');
    digests.push(createHash('sha256').update(bytes).digest('hex'));
  }
  if (digests.length === 1) return digests[0]!;
  return createHash('sha256').update(digests.join('\n')).digest('hex');
}

function cut(name: string, value: NetworkValue | undefined, format: NetworkFormat): CutValue {
  if (!(value instanceof RowsValue)) {
    throw new ConfigError(`network: expected a value that follows from the input, got ${name}`, {
      key: 'network',
      value: name,
    });
  }
  const images = value.isImages ? value.images : undefined;
  if (format === 'onnx') return { matrix: value.plain, images, dims: value.dims };
  const dims = images ? [images.height, images.width, images.channels] : value.dims;
  return { matrix: value.matrix, images, dims };
}
