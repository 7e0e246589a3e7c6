/**
 * Factors and solutions of small systems, a group of items each, in float64: Cholesky, and Gaussian
 * elimination with partial pivoting, as `linear-systems.ts` has them. Invariant: a pivot is refused
 * where the host refuses it (`pivot.ts`); what a refused system leaves is NaN, and what was wrong
 * with the first system stands in the status words: 1 + the row, and the pivot.
 */
import type { DType } from '../../../driver/ir/dtype.js';
import { pivotLimit } from '../../../driver/operators/pivot.js';
import {
  type DeviceStep,
  GROUP,
  groupsStep,
  integer,
  long,
  narrowFlag,
  type PlacedOperand,
  type Scratch,
} from './lowered.js';

/** Rows of a system at most: beyond, one group takes longer than the host. */
export const MAX_SYSTEM = 256;
/** Rows from which on a library's several launches take less time than one group of items. */
const LIBRARY_ROWS = 64;

/** Where matrices of models lie: rows `stride` apart, those of model k from cell k * `step` on. */
export interface SystemView {
  readonly operand: PlacedOperand;
  readonly stride: number;
  readonly step: number;
}

export interface Systems {
  readonly dtype: DType;
  readonly kind: 'cholesky' | 'spd' | 'general';
  readonly models: number;
  readonly n: number;
  /** Columns of B; as `n` of a factor, which has no B. */
  readonly cols: number;
  readonly a: SystemView;
  readonly b?: SystemView;
  /** Added to the diagonal of A: a stride of 0 is one number for all rows. */
  readonly d?: SystemView | undefined;
  readonly out: SystemView;
}

const KINDS = { cholesky: 0, spd: 1, general: 2 };

/** @returns the launch, and where its status words are */
export function systemsStep(systems: Systems, scratch: Scratch) {
  const { dtype, kind, models, n, cols, a, out } = systems;
  const [b, d] = [systems.b ?? a, systems.d ?? a];
  const work = scratch.take(8 * models * n * n);
  // A factor has no right-hand sides.
  const side = scratch.take(kind === 'cholesky' ? 8 : 8 * models * n * cols);
  const scales = scratch.take(8 * models * n);
  const status = scratch.take(24);
  const limit = pivotLimit(n, 1, dtype);
  const operands = [a.operand, d.operand, b.operand, out.operand, work, side, scales, status];
  const sizes = [n, cols, a.stride, a.step, d.stride, d.step, b.stride, b.step];
  const step = groupsStep(
    { name: 'systems', source: systemsText },
    [
      ...operands,
      ...[...sizes, out.stride, out.step].map(long),
      integer(systems.d === undefined ? 0 : 1),
      integer(KINDS[kind]),
      narrowFlag(systems),
      { float64: limit },
    ],
    models,
  );
  const system = { ...systems, isFactor: kind === 'cholesky', work, side, status, limit };
  const isForLibrary = kind !== 'general' && models === 1 && n >= LIBRARY_ROWS;
  const known: DeviceStep = isForLibrary ? { ...step, system } : step;
  return { step: known, status: scratch.bytes.length - 1 };
}

