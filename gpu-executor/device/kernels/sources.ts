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
import type { KernelScalar } from '../driver.js';
import { cellSource, cNumber, cType } from './cell-code.js';
import {
  type DeviceStep,
  integer,
  itemsStep,
  type Lowered,
  long,
  loweredNode,
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

/** Horner's rule, highest power first. */
function horner(coefficients: readonly number[]): string {
  const numbers = coefficients.map((one) => cNumber(one, 'double'));
  return numbers.reduceRight((rest, one) => `(${rest} * r + ${one})`);
}

const [LN2_HIGH, LN2_LOW] = LN2_PARTS.map((one) => cNumber(one, 'double'));
const [L1, L2, L3, L4, L5, L6, L7] = LOG_TERMS.map((one) => cNumber(one, 'double'));

/** `philox.ts` and `inverse-normal.ts`, operation for operation. */
const randomText = `
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

FUNCTION double uniform(const uint32 high, const uint32 low) {
  return ((double)(high >> 5) * 67108864.0 + (double)(low >> 6)) * ${cNumber(2 ** -53, 'double')};
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
    uint32 c0 = (uint32)pair, c1 = (uint32)stream, c2 = (uint32)row, c3 = (uint32)(row >> 32);
    uint32 k0 = (uint32)key0, k1 = (uint32)key1;
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
    for (int i = 0; i < 2; i++) {
      const uint32 high = i == 0 ? c0 : c2;
      const uint32 low = i == 0 ? c1 : c3;
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
