/**
 * Which operators are a program of basic operations, for lanes and devices alike. Exact ones are one
 * rounding of the exact value in either dtype, so float32 cells are computed as they are; the others
 * compute float32 cells in float64.
 */

import type { CellProgram } from '../driver/ir/cell-program.js';
import type { OpDef } from '../driver/ir/op-def.js';
import * as cells from '../driver/operators/cells.js';
import { ifelse } from '../driver/operators/ifelse.js';

export interface CellForm {
  readonly program: CellProgram;
  readonly isExact: boolean;
}

const exact = new Map<OpDef, CellProgram>([
  [cells.add, (m, a, b) => m.add(a, b)],
  [cells.sub, (m, a, b) => m.sub(a, b)],
  [cells.mul, (m, a, b) => m.mul(a, b)],
  [cells.div, (m, a, b) => m.div(a, b)],
  [cells.minimum, (m, a, b) => m.min(a, b)],
  [cells.maximum, (m, a, b) => m.max(a, b)],
  [cells.eq, (m, a, b) => m.truth(m.eq(a, b))],
  [cells.ne, (m, a, b) => m.truth(m.ne(a, b))],
  [cells.lt, (m, a, b) => m.truth(m.lt(a, b))],
  [cells.le, (m, a, b) => m.truth(m.le(a, b))],
  [cells.gt, (m, a, b) => m.truth(m.lt(b, a))],
  [cells.ge, (m, a, b) => m.truth(m.le(b, a))],
  [cells.and, (m, a, b) => m.truth(m.both(isTrue(m, a), isTrue(m, b)))],
  [cells.or, (m, a, b) => m.truth(m.either(isTrue(m, a), isTrue(m, b)))],
  [cells.not, (m, a) => m.truth(m.eq(a, m.constant(0)))],
  [cells.isNaN, (m, a) => m.truth(m.ne(a, a))],
  [ifelse, (m, a, b, c) => m.select(isTrue(m, a), b, c)],
  [cells.neg, (m, a) => m.neg(a)],
  [cells.abs, (m, a) => m.abs(a)],
  [cells.sqrt, (m, a) => m.sqrt(a)],
  [cells.square, (m, a) => m.mul(a, a)],
  [cells.recip, (m, a) => m.div(m.constant(1), a)],
  [cells.floor, (m, a) => m.floor(a)],
  [cells.ceil, (m, a) => m.ceil(a)],
  [
    cells.sign,
    (m, a) => {
      const zero = m.constant(0);
      const above = m.select(m.lt(zero, a), m.constant(1), a);
      return m.select(m.lt(a, zero), m.constant(-1), above);
    },
  ],
]);

function isTrue<T, C>(m: { ne(a: T, b: T): C; constant(value: number): T }, a: T): C {
  return m.ne(a, m.constant(0));
}

/** Undefined for an operator that only the script computes. */
export function cellForm(op: OpDef): CellForm | undefined {
  const program = exact.get(op);
  if (program !== undefined) return { program, isExact: true };
  return op.program === undefined ? undefined : { program: op.program, isExact: false };
}
