/**
 * The texts of the kernels over images, and what they are given of a window. Cells are of either
 * dtype, by a flag, so that there is one text of each to compile.
 */
import { type ImageWindow, tapsOf } from '../../../driver/operators/image-window.js';
import { integer, type StepOperand } from './lowered.js';
import { foldKernel } from './reduce.js';

export type ConvolutionName = 'conv2d' | 'conv2dInputGradient' | 'conv2dFilterGradient';

/** As `windowParameters` has them. */
export function windowNumbers(window: ImageWindow): StepOperand[] {
  const { height, width, channels, windowWidth, strideDown, strideAcross } = window;
  const { dilationDown, dilationAcross, top, left, outHeight, outWidth } = window;
  return [
    ...[height, width, channels, tapsOf(window), windowWidth, strideDown, strideAcross],
    ...[dilationDown, dilationAcross, top, left, outHeight, outWidth],
  ].map(integer);
}

const windowParameters = `const int image_height, const int image_width, const int channels,
    const int taps, const int window_width, const int stride_down, const int stride_across,
    const int dilation_down, const int dilation_across, const int top, const int left,
    const int out_height, const int out_width`;

/** The pixel under a tap at a place, and the place whose tap lies on a pixel; below 0: none. */
const windowText = `
#define PIXEL_UNDER(place, tap) pixel_under(place, tap, image_height, image_width, window_width, stride_down, \\
    stride_across, dilation_down, dilation_across, top, left, out_width)
#define PLACE_OVER(pixel, tap) place_over(pixel, tap, image_width, window_width, stride_down, \\
    stride_across, dilation_down, dilation_across, top, left, out_height, out_width)

FUNCTION int pixel_under(const int window_place, const int tap, const int image_height, const int image_width,
    const int window_width, const int stride_down, const int stride_across,
    const int dilation_down, const int dilation_across, const int top, const int left,
    const int out_width) {
  const int y = window_place / out_width * stride_down - top + tap / window_width * dilation_down;
  const int x = window_place % out_width * stride_across - left + tap % window_width * dilation_across;
  return y < 0 || y >= image_height || x < 0 || x >= image_width ? -1 : y * image_width + x;
}

FUNCTION int place_over(const int pixel, const int tap, const int image_width, const int window_width,
    const int stride_down, const int stride_across, const int dilation_down,
    const int dilation_across, const int top, const int left, const int out_height,
    const int out_width) {
  const int y = pixel / image_width + top - tap / window_width * dilation_down;
  const int x = pixel % image_width + left - tap % window_width * dilation_across;
  if (y < 0 || x < 0 || y % stride_down != 0 || x % stride_across != 0) return -1;
  const int down = y / stride_down;
  const int across = x / stride_across;
  return down >= out_height || across >= out_width ? -1 : down * out_width + across;
}
`;