/** One for both dtypes: it takes long to compile. */
const systemsText = `
KERNEL void systems(GLOBAL const void *RESTRICT a, GLOBAL const void *RESTRICT d,
    GLOBAL const void *RESTRICT b, GLOBAL void *RESTRICT out, GLOBAL double *RESTRICT work,
    GLOBAL double *RESTRICT side, GLOBAL double *RESTRICT all_scales,
    GLOBAL double *RESTRICT status, const int64 size, const int64 width, const int64 a_stride,
    const int64 a_step, const int64 d_stride, const int64 d_step, const int64 b_stride,
    const int64 b_step, const int64 out_stride, const int64 out_step, const int has_d,
    const int kind, const int is_narrow, const double limit) {
  LOCAL double greatest[${GROUP}];
  LOCAL int places[${GROUP}];
  const int item = LOCAL_ID(0);
  const int n = (int)size;
  const int cols = (int)width;
  const int64 model = GROUP_ID(0);
  GLOBAL double *RESTRICT m = work + model * n * n;
  GLOBAL double *RESTRICT x = side + model * n * cols;
  GLOBAL double *RESTRICT scales = all_scales + model * n;
  for (int at = item; at < n * n; at += ${GROUP}) {
    const int i = at / n;
    const int j = at - i * n;
    double value = CELL_OF(a, model * a_step + i * a_stride + j, is_narrow);
    if (has_d && i == j) value += CELL_OF(d, model * d_step + i * d_stride, is_narrow);
    m[at] = value;
  }
  for (int at = item; kind != 0 && at < n * cols; at += ${GROUP}) {
    const int i = at / cols;
    const int64 from = model * b_step + i * b_stride + (at - i * cols);
    x[at] = CELL_OF(b, from, is_narrow);
  }
  BARRIER_ALL();
  for (int j = item; j < n; j += ${GROUP}) {
    double scale = 0.0;
    if (kind == 2) {
      for (int i = 0; i < n; i++) {
        const double own = fabs(m[i * n + j]);
        scale = GREATEST(scale, own);
      }
    } else scale = m[j * n + j];
    scales[j] = scale;
  }
  BARRIER_ALL();
  int refused = -1;
  double pivot = 0.0;
  for (int j = 0; j < n && refused < 0; j++) {
    if (kind == 2) {
      double best = -1.0;
      int place = j;
      for (int i = j + item; i < n; i += ${GROUP}) {
        const double own = fabs(m[i * n + j]);
        if (i == j + item || own > best) {
          best = own;
          place = i;
        }
      }
      greatest[item] = best;
      places[item] = place;
      BARRIER();
      for (int count = ${GROUP / 2}; count > 0; count /= 2) {
        if (item < count) {
          const double other = greatest[item + count];
          const int other_place = places[item + count];
          if (other > greatest[item] || (other == greatest[item] && other_place < places[item])) {
            greatest[item] = other;
            places[item] = other_place;
          }
        }
        BARRIER();
      }
      const int row = places[0];
      if (row != j) {
        for (int k = item; k < n; k += ${GROUP}) {
          const double kept = m[j * n + k];
          m[j * n + k] = m[row * n + k];
          m[row * n + k] = kept;
        }
        for (int k = item; k < cols; k += ${GROUP}) {
          const double kept = x[j * cols + k];
          x[j * cols + k] = x[row * cols + k];
          x[row * cols + k] = kept;
        }
      }
      BARRIER_ALL();
    }
    pivot = m[j * n + j];
    if (!((kind == 2 ? fabs(pivot) : pivot) > limit * scales[j])) refused = j;
    BARRIER_ALL();
    if (refused < 0) {
      const double root = kind == 2 ? pivot : sqrt(pivot);
      for (int i = j + item; i < n; i += ${GROUP}) {
        if (i > j) m[i * n + j] /= root;
        else if (kind != 2) m[j * n + j] = root;
      }
      BARRIER_ALL();
      const int rest = n - j - 1;
      for (int at = item; at < rest * rest; at += ${GROUP}) {
        const int i = j + 1 + at / rest;
        const int k = j + 1 + at % rest;
        if (kind == 2) m[i * n + k] -= m[i * n + j] * m[j * n + k];
        else if (k <= i) m[i * n + k] -= m[i * n + j] * m[k * n + j];
      }
      if (kind == 2) {
        for (int at = item; at < rest * cols; at += ${GROUP}) {
          const int i = j + 1 + at / cols;
          x[i * cols + at % cols] -= m[i * n + j] * x[j * cols + at % cols];
        }
      }
      BARRIER_ALL();
    }
  }
  if (model == 0 && item == 0) {
    status[0] = refused + 1;
    status[1] = pivot;
  }
  if (refused < 0 && kind == 1) {
    for (int k = 0; k < n; k++) {
      for (int c = item; c < cols; c += ${GROUP}) x[k * cols + c] /= m[k * n + k];
      BARRIER_ALL();
      for (int at = item; at < (n - k - 1) * cols; at += ${GROUP}) {
        const int i = k + 1 + at / cols;
        x[i * cols + at % cols] -= m[i * n + k] * x[k * cols + at % cols];
      }
      BARRIER_ALL();
    }
  }
  if (refused < 0 && kind != 0) {
    for (int k = n - 1; k >= 0; k--) {
      for (int c = item; c < cols; c += ${GROUP}) x[k * cols + c] /= m[k * n + k];
      BARRIER_ALL();
      for (int at = item; at < k * cols; at += ${GROUP}) {
        const int i = at / cols;
        const double factor = kind == 1 ? m[k * n + i] : m[i * n + k];
        x[at] -= factor * x[k * cols + at % cols];
      }
      BARRIER_ALL();
    }
  }
  for (int at = item; at < n * cols; at += ${GROUP}) {
    const int i = at / cols;
    const int j = at - i * cols;
    double value = kind == 0 ? (j <= i ? m[i * n + j] : 0.0) : x[at];
    if (refused >= 0) value = NOT_A_NUMBER;
    const int64 to = model * out_step + i * out_stride + j;
    if (is_narrow) ((GLOBAL float *)out)[to] = (float)value;
    else ((GLOBAL double *)out)[to] = value;
  }
}
`;
