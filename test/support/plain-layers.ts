/**
 * What stored layers make of plain cells, those of images too: what kernels and expressions are
 * compared with.
 */
import { pixelsUnder, placesOf, tapsOf, windowOf } from '../../driver/operators/image-window.js';
import { type NetworkLayer, type Over, placesIn } from '../../jobs/estimators/networks/layers.js';
import {
  type StoredLayer,
  windowProducts,
  withAllChannels,
  layersOfCells as withoutImages,
} from '../../jobs/estimators/networks/stored-layers.js';

/** `layersOf` of plain cells, row by row. */
export function layersOfCells(
  z: Float64Array,
  rows: number,
  layers: readonly StoredLayer[],
): Float64Array {
  return layers.reduce((x, stored) => {
    const { layer, cells } = withAllChannels(stored);
    switch (layer.kind) {
      case 'conv2d': {
        const { over, filters } = layer;
        const sizes = { rows: rows * placesIn(over), taps: cells!.length / filters - 1, filters };
        return windowProducts(windowsOf(x, rows, over, 0), sizes, cells!);
      }
      case 'max_pool':
      case 'avg_pool':
        return pooled(x, rows, layer);
      default:
        return withoutImages(x, rows, [stored]);
    }
  }, z);
}

/** The cells under each window, place by place, pixel by pixel; `beyond` outside the image. */
function windowsOf(x: Float64Array, rows: number, over: Over, beyond: number): Float64Array {
  const channels = over.image[2];
  const table = pixelsUnder(windowOf('layer', over));
  const size = x.length / rows;
  const out = new Float64Array(rows * table.length * channels);
  if (beyond !== 0) out.fill(beyond);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (const pixel of table) {
      const from = row * size + pixel * channels;
      if (pixel >= 0) for (let c = 0; c < channels; c++) out[at + c] = x[from + c]!;
      at += channels;
    }
  }
  return out;
}

function pooled(
  x: Float64Array,
  rows: number,
  { kind, over }: Extract<NetworkLayer, { readonly kind: 'max_pool' | 'avg_pool' }>,
): Float64Array {
  const isMax = kind === 'max_pool';
  const [, , channels] = over.image;
  const window = windowOf('layer', over);
  const [table, taps, places] = [pixelsUnder(window), tapsOf(window), placesOf(window)];
  const cells = windowsOf(x, rows, over, isMax ? Number.NEGATIVE_INFINITY : 0);
  return Float64Array.from({ length: rows * places * channels }, (_, at) => {
    const place = Math.floor(at / channels);
    let [value, count] = [isMax ? Number.NEGATIVE_INFINITY : 0, 0];
    for (let tap = 0; tap < taps; tap++) {
      const cell = cells[(place * taps + tap) * channels + (at % channels)]!;
      value = isMax ? Math.max(value, cell) : value + cell;
      // What is beyond the border does not count.
      if (table[(place % places) * taps + tap]! >= 0) count++;
    }
    return isMax ? value : value / count;
  });
}
