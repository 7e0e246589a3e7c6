/**
 * A pretrained network as the first step: columns are the cells of an image, or of a vector, and what
 * comes out is a value inside the network. Invariants: nothing is fitted, so all splits and candidates
 * of one cut read the same node, and cuts of one network share what lies below; a network is known by
 * the content of its files.
 */
import * as z from 'zod';
import { Images, type Matrix } from '../../driver/index.js';
import {
  type CutValue,
  type Network,
  networkDigest,
  networkFiles,
  readNetwork,
} from '../networks/network.js';
import { type BringOptions, isOfPackage, localPath } from '../npm-data.js';
import { Columns } from './columns.js';
import { cellRows } from './rows.js';
import { invalid, type PrepareStep } from './step.js';

const size = z.int().min(1).max(4096);

export const networkParameters = z.strictObject({
  path: z.string().min(1).max(4096).default('').meta({
    description:
      'The network: an ONNX file, model.json of TensorFlow.js, or .pth of EfficientNet-Lite0; `npm://` and `pypi://` too.',
  }),
  cut: z.string().min(1).max(500).default('').meta({
    description: 'The value inside the network that the columns become, by its name.',
  }),
  image: z
    .tuple([size, size, z.int().min(1).max(1024)])
    .nullable()
    .default(null)
    .meta({
      description:
        'Height, width and channels of the image a row is, channels last; null: a vector.',
    }),
  channels: z.int().min(1).max(1024).nullable().default(null).meta({
    description: 'Channels the network reads, where the image has one, which is repeated.',
  }),
  resize: z.tuple([size, size]).nullable().default(null).meta({
    description:
      'Height and width the network reads, by bilinear interpolation; null: as they are.',
  }),
  scale: z.number().default(1).meta({ description: 'What cells are multiplied by first.' }),
  offset: z.number().default(0).meta({ description: 'What is added to them then.' }),
  pool: z.enum(['mean', 'none']).default('mean').meta({
    description: 'Of a value that is an image: the mean of each channel, or every cell.',
  }),
});

export type NetworkParams = z.output<typeof networkParameters>;

/** Networks that were read last, by their digest. */
const networks = new Map<string, Network>();
/** By path, the digest of its files as they were when it was last opened. */
const digests = new Map<string, string>();

/**
 * Reads a network, unless it has been read. @returns its digest
 * @throws DataError for files that are none, ConfigError for a package that can't be brought
 */
export async function openNetwork(path: string, options: BringOptions): Promise<string> {
  const known = digests.get(path);
  if (known !== undefined && isOfPackage(path)) return known;
  // Other files may be others by now. The digest is of before: what changes while it is read is refused later.
  const here = await localPath(path, options);
  const digest = await networkDigest(here);
  const network = networks.get(digest) ?? (await readNetwork(here));
  digests.set(path, digest);
  const current = new Set(digests.values());
  for (const one of networks.keys()) if (!current.has(one)) networks.delete(one);
  networks.set(digest, network);
  return digest;
}

export const networkStep: PrepareStep = {
  name: 'network',
  description: 'Replaces columns by a value inside a pretrained network; the first step.',
  main: 'cut',
  parameters: networkParameters,
  files: ['path'],
  filesOf: networkFiles,
  open: async (given, options: BringOptions) => {
    const { path } = given as NetworkParams;
    if (path === '') throw invalid('network', 'the path of a network', 'none');
    await openNetwork(path, options);
  },
  apply: (all, given) => {
    const params = given as NetworkParams;
    const [first] = all;
    for (const { rows, map } of all) {
      const isFirst = rows === first!.rows && rows.made === undefined && map.mix === null;
      if (!isFirst || map.isScaled || map.fill !== null || map.open.length > 0) {
        throw invalid(
          'network',
          'to be the first step, over columns without missing cells',
          'others before it',
        );
      }
    }
    const { cells } = first!.rows;
    const { value, pooled } = cutOf(cells, params);
    const names = Array.from({ length: pooled.cols }, (_, j) => `${params.cut}_${j}`);
    const values = { value, pooled };
    const made = {
      of: first!,
      kind: 'network',
      values,
      facts: { ...params, sha256: digests.get(params.path) },
      names,
    } as const;
    const rows = cellRows(pooled, [], names, made);
    return all.map(({ split }) => new Columns(rows, split));
  },
};

/** A value inside a network, as it is and as columns. */
export interface NetworkCut {
  /** In float32, as networks are trained. */
  readonly value: Matrix;
  /** In the cells of steps. */
  readonly pooled: Matrix;
}

/**
 * @param params with every default; the network has been opened
 * @param digest of the network; default that of the path
 * @throws ConfigError
 */
export function cutOf(
  cells: Matrix,
  params: NetworkParams,
  digest = digests.get(params.path),
): NetworkCut {
  const { path, cut, image, channels, resize, scale, offset, pool } = params;
  const network = digest === undefined ? undefined : networks.get(digest);
  if (network === undefined) throw invalid('network', 'a network that was read', path || 'none');
  const own = cells.cast('float32');
  const scaled = scale === 1 ? own : own.mul(scale);
  const moved = offset === 0 ? scaled : scaled.add(offset);
  if (cut === '') throw invalid('network', `a cut, such as ${network.values.at(-1)}`, 'none');
  if (image === null) {
    const [{ matrix: value }] = network.apply(moved, [cut]) as [CutValue];
    return { value, pooled: value.cast('float64') };
  }
  const [height, width, depth] = image;
  if (cells.cols !== height * width * depth) {
    throw invalid('network', `${height} x ${width} x ${depth} columns`, `${cells.cols}`);
  }
  const given = new Images(moved, { height, width, channels: depth });
  const repeated =
    channels === null || channels === depth
      ? given
      : depth === 1
        ? given.bindChannels(...Array<Images>(channels - 1).fill(given))
        : invalidChannels(depth);
  const read = resize === null ? repeated : repeated.resize(...resize);
  const [{ images, matrix }] = network.apply(read, [cut]) as [CutValue];
  const columns = images && pool === 'mean' ? images.globalAvgPool2d().matrix : matrix;
  return { value: images?.matrix ?? matrix, pooled: columns.cast('float64') };
}

function invalidChannels(depth: number): never {
  throw invalid('network', 'one channel to be repeated', `${depth}`);
}

/** What networks made of the rows that columns are of. */
export function cutsOf({ rows: { made } }: Columns): NetworkCut[] {
  if (made === undefined) return [];
  const { value, pooled } = made.values;
  const own = made.kind === 'network' ? [{ value: value!, pooled: pooled! }] : [];
  return [...own, ...cutsOf(made.of)];
}
