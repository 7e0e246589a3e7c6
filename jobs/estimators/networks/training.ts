/**
 * What a training of a network is told, what of its layers is trained, and where that begins.
 * Invariant: what is drawn follows from the seed of each model, its own number.
 */
import { type Matrix, type Optimiser, ones, seq, uniformAt, zeros } from '../../../driver/index.js';
import type { RowData } from '../estimator.js';
import type { TrainableNetwork, TrainedLayer } from './layer-list.js';

/** What decision values are compared with: the target, its class, or the columns themselves. */
export type NetworkLoss = 'squared' | 'binary' | 'classes' | 'reconstruction';

export interface Training {
  readonly network: TrainableNetwork;
  readonly loss: NetworkLoss;
  /** Rows of a step; the last of an epoch may have fewer. */
  readonly batchRows: number;
  readonly shuffles: boolean;
  readonly maxEpochs: number;
  /** Epochs without a better loss, or score, before it ends, or the rate falls. */
  readonly patience: number;
  readonly optimiser: Optimiser;
  /** How the rate goes on after an epoch; see `rateAfter`. */
  readonly rates: 'constant' | 'invscaling' | 'adaptive' | 'exponential';
  /**
   * Share of the rows that is held out; epochs are compared by scores of these, and the best
   * epoch's layers are kept. Absent: none is.
   */
  readonly validation?: number | undefined;
  /** [1, 1] each. */
  readonly numbers: {
    /** Weight of half the squares of weights, intercepts left out. Absent: 0. */
    readonly alpha?: Matrix;
    readonly rate: Matrix;
    /** Of `invscaling`. */
    readonly exponent?: Matrix;
    /** Of `exponential`: what the rate is multiplied by after an epoch. */
    readonly decay?: Matrix;
    /** Of dropout layers without a rate of their own. */
    readonly dropout?: Matrix;
    /** What a better loss is better by. */
    readonly tolerance: Matrix;
    /** Whole, from 0. */
    readonly seed: Matrix;
  };
}

/** Seeds of one `random_state`: more than epochs and layers. */
export const SEEDS = 2 ** 20;
/** Seeds of first weights lie after those of epochs. */
export const FIRST_SEED = SEEDS - 64;
/** Of what rows are held out by. */
export const SPLIT_SEED = FIRST_SEED - 1;
/** Rows of the design, as layers and as cells of batches. */
export type Rows = Pick<RowData, 'X' | 'y' | 'weight' | 'design' | 'classes'>;

export type Norm = Extract<TrainedLayer, { readonly kind: 'batch_norm' }>;

type NormKind = 'batch_norm' | 'layer_norm';

/** Whose matrix is factors, then what is added, and is under no penalty. */
export function isNorm({ kind }: TrainedLayer): boolean {
  return kind === 'batch_norm' || kind === 'layer_norm';
}

export function normsOf({ layers }: TrainableNetwork): Norm[] {
  return layers.filter((layer): layer is Norm => layer.kind === 'batch_norm');
}

/** Shapes of what is trained: intercepts in the last row; of norms factors, then what is added. */
export function trainedShapes({ layers }: TrainableNetwork): ParameterShape[] {
  return layers.flatMap((layer): ParameterShape[] => {
    switch (layer.kind) {
      case 'dense':
        return [{ layer, inputs: layer.inputs, units: layer.units, taps: 1 }];
      case 'conv2d': {
        const { window, image } = layer.over;
        const taps = window[0] * window[1];
        const { filters, groups = 1 } = layer;
        // A filter's cells, and what of the filters sees a cell of a window.
        return [{ layer, inputs: (taps * image[2]) / groups, units: filters, taps: taps / groups }];
      }
      case 'batch_norm':
      case 'layer_norm':
        return [{ layer, inputs: 1, units: layer.channels, taps: 1 }];
      default:
        return [];
    }
  });
}

interface ParameterShape {
  readonly layer: Extract<TrainedLayer, { readonly kind: 'dense' | 'conv2d' | NormKind }>;
  readonly inputs: number;
  readonly units: number;
  /** How often a value that goes in meets a unit: once a pixel of the window. */
  readonly taps: number;
}

/**
 * Uniform on [-b, b], b = sqrt(6 / (inputs + units)), 2 in place of 6 for the logistic function.
 * Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
 * networks" (AISTATS 2010), as scikit-learn has it.
 */
export function firstLayers({ X }: Rows, { network, numbers }: Training): Matrix[] {
  const { layers } = network;
  const isLogistic = layers.some(
    (one) => one.kind === 'activation' && one.activation === 'logistic',
  );
  return trainedShapes(network).map(({ layer, inputs, units, taps }, l) => {
    if (isNorm(layer)) {
      const shape = [X.session, 1, units, { dtype: X.dtype }] as const;
      return ones(...shape).rbind(zeros(...shape));
    }
    const bound = Math.sqrt((isLogistic ? 2 : 6) / (inputs + taps * units));
    const seed = numbers.seed.mul(SEEDS).add(FIRST_SEED + l);
    const drawn = uniformAt(seq(X.session, 0, inputs), seed, units);
    return drawn
      .mul(2 * bound)
      .sub(bound)
      .cast(X.dtype);
  });
}
