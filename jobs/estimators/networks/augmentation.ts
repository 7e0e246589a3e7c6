/**
 * Images that are moved at random while a network trains, with Keras' names. Where an image goes
 * follows from `random_state`, the epoch and the number of its row, whatever batch it is in, so that
 * what was augmented has lineage as all else. Rows that are held out, scored or predicted stay.
 */
import * as z from 'zod';
import { type Matrix, seq, takeRows } from '../../../driver/index.js';
import type { Over } from './layers.js';

const FLIPS = ['horizontal', 'vertical', 'horizontal_and_vertical'] as const;
const factor = z.number().min(0).max(1).optional();
const FILLS = ['reflect', 'nearest', 'constant'] as const;

export const randomFlip = z.union([z.null(), z.enum(FLIPS)]);
export const randomTranslation = z.strictObject({
  height_factor: factor,
  width_factor: factor,
  fill_mode: z.enum(FILLS).optional(),
});

/** A layer that changes nothing but where the pixels of [height, width, channels] lie. */
export type Augmentation = { readonly image: Over['image'] } & (
  | {
      readonly kind: 'random_flip';
      readonly mode: (typeof FLIPS)[number];
    }
  | {
      readonly kind: 'random_translation';
      /** Pixels at most, either way. */
      readonly most: readonly [down: number, across: number];
      readonly fill: (typeof FILLS)[number];
    }
);

/** Random numbers a row that a layer takes. */
export const DRAWN = 2;

export function flipOf(mode: z.output<typeof randomFlip>, image: Over['image']): Augmentation {
  return { kind: 'random_flip', image, mode: mode ?? 'horizontal_and_vertical' };
}

/** Shifts are whole pixels; Keras takes means of four. */
export function translationOf(
  {
    height_factor = 0,
    width_factor = 0,
    fill_mode = 'reflect',
  }: z.output<typeof randomTranslation>,
  image: Over['image'],
): Augmentation {
  const most = [Math.round(height_factor * image[0]), Math.round(width_factor * image[1])] as const;
  return { kind: 'random_translation', image, most, fill: fill_mode };
}

/**
 * Images with their pixels moved.
 * @param drawn uniform on [0, 1): [n, 2], down and across
 * @param isTraining 0 where nothing is to move, [1, 1]; absent: 1
 * @shape x: [n, height * width * channels] -> the same
 */
export function augmented(
  layer: Augmentation,
  x: Matrix,
  drawn: Matrix,
  isTraining: Matrix | undefined,
): Matrix {
  const [height, width, channels] = layer.image;
  const { session, rows } = x;
  const pixels = height * width;
  const at = seq(session, 0, pixels - 1).t();
  const down = at.div(width).floor();
  const [y, isInY] = placeOf(layer, 0, down, drawn, isTraining);
  const [sideways, isInX] = placeOf(layer, 1, at.sub(down.mul(width)), drawn, isTraining);
  const first = seq(session, 0, rows - 1).mul(pixels);
  const place = y.mul(width).add(sideways).add(first);
  // Zeros come from no row.
  const from = isInY && isInX ? isInY.and(isInX).ifelse(place, -1) : place;
  const own = x.reshape(rows * pixels, channels);
  return takeRows(from.reshape(rows * pixels, 1), own).reshape(rows, pixels * channels);
}

/** Along one axis, from which pixel of each row each pixel comes, and whether there is one. */
function placeOf(
  layer: Augmentation,
  axis: 0 | 1,
  at: Matrix,
  drawn: Matrix,
  isTraining: Matrix | undefined,
): readonly [place: Matrix, isInside?: Matrix] {
  const last = layer.image[axis] - 1;
  const own = drawn.slice(null, axis);
  const whereTraining = (one: Matrix): Matrix => (isTraining ? one.mul(isTraining) : one);
  if (layer.kind === 'random_flip') {
    const isOther = layer.mode === (['horizontal', 'vertical'] as const)[axis];
    const turned = whereTraining(own.lt(isOther ? 0 : 0.5));
    return [at.add(turned.mul(at.mul(-2).add(last)))];
  }
  const most = layer.most[axis];
  const shift = own
    .mul(2 * most + 1)
    .floor()
    .sub(most);
  const place = at.add(whereTraining(shift));
  switch (layer.fill) {
    case 'nearest':
      return [place.maximum(0).minimum(last)];
    case 'reflect': {
      const folded = place.add(0.5).abs().sub(0.5);
      return [
        folded
          .sub(last + 0.5)
          .abs()
          .neg()
          .add(last + 0.5),
      ];
    }
    case 'constant':
      return [place, place.ge(0).and(place.le(last))];
  }
}