export const imagesText = `${windowText}
KERNEL void unfold(GLOBAL const void *RESTRICT x, GLOBAL void *RESTRICT out, const int64 cells,
    const int64 first_row, const int64 count, const int group_channels, ${windowParameters}, const int is_narrow) {
  const int64 at = GLOBAL_ID(0);
  if (at >= cells) return;
  const int64 cell_place = at / group_channels;
  const int c = (int)(at - cell_place * group_channels);
  const int64 places_before = cell_place / taps;
  const int tap = (int)(cell_place - places_before * taps);
  const int64 group = places_before / count;
  const int64 of_block = places_before - group * count;
  const int places = out_height * out_width;
  const int64 row = of_block / places;
  const int pixel = PIXEL_UNDER((int)(of_block - row * places), tap);
  const int64 from = ((first_row + row) * image_height * image_width + pixel) * channels;
  const int64 cell_at = from + group * group_channels + c;
  PUT_CELL(out, at, pixel < 0 ? 0.0 : CELL_OF(x, cell_at, is_narrow), is_narrow);
}

KERNEL void add_back(GLOBAL const void *RESTRICT x, GLOBAL void *RESTRICT out, const int64 cells,
    const int64 first, const int64 count, const int group_channels, ${windowParameters}, const int is_narrow) {
  const int64 at = GLOBAL_ID(0);
  if (at >= cells) return;
  const int64 rest = at / channels;
  const int channel = (int)(at - rest * channels);
  const int64 row = rest / (image_height * image_width);
  const int pixel = (int)(rest - row * image_height * image_width);
  const int group = channel / group_channels;
  const int64 before = group * count + row * out_height * out_width;
  double total = 0.0;
  for (int tap = 0; tap < taps; tap++) {
    const int place = PLACE_OVER(pixel, tap);
    if (place < 0) continue;
    const int64 row_at = ((before + place) * taps + tap) * group_channels;
    total += CELL_OF(x, row_at + channel % group_channels, is_narrow);
  }
  PUT_CELL(out, first + at, total, is_narrow);
}

KERNEL void add_bias(GLOBAL const void *RESTRICT bias, GLOBAL void *RESTRICT out,
    const int64 cells, const int64 filters, const int is_narrow) {
  const int64 at = GLOBAL_ID(0);
  if (at >= cells) return;
  const double sum = CELL_OF(out, at, is_narrow) + CELL_OF(bias, at % filters, is_narrow);
  PUT_CELL(out, at, sum, is_narrow);
}

FUNCTION int greatest_under(GLOBAL const void *RESTRICT x, const int64 first, const int place,
    ${windowParameters}, const int is_narrow) {
  int best = -1;
  double most = 0.0;
  for (int tap = 0; tap < taps; tap++) {
    const int pixel = PIXEL_UNDER(place, tap);
    if (pixel < 0) continue;
    const double own = CELL_OF(x, first + (int64)pixel * channels, is_narrow);
    if (best >= 0 && !(own > most || (own != own && most == most))) continue;
    best = pixel;
    most = own;
  }
  return best;
}

#define GREATEST_UNDER(first, place) greatest_under(x, first, place, image_height, image_width, channels, \\
    taps, window_width, stride_down, stride_across, dilation_down, dilation_across, top, left, \\
    out_height, out_width, is_narrow)

KERNEL void max_pool(GLOBAL const void *RESTRICT x, GLOBAL const void *RESTRICT v,
    GLOBAL void *RESTRICT out, const int64 cells, ${windowParameters}, const int is_narrow) {
  const int64 at = GLOBAL_ID(0);
  if (at >= cells) return;
  const int places = out_height * out_width;
  const int64 rest = at / channels;
  const int64 row = rest / places;
  const int64 first = row * image_height * image_width * channels + (at - rest * channels);
  const int pixel = GREATEST_UNDER(first, (int)(rest - row * places));
  PUT_CELL(out, at, CELL_OF(v, first + (int64)pixel * channels, is_narrow), is_narrow);
}

KERNEL void max_pool_back(GLOBAL const void *RESTRICT x, GLOBAL const void *RESTRICT y,
    GLOBAL void *RESTRICT out, const int64 cells, ${windowParameters}, const int is_narrow) {
  const int64 at = GLOBAL_ID(0);
  if (at >= cells) return;
  const int64 rest = at / channels;
  const int64 row = rest / (image_height * image_width);
  const int pixel = (int)(rest - row * image_height * image_width);
  const int64 channel = at - rest * channels;
  const int64 first = row * image_height * image_width * channels + channel;
  double total = 0.0;
  for (int tap = 0; tap < taps; tap++) {
    const int place = PLACE_OVER(pixel, tap);
    if (place < 0 || GREATEST_UNDER(first, place) != pixel) continue;
    const int64 cell_at = (row * out_height * out_width + place) * channels + channel;
    total += CELL_OF(y, cell_at, is_narrow);
  }
  PUT_CELL(out, at, total, is_narrow);
}
`;

/** Over `o`, the number of the result's cell, and `k`, that of its products. */
const foldStatements = {
  conv2d: `
      const int64 out_place = o / filters;
      const int filter = (int)(o - out_place * filters);
      const int tap = (int)(k / group_channels);
      const int64 row = out_place / places;
      const int pixel = PIXEL_UNDER((int)(out_place - row * places), tap);
      const int64 channel = filter / group_filters * group_channels + k % group_channels;
      const double own_product = pixel < 0 ? 0.0
          : CELL_OF(x, (row * pixels + pixel) * channels + channel, is_narrow_x)
              * CELL_OF(y, k * filters + filter, is_narrow_x);
`,
  conv2dInputGradient: `
      const int64 image_place = o / channels;
      const int channel = (int)(o - image_place * channels);
      const int tap = (int)(k / group_filters);
      const int64 row = image_place / pixels;
      const int over = PLACE_OVER((int)(image_place - row * pixels), tap);
      const int64 filter = channel / group_channels * group_filters + k % group_filters;
      const int64 filter_row = (int64)tap * group_channels + channel % group_channels;
      const double own_product = over < 0 ? 0.0
          : CELL_OF(x, (row * places + over) * filters + filter, is_narrow_x)
              * CELL_OF(y, filter_row * filters + filter, is_narrow_x);
`,
  conv2dFilterGradient: `
      const int64 filter_row = o / filters;
      const int filter = (int)(o - filter_row * filters);
      const int tap = (int)(filter_row / group_channels);
      const int64 row = k / places;
      const int pixel = PIXEL_UNDER((int)(k - row * places), tap);
      const int64 channel = filter / group_filters * group_channels + filter_row % group_channels;
      const double own_product = pixel < 0 ? 0.0
          : CELL_OF(x, (row * pixels + pixel) * channels + channel, is_narrow_x)
              * CELL_OF(y, k * filters + filter, is_narrow_x);
`,
} satisfies Record<ConvolutionName, string>;

export const foldTexts = Object.fromEntries(
  Object.entries(foldStatements).map(([name, own]) => {
    const sizes = `      const int places = out_height * out_width;
      const int pixels = image_height * image_width;
      const int filters = channels / group_channels * group_filters;`;
    const cells = {
      parameters: `GLOBAL const void *RESTRICT x, GLOBAL const void *RESTRICT y,
    ${windowParameters}, const int group_channels, const int group_filters,
    const int is_narrow_x, `,
      statements: sizes + own,
      result: 'own_product',
    };
    return [name, `typedef int64 place;\n${windowText}${foldKernel('sum', cells, name)}`];
  }),
) as Readonly<Record<ConvolutionName, string>>;
