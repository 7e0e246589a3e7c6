/** Cells made from attributes alone. Random numbers have the bits that every backend gives them. */
import type { Typed } from '../../../driver/ir/dtype.js';
import type { Expr, Meta } from '../../../driver/ir/expr.js';
import {
  CENTRE,
  FAR_TAIL,
  LN2_PARTS,
  LOG_TERMS,
  TAIL,
} from '../../../driver/operators/inverse-normal.js';
import { MAX_COUNT, ROUNDS, STREAM } from '../../../driver/operators/shuffled-at.js';
import type { KernelScalar } from '../driver.js';
import { cellSource, cNumber, cType } from './cell-code.js';
import {
  type DeviceStep,
  integer,
  itemsStep,
  type Lowered,
  long,
  loweredNode,
  narrowFlag,
  type StepOperand,
} from './lowered.js';

const OUTPUT: StepOperand = { output: 0 };

/** Every cell of the output. */
export function fillStep({ rows, cols, dtype }: Meta & Typed, value: number): DeviceStep {
  const type = cType(dtype);
  const source = `
KERNEL void fill(GLOBAL ${type} *RESTRICT out, const ${type} value, const int64 cells) {
  const int64 at = GLOBAL_ID(0);
  if (at < cells) out[at] = value;
}
`;
  const number: KernelScalar = type === 'float' ? { float32: value } : { float64: value };
  const cells = rows * cols;
  return itemsStep({ name: 'fill', source }, [OUTPUT, number, long(cells)], cells);
}

/** A matrix of one number. */
export function lowerFill(expr: Expr): Lowered {
  return loweredNode(expr, [fillStep(expr, expr.op.constant!(expr.attrs))]);
}

export function lowerSeq(expr: Expr): Lowered {
  const { from, by } = expr.attrs as { from: number; by: number };
  const source = `
KERNEL void seq(GLOBAL ${cType(expr.dtype)} *RESTRICT out, const double from, const double by,
    const int64 rows) {
  const int64 at = GLOBAL_ID(0);
  if (at < rows) out[at] = from + (double)at * by;
}
`;
  const operands = [OUTPUT, { float64: from }, { float64: by }, long(expr.rows)];
  return loweredNode(expr, [itemsStep({ name: 'seq', source }, operands, expr.rows)]);
}

/** Items make two cells each, which share a counter. */
export function lowerRand(expr: Expr): Lowered {
  const { rows, cols, dtype, attrs } = expr;
  const isNormal = attrs.distribution === 'normal';
  const shift = (isNormal ? attrs.mean : attrs.min) as number;
  const scale = isNormal ? (attrs.std as number) : (attrs.max as number) - shift;
  const seed = attrs.seed as number;
  const pairs = Math.ceil(cols / 2);
  const kernel = { name: 'philox', source: cellSource(randomText, dtype) };
  const operands: StepOperand[] = [
    OUTPUT,
    ...[rows, cols, pairs].map(long),
    ...[seed >>> 0, Math.floor(seed / 2 ** 32)].map((word) => integer(word | 0)),
    integer(isNormal ? 1 : 0),
    ...[shift, scale, (attrs.sparsity as number | undefined) ?? 1].map((float64) => ({ float64 })),
  ];
  return loweredNode(expr, [itemsStep(kernel, operands, rows * pairs)]);
}

/** Operands of each for all columns, or for each seed: cells from one seed to the next. */
function perSeed({ cols }: Meta): StepOperand {
  return long(cols === 1 ? 0 : 1);
}

/** Cells of rows by number; items make two each. */
export function lowerUniformAt(expr: Expr): Lowered {
  const [numbers, seeds] = expr.inputs as [Expr, Expr];
  const width = expr.attrs.cols as number;
  const pairs = Math.ceil(width / 2);
  const items = expr.rows * seeds.cols * pairs;
  const sizes = [items, width, pairs, seeds.cols, numbers.cols].map(long);
  const operands = [{ input: 0 }, { input: 1 }, OUTPUT, ...sizes, perSeed(numbers)];
  const kernel = { name: 'uniform_at', source: placedText };
  return loweredNode(expr, [
    itemsStep(kernel, [...operands, ...[numbers, seeds].map(narrowFlag)], items),
  ]);
}

export function lowerShuffledAt(expr: Expr): Lowered {
  const [positions, seeds, counts] = expr.inputs as [Expr, Expr, Expr];
  const cells = expr.rows * expr.cols;
  const sizes = [cells, expr.cols, positions.cols].map(long);
  const operands = [{ input: 0 }, { input: 1 }, { input: 2 }, OUTPUT, ...sizes, perSeed(positions)];
  const kernel = { name: 'shuffled_at', source: placedText };
  const flags = [positions, seeds, counts].map(narrowFlag);
  return loweredNode(expr, [itemsStep(kernel, [...operands, ...flags], cells)]);
}

