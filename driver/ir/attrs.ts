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
  if (typeof value === 'number') return value === 0 ? '0' : String(value);
  if (typeof value === 'string') return JSON.stringify(value.normalize('NFC'));
  if (value === null || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) {
    let text = '[';
    for (let i = 0; i < value.length; i++) {
      if (i > 0) text += ',';
      text += canonicalAttr(value[i] as AttrValue);
    }
    return `${text}]`;
  }
  if (typeof value === 'object') return canonicalRecord(value as Attrs);
  throw new InternalError(`attrs: expected JSON-like values, got ${typeof value}`);
}

/** Fields in the order of their names. Operators write theirs in any order, mostly few, so they are sorted by hand. */
function canonicalRecord(record: Attrs): string {
  const keys = Object.keys(record);
  let isSorted = true;
  let isPlain = true;
  for (let i = 0; i < keys.length; i++) {
    if (i > 0 && keys[i - 1]! > keys[i]!) isSorted = false;
    if (BEYOND_ASCII.test(keys[i]!)) isPlain = false;
  }
  // The Unicode forms of a letter sort differently; what is written is NFC.
  if (!isPlain) keys.sort((a, b) => (a.normalize('NFC') < b.normalize('NFC') ? -1 : 1));
  else if (!isSorted) keys.sort();
  let text = '{';
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (i > 0) text += ',';
    text += keyText(key);
    text += canonicalAttr(record[key] as AttrValue);
  }
  return `${text}}`;
}

/** `"name":`, kept, since attribute names are few and normalising them is most of the cost. */
const keyTexts = new Map<string, string>();
const MAX_KEY_TEXTS = 4096;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is what is meant.
const BEYOND_ASCII = /[^\x00-\x7f]/;

function keyText(key: string): string {
  let text = keyTexts.get(key);
  if (text === undefined) {
    text = `${JSON.stringify(key.normalize('NFC'))}:`;
    if (keyTexts.size >= MAX_KEY_TEXTS) keyTexts.clear();
    keyTexts.set(key, text);
  }
  return text;
}

/** Canonical text of a whole attribute object; empty for none. */
export function canonicalAttrs(attrs: Attrs): string {
  return attrs === noAttrs ? '' : canonicalRecord(attrs);
}
