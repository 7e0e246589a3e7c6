/**
 * A batch on its way through a network while it trains: decision values, what norms keep of it, and
 * losses. Rows that are held out pass as new rows do: nothing is dropped, and kept moments norm them.
 */
import { logSoftmax, type Matrix, oneHot, uniformAt, zeros } from '../../../driver/index.js';
import { normalScale } from '../../../driver/matrix/images.js';
import type { RowData } from '../estimator.js';
import { augmented, DRAWN } from './augmentation.js';
import type { TrainableNetwork } from './layer-list.js';
import { affineRows, applied, byChannel, layerShape } from './layers.js';
import { isNorm, type Norm, type Rows, SEEDS, type Training, trainedShapes } from './training.js';

/** Rows of a step. */
export interface Batch {
  readonly x: Matrix;
  /** [batch, 1] */
  readonly y: Matrix;
  /** Of rows; 0 for places after the last row of the epoch. */
  readonly weight: Matrix;
  /** Sum of the weights, [1, 1]. */
  readonly total: Matrix;
  /** Rows of the batch, [1, 1]. */
  readonly size: Matrix;
  /** Numbers of the rows among all, -1 for places after the last: [batch, 1]. */
  readonly numbers: Matrix;
  /** 1, or 0 for those places. */
  readonly isRow: Matrix;
  readonly epoch: Matrix;
  /** 0 for rows that are held out, [1, 1]; absent: none is. */
  readonly isTraining: Matrix | undefined;
}

/** Decision values of a batch, and the moments that norms keep after it. */
export function forward(
  rows: Rows,
  { network, numbers }: Training,
  batch: Batch,
  parameters: readonly Matrix[],
  norms: readonly Matrix[],
): { readonly z: Matrix; readonly moments: readonly Matrix[] } {
  const { design } = rows;
  const [left, kept] = [[...parameters], [...norms]];
  const moments: Matrix[] = [];
  const [begin] = network.layers;
  let z = begin!.kind === 'dense' ? batch.x : design.rows(batch.x);
  const drawn = drawnOf(network, numbers.seed, batch);
  for (const [l, layer] of network.layers.entries()) {
    switch (layer.kind) {
      case 'dense': {
        const own = left.shift()!;
        z = affineRows(z, l === 0 ? encodedLayer(design, own, z.cols) : own);
        break;
      }
      case 'batch_norm': {
        const made = normalised(layer, z, batch, left.shift()!, kept.shift()!);
        moments.push(made.moments);
        ({ z } = made);
        break;
      }
      case 'dropout':
        z = dropped(z, layer.rate ?? numbers.dropout!, drawn.shift()!, batch);
        break;
      case 'random_flip':
      case 'random_translation':
        z = augmented(layer, z, drawn.shift()!, batch.isTraining);
        break;
      case 'rescaling':
        z = z.mul(layer.scale).add(layer.offset);
        break;
      default:
        z = applied(layer, z, layerShape(layer) && left.shift()!);
    }
  }
  return { z, moments };
}

/** The first layer's weights of encoded columns; designs are in float64. */
export function encodedLayer(design: RowData['design'], first: Matrix, encoded: number): Matrix {
  const probe = zeros(first.session, encoded + 1, 1);
  if (design.columns === encoded && design.expand(probe) === probe) return first;
  return design.expand(first.cast('float64')).cast(first.dtype);
}

/** Random cells of each layer that takes some, which follow from the row, the epoch and the seed alone. */
function drawnOf({ layers }: TrainableNetwork, seed: Matrix, { numbers, epoch }: Batch): Matrix[] {
  const widths = layers.flatMap((layer) => {
    if (layer.kind === 'dropout') return [layer.columns];
    return layer.kind === 'random_flip' || layer.kind === 'random_translation' ? [DRAWN] : [];
  });
  if (widths.length === 0) return [];
  const all = widths.reduce((sum, own) => sum + own);
  const cells = uniformAt(numbers.maximum(0), seed.mul(SEEDS).add(epoch), all);
  let from = 0;
  return widths.map((width) => {
    const own = width === all ? cells : cells.slice(null, [from, from + width]);
    from += width;
    return own;
  });
}

/** As `dropout` of the driver; nothing is dropped of rows that are held out. */
function dropped(
  x: Matrix,
  rate: number | Matrix,
  drawn: Matrix,
  { isTraining, total }: Batch,
): Matrix {
  const given = typeof rate === 'number' ? total.cast('float64').mul(0).add(rate) : rate;
  const own = isTraining ? given.mul(isTraining) : given;
  return x.mul(drawn.ge(own).cast(x.dtype)).div(own.neg().add(1).cast(x.dtype));
}

/**
 * Each channel less its mean, over its deviation, times a factor, plus a number; moments are those of
 * the batch, or what is kept of batches for rows that are held out.
 * Source: Ioffe and Szegedy, "Batch normalization" (ICML 2015), as Keras has it.
 */
function normalised(
  { pixels, channels, epsilon, momentum }: Norm,
  x: Matrix,
  { isTraining, isRow }: Batch,
  parameter: Matrix,
  kept: Matrix,
): { readonly z: Matrix; readonly moments: Matrix } {
  const cells = isRow.sum().asMatrix().mul(pixels);
  const meanOf = (sums: Matrix): Matrix => {
    const own = pixels === 1 ? sums : sums.reshape(pixels, channels).colSums();
    return own.div(cells);
  };
  const wide = (numbers: Matrix): Matrix => byChannel(numbers, pixels);
  const mean = meanOf(x.mul(isRow).colSums());
  const variance = meanOf(x.sub(wide(mean)).mul(isRow).colSumSqs());
  const either = (own: Matrix, row: number): Matrix =>
    isTraining ? isTraining.cast(x.dtype).ifelse(own, kept.slice(row)) : own;
  const { scale, shift } = normalScale({
    ...{ mean: either(mean, 0), variance: either(variance, 1), epsilon },
    ...{ gamma: parameter.slice(0), beta: parameter.slice(1) },
  });
  return {
    z: x.mul(wide(scale)).add(wide(shift)),
    moments: kept.mul(momentum).add(mean.rbind(variance).mul(1 - momentum)),
  };
}

/** Of each row of a batch. [batch, 1] */
export function lossesOf({ design }: Rows, { loss }: Training, { x, y }: Batch, z: Matrix): Matrix {
  switch (loss) {
    case 'squared':
      return z.sub(y).square().mul(0.5);
    case 'binary':
      return z.softplus().sub(z.mul(y));
    case 'classes':
      return logSoftmax(z).mul(oneHot(y, z.cols)).rowSums().neg();
    case 'reconstruction':
      return z.sub(design.rows(x)).rowSumSqs().div(z.cols);
  }
}

/** Mean over the rows of a batch, and the penalty over as many. [1, 1] */
export function meanOf(
  { network, numbers: { alpha } }: Training,
  { x: { dtype }, weight, total }: Batch,
  losses: Matrix,
  parameters: readonly Matrix[],
): Matrix {
  const sum = losses.mul(weight).sum().asMatrix();
  if (alpha === undefined) return sum.div(total);
  const squares = trainedShapes(network).flatMap(({ layer }, l) => {
    const own = parameters[l]!;
    return isNorm(layer) ? [] : [own.slice([0, own.rows - 1]).sumSq()];
  });
  const penalty = squares
    .reduce((all, one) => all.add(one))
    .asMatrix()
    .mul(alpha.mul(0.5).cast(dtype));
  return sum.add(penalty).div(total);
}