/** Horner's rule, highest power first. */
function horner(coefficients: readonly number[]): string {
  const numbers = coefficients.map((one) => cNumber(one, 'double'));
  return numbers.reduceRight((rest, one) => `(${rest} * r + ${one})`);
}

const [LN2_HIGH, LN2_LOW] = LN2_PARTS.map((one) => cNumber(one, 'double'));
const [L1, L2, L3, L4, L5, L6, L7] = LOG_TERMS.map((one) => cNumber(one, 'double'));

/** `philox.ts`, operation for operation. */
const philoxText = `
FUNCTION void philox_words(uint32 *words, const uint32 key0, const uint32 key1) {
  uint32 c0 = words[0], c1 = words[1], c2 = words[2], c3 = words[3];
  uint32 k0 = key0, k1 = key1;
  for (int round = 0; round < 10; round++) {
    const uint64 left = (uint64)0xd2511f53 * c0;
    const uint64 right = (uint64)0xcd9e8d57 * c2;
    c0 = (uint32)(right >> 32) ^ c1 ^ k0;
    c1 = (uint32)right;
    c2 = (uint32)(left >> 32) ^ c3 ^ k1;
    c3 = (uint32)left;
    k0 += 0x9e3779b9;
    k1 += 0xbb67ae85;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

FUNCTION double uniform(const uint32 high, const uint32 low) {
  return ((double)(high >> 5) * 67108864.0 + (double)(low >> 6)) * ${cNumber(2 ** -53, 'double')};
}
`;

/** `philox.ts` and `inverse-normal.ts`, operation for operation. */
const randomText = `${philoxText}
FUNCTION double strict_log(const double x) {
  int high = (int)(BITS_OF_DOUBLE(x) >> 32);
  int k = (high >> 20) - 1023;
  high &= 0x000fffff;
  const int i = (high + 0x95f64) & 0x100000;
  const uint64 low = BITS_OF_DOUBLE(x) & 0xffffffffUL;
  const double f = DOUBLE_OF_BITS((uint64)(high | (i ^ 0x3ff00000)) << 32 | low) - 1.0;
  k += i >> 20;
  if ((0x000fffff & (2 + high)) < 3) {
    if (f == 0.0) return k == 0 ? 0.0 : k * ${LN2_HIGH} + k * ${LN2_LOW};
    const double r = f * f * (0.5 - 0.3333333333333333 * f);
    return k == 0 ? f - r : k * ${LN2_HIGH} - (r - k * ${LN2_LOW} - f);
  }
  const double s = f / (2.0 + f);
  const double z = s * s;
  const double w = z * z;
  const double t1 = w * (${L2} + w * (${L4} + w * ${L6}));
  const double t2 = z * (${L1} + w * (${L3} + w * (${L5} + w * ${L7})));
  const double r = t2 + t1;
  if (((high - 0x6147a) | (0x6b851 - high)) > 0) {
    const double half_square = 0.5 * f * f;
    if (k == 0) return f - (half_square - s * (half_square + r));
    return k * ${LN2_HIGH} - (half_square - (s * (half_square + r) + k * ${LN2_LOW}) - f);
  }
  if (k == 0) return f - s * (f - r);
  return k * ${LN2_HIGH} - (s * (f - r) - k * ${LN2_LOW} - f);
}

FUNCTION double inverse_normal(const double p) {
  const double q = p - 0.5;
  if (fabs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q * ${horner(CENTRE[0])} / ${horner(CENTRE[1])};
  }
  double r = sqrt(-strict_log(q < 0 ? p : 1.0 - p));
  double value;
  if (r <= 5.0) {
    r -= 1.6;
    value = ${horner(TAIL[0])} / ${horner(TAIL[1])};
  } else {
    r -= 5.0;
    value = ${horner(FAR_TAIL[0])} / ${horner(FAR_TAIL[1])};
  }
  return q < 0 ? -value : value;
}

FUNCTION double open_uniform(const uint32 high, const uint32 low) {
  const double bits = (double)(high >> 6) * 67108864.0 + (double)(low >> 6) + 0.5;
  return bits * ${cNumber(2 ** -52, 'double')};
}

KERNEL void philox(GLOBAL cell *RESTRICT out, const int64 rows, const int64 cols, const int64 pairs,
    const int key0, const int key1, const int is_normal, const double shift, const double scale,
    const double sparsity) {
  const int64 at = GLOBAL_ID(0);
  if (at >= rows * pairs) return;
  const int64 row = at / pairs;
  const int64 pair = at - row * pairs;
  double values[2];
  for (int stream = 0; stream < (sparsity < 1.0 ? 2 : 1); stream++) {
    uint32 words[4] = {(uint32)pair, (uint32)stream, (uint32)row, (uint32)(row >> 32)};
    philox_words(words, (uint32)key0, (uint32)key1);
    for (int i = 0; i < 2; i++) {
      const uint32 high = words[2 * i];
      const uint32 low = words[2 * i + 1];
      if (stream == 1) {
        if (uniform(high, low) >= sparsity) values[i] = 0.0;
      } else {
        const double unit =
            is_normal ? inverse_normal(open_uniform(high, low)) : uniform(high, low);
        values[i] = shift + unit * scale;
      }
    }
  }
  out[row * cols + 2 * pair] = (cell)values[0];
  if (2 * pair + 1 < cols) out[row * cols + 2 * pair + 1] = (cell)values[1];
}
`;

