/**
 * Types of cells. An operator's value is the float64 result over its operands' cells, rounded once
 * to its dtype; kernels come near it within a tolerance by dtype. Operands of one operator have one
 * dtype: mixing them silently would lose digits or double memory, so it is an error that names the
 * cast.
 */
import { DTypeError } from '../errors.js';

export const DTYPES = ['float64', 'float32'] as const;
export type DType = (typeof DTYPES)[number];

export interface Typed {
  readonly dtype: DType;
}

/** @units bytes */
export function cellBytes({ dtype }: Typed): number {
  return dtype === 'float32' ? 4 : 8;
}

/** The one dtype of all operands. @throws DTypeError */
export function sameDType(op: string, inputs: readonly Typed[]): DType {
  const { dtype } = inputs[0]!;
  for (let i = 1; i < inputs.length; i++) if (inputs[i]!.dtype !== dtype) throw mixed(op, inputs);
  return dtype;
}

function mixed(op: string, inputs: readonly Typed[]): DTypeError {
  const dtypes = inputs.map((input) => input.dtype);
  return new DTypeError(
    `${op}: expected operands of one dtype, got ${dtypes.join(' and ')}; cast one: x.cast('float32')`,
    { op, dtypes },
  );
}

/** The attribute `dtype` as leaves have it: none for float64, whose keys say nothing of types. */
export function dtypeAttr(dtype: DType | undefined): { readonly dtype?: DType } {
  return dtype === undefined || dtype === 'float64' ? {} : { dtype };
}

/** Of a leaf's attribute. @throws DTypeError */
export function leafDType(op: string, attr: unknown): DType {
  return attr === undefined ? 'float64' : checkedDType(op, attr);
}

export function isDType(value: unknown): value is DType {
  return DTYPES.includes(value as DType);
}

/** @throws DTypeError */
export function checkedDType(op: string, dtype: unknown): DType {
  if (isDType(dtype)) return dtype;
  throw new DTypeError(`${op}: expected dtype ${DTYPES.join(' or ')}, got ${String(dtype)}`, {
    op,
  });
}
