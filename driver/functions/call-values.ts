/**
 * Arguments and outputs of reusable functions as plain data with their matrices taken out.
 * Invariant: two texts are equal only if a function could not tell the values apart, and what is
 * put together again is what was taken apart. A matrix is written `{"$":"matrix","at":i}`, a scalar
 * `{"$":"scalar","at":i}`; other objects with a field `$` as pairs.
 */
import { DTypeError } from '../errors.js';
import type { Attrs, AttrValue } from '../ir/attrs.js';
import { Matrix, Scalar } from '../matrix/matrix.js';

/** Values with their matrices and scalars in `parts`, in the order they were met. */
export interface ValueParts {
  readonly template: AttrValue;
  readonly parts: readonly (Matrix | Scalar)[];
}

/** @param where start of error messages @throws DTypeError unless matrix, scalar or plain data */
export function takeApart(value: unknown, where: string): ValueParts {
  const parts: (Matrix | Scalar)[] = [];
  const seen: object[] = [];
  const visit = (one: unknown, path: string): AttrValue => {
    if (one instanceof Matrix || one instanceof Scalar) {
      parts.push(one);
      return { $: one instanceof Matrix ? 'matrix' : 'scalar', at: parts.length - 1 };
    }
    if (one === null || typeof one === 'boolean') return one;
    if (one === undefined) return { $: 'undefined' };
    if (typeof one === 'number') return Object.is(one, -0) ? { $: '-0' } : one;
    if (typeof one === 'string') return textOf(one);
    if (typeof one !== 'object' || !isPlain(one) || seen.includes(one)) {
      throw new DTypeError(
        `${where}: expected matrices, scalars and plain data, got ${kindOf(one, seen)} at ${path}`,
        { op: 'reusable', path },
      );
    }
    seen.push(one);
    const plain = Array.isArray(one)
      ? Array.from(one, (item, i) => visit(item, `${path}[${i}]`))
      : recordOf(
          Object.entries(one).map(([name, field]) => [name, visit(field, `${path}.${name}`)]),
        );
    seen.pop();
    return plain;
  };
  return { template: visit(value, 'value'), parts };
}

/** The value of a template. @param part the matrix or scalar at a place */
export function putTogether(
  template: AttrValue,
  part: (at: number, isMatrix: boolean) => Matrix | Scalar,
): unknown {
  if (template === null || typeof template !== 'object') return template;
  if (Array.isArray(template)) return template.map((item) => putTogether(item, part));
  const { $, at, pairs, codes } = template as Attrs;
  switch ($) {
    case undefined:
      return Object.fromEntries(
        Object.entries(template).map(([name, field]) => [name, putTogether(field, part)]),
      );
    case 'matrix':
    case 'scalar':
      return part(at as number, $ === 'matrix');
    case '-0':
      return -0;
    case 'undefined':
      return undefined;
    case 'text':
      return String.fromCharCode(...(codes as number[]));
    default:
      return Object.fromEntries(
        (pairs as [AttrValue, AttrValue][]).map(([name, field]) => [
          putTogether(name, part),
          putTogether(field, part),
        ]),
      );
  }
}

/** Attributes hold texts in one Unicode form only; others travel as their code units. */
function textOf(text: string): AttrValue {
  if (text === text.normalize('NFC')) return text;
  return { $: 'text', codes: Array.from({ length: text.length }, (_, i) => text.charCodeAt(i)) };
}

function recordOf(fields: readonly (readonly [string, AttrValue])[]): AttrValue {
  const isUsual = fields.every(([name]) => name !== '$' && textOf(name) === name);
  if (isUsual) return Object.fromEntries(fields);
  return { $: 'pairs', pairs: fields.map(([name, field]) => [textOf(name), field]) };
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function kindOf(value: unknown, seen: readonly object[]): string {
  if (typeof value !== 'object' || value === null) return `a ${typeof value}`;
  if (seen.includes(value)) return 'an object that holds itself';
  return `a ${value.constructor?.name ?? 'object'}`;
}