/** `uniform-at.ts` and `shuffled-at.ts`, operation for operation. */
const placedText = `${philoxText}
/** A whole number from 0 that every double up to it is. */
FUNCTION int is_count(const double a) {
  return a >= 0.0 && a <= ${cNumber(Number.MAX_SAFE_INTEGER, 'double')} && floor(a) == a;
}

KERNEL void uniform_at(GLOBAL const void *RESTRICT numbers, GLOBAL const void *RESTRICT seeds,
    GLOBAL double *RESTRICT out, const int64 items, const int64 width, const int64 pairs,
    const int64 models, const int64 number_cols, const int64 number_step,
    const int is_narrow_number, const int is_narrow_seed) {
  const int64 at = GLOBAL_ID(0);
  if (at >= items) return;
  const int64 cell_row = at / pairs;
  const int64 pair = at - cell_row * pairs;
  const int64 row = cell_row / models;
  const int64 model = cell_row - row * models;
  const double number =
      CELL_OF(numbers, row * number_cols + model * number_step, is_narrow_number);
  const double seed = CELL_OF(seeds, model, is_narrow_seed);
  double values[2] = {NOT_A_NUMBER, NOT_A_NUMBER};
  if (is_count(number) && is_count(seed)) {
    const uint64 place = (uint64)number;
    const uint64 key = (uint64)seed;
    uint32 words[4] = {(uint32)pair, 0, (uint32)place, (uint32)(place >> 32)};
    philox_words(words, (uint32)key, (uint32)(key >> 32));
    for (int i = 0; i < 2; i++) values[i] = uniform(words[2 * i], words[2 * i + 1]);
  }
  out[cell_row * width + 2 * pair] = values[0];
  if (2 * pair + 1 < width) out[cell_row * width + 2 * pair + 1] = values[1];
}

FUNCTION uint32 mixed(const uint32 word) {
  uint32 h = word;
  h = (h ^ (h >> 16)) * 0x85ebca6bU;
  h = (h ^ (h >> 13)) * 0xc2b2ae35U;
  return h ^ (h >> 16);
}

KERNEL void shuffled_at(GLOBAL const void *RESTRICT positions, GLOBAL const void *RESTRICT seeds,
    GLOBAL const void *RESTRICT counts, GLOBAL double *RESTRICT out, const int64 cells,
    const int64 cols, const int64 position_cols, const int64 position_step,
    const int is_narrow_position, const int is_narrow_seed, const int is_narrow_count) {
  const int64 at = GLOBAL_ID(0);
  if (at >= cells) return;
  const int64 row = at / cols;
  const int64 model = at - row * cols;
  const double position =
      CELL_OF(positions, row * position_cols + model * position_step, is_narrow_position);
  const double seed = CELL_OF(seeds, model, is_narrow_seed);
  const double count = CELL_OF(counts, model, is_narrow_count);
  const int is_order = is_count(seed) && is_count(fabs(count)) && count <= ${MAX_COUNT}.0;
  if (!is_order || !is_count(position) || position >= count) {
    out[at] = is_order ? -1.0 : NOT_A_NUMBER;
    return;
  }
  const uint64 key = (uint64)seed;
  uint32 keys[${ROUNDS}];
  for (int first = 0; first < ${ROUNDS}; first += 4) {
    uint32 words[4] = {(uint32)(first / 4), ${STREAM}, 0, 0};
    philox_words(words, (uint32)key, (uint32)(key >> 32));
    for (int i = 0; i < 4; i++) keys[first + i] = words[i];
  }
  const uint64 size = (uint64)count;
  const uint64 left = (uint64)ceil(sqrt(count));
  const uint64 right = (size + left - 1) / left;
  uint64 found = (uint64)position;
  do {
    uint64 l = found % left;
    uint64 r = found / left;
    for (int round = 0; round < ${ROUNDS}; round += 2) {
      l = (l + (mixed((uint32)r ^ keys[round]) * left >> 32)) % left;
      r = (r + (mixed((uint32)l ^ keys[round + 1]) * right >> 32)) % right;
    }
    found = r * left + l;
  } while (found >= size);
  out[at] = (double)found;
}
`;
