/**
 * Operator attributes and their canonical text. Invariant: two attribute objects with the same meaning
 * have the same canonical text on every machine, process and version of Node, whatever their field order.
 * -0 and 0 are one value, 1 and 1.0 are one value, strings are in Unicode NFC, NaN equals NaN.
 */
import { InternalError } from '../errors.js';

export type AttrValue =
  | number
  | string
  | boolean
  | null
  | readonly AttrValue[]
  | { readonly [key: string]: AttrValue };

export type Attrs = { readonly [key: string]: AttrValue };

/** The attributes of operators that have none; shared so that interning them costs nothing. */
export const noAttrs: Attrs = Object.freeze({});

/** Canonical text of an attribute value; the part of a node's meaning that is not operator or inputs. */
export function canonicalAttr(value: AttrValue): string {
  if (typeof value === 'number') {
    if (Number.isNaN(value)) return 'NaN';
    if (value === Number.POSITIVE_INFINITY) return 'Infinity';
    if (value === Number.NEGATIVE_INFINITY) return '-Infinity';
    return value === 0 ? '0' : String(value);
  }
  if (typeof value === 'string') return JSON.stringify(value.normalize('NFC'));
  if (value === null || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `[${value.map(canonicalAttr).join(',')}]`;
  if (typeof value === 'object') {
    const record = value as { readonly [key: string]: AttrValue };
    const keys = Object.keys(record).sort();
    return `{${keys.map((key) => `${JSON.stringify(key.normalize('NFC'))}:${canonicalAttr(record[key] as AttrValue)}`).join(',')}}`;
  }
  throw new InternalError(`attrs: expected JSON-like values, got ${typeof value}`);
}

/** Canonical text of a whole attribute object; empty for none. */
export function canonicalAttrs(attrs: Attrs): string {
  return attrs === noAttrs ? '' : canonicalAttr(attrs);
}
