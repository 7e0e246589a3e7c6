/**
 * Operator attributes and their canonical text. Invariant: two attribute objects with the same
 * meaning have the same canonical text on every machine, process and version of Node, whatever
 * their field order. -0 and 0 are one value, 1 and 1.0 are one value, strings are in Unicode NFC,
 * NaN equals NaN. `equalAttrs` says the same without the text, and `hashAttrs` is equal where it
 * holds: most nodes are never asked for their text.
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

/** Canonical text of an attribute value: the part of a node besides its operator and inputs. */
export function canonicalAttr(value: AttrValue): string {
  if (typeof value === 'number') return value === 0 ? '0' : String(value);
  if (typeof value === 'string') return JSON.stringify(value.normalize('NFC'));
  if (value === null || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) {
    const plain = plainList(value as readonly AttrValue[]);
    if (plain !== undefined) return plain;
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

/** A list of texts or of finite numbers as JSON has it, which is the same text in one step. */
function plainList(list: readonly AttrValue[]): string | undefined {
  const type = typeof list[0];
  if (type !== 'string' && type !== 'number') return undefined;
  for (const item of list) {
    if (typeof item !== type || (type === 'number' && !Number.isFinite(item))) return undefined;
  }
  const text = JSON.stringify(list);
  return type === 'string' && BEYOND_ASCII.test(text) ? undefined : text;
}

/** Fields in the order of their names, checked by hand: operators write few, in any order. */
function canonicalRecord(record: Attrs): string {
  const keys = Object.keys(record);
  let isSorted = true;
  let isPlain = true;
  for (let i = 0; i < keys.length; i++) {
    if (i > 0 && keys[i - 1]! > keys[i]!) isSorted = false;
    if (!keyText(keys[i]!).isPlain) isPlain = false;
  }
  // The Unicode forms of a letter sort differently; what is written is NFC.
  if (!isPlain) keys.sort((a, b) => (a.normalize('NFC') < b.normalize('NFC') ? -1 : 1));
  else if (!isSorted) keys.sort();
  let text = '{';
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (i > 0) text += ',';
    text += keyText(key).text;
    text += canonicalAttr(record[key] as AttrValue);
  }
  return `${text}}`;
}

/** `"name":`, and whether it is ASCII. */
interface KeyText {
  readonly text: string;
  readonly isPlain: boolean;
}

/** Kept, since attribute names are few and normalising them is most of the cost. */
const keyTexts = new Map<string, KeyText>();
const MAX_KEY_TEXTS = 4096;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is what is meant.
const BEYOND_ASCII = /[^\x00-\x7f]/;

function keyText(key: string): KeyText {
  let known = keyTexts.get(key);
  if (known === undefined) {
    known = { text: `${JSON.stringify(key.normalize('NFC'))}:`, isPlain: !BEYOND_ASCII.test(key) };
    if (keyTexts.size >= MAX_KEY_TEXTS) keyTexts.clear();
    keyTexts.set(key, known);
  }
  return known;
}

/** Canonical text of a whole attribute object; empty for none. */
export function canonicalAttrs(attrs: Attrs): string {
  return attrs === noAttrs ? '' : canonicalRecord(attrs);
}

/** A 32-bit hash, equal for attributes that `equalAttrs` holds equal. */
export function hashAttrs(attrs: Attrs): number {
  return attrs === noAttrs ? 0 : hashRecord(attrs);
}

function hashRecord(record: Attrs): number {
  let hash = 0x2545f491;
  // A sum, so that the order of fields does not matter.
  for (const key in record) {
    hash = (hash + Math.imul(keyHash(key) | 1, hashAttr(record[key] as AttrValue))) | 0;
  }
  return hash;
}

const numbers = new Float64Array(1);
const words = new Int32Array(numbers.buffer);

function hashAttr(value: AttrValue): number {
  if (typeof value === 'number') {
    // One bit pattern for 0 and -0, and one for every NaN.
    numbers[0] = value === 0 ? 0 : Number.isNaN(value) ? Number.NaN : value;
    const mixed = Math.imul(words[0]! ^ Math.imul(words[1]!, 0x9e3779b1), 0x85ebca6b);
    return mixed ^ (mixed >>> 15);
  }
  if (typeof value === 'string') return hashText(value);
  if (value === null) return 0x5bd1e995;
  if (typeof value === 'boolean') return value ? 0x27d4eb2f : 0x165667b1;
  if (Array.isArray(value)) {
    let hash = 0x1b873593 ^ value.length;
    // Of long lists some items tell enough: those of one node's inputs and name are seldom alike.
    const step = Math.ceil(value.length / MOST_HASHED);
    for (let i = 0; i < value.length; i += step) {
      hash = (Math.imul(hash, 0x01000193) + hashAttr(value[i] as AttrValue)) | 0;
    }
    return hash;
  }
  if (typeof value === 'object') return hashRecord(value as Attrs);
  throw new InternalError(`attrs: expected JSON-like values, got ${typeof value}`);
}

function hashText(text: string): number {
  const plain = BEYOND_ASCII.test(text) ? text.normalize('NFC') : text;
  let hash = 0x811c9dc5;
  for (let i = 0; i < plain.length; i++) {
    hash = Math.imul(hash ^ plain.charCodeAt(i), 0x01000193);
  }
  return hash;
}

/** Items of a list that its hash is made of. */
const MOST_HASHED = 24;

const keyHashes = new Map<string, number>();

function keyHash(key: string): number {
  let hash = keyHashes.get(key);
  if (hash === undefined) {
    hash = hashText(key);
    if (keyHashes.size >= MAX_KEY_TEXTS) keyHashes.clear();
    keyHashes.set(key, hash);
  }
  return hash;
}

/** Whether two attribute objects mean the same: whether their canonical texts are equal. */
export function equalAttrs(a: Attrs, b: Attrs): boolean {
  if (a === b) return true;
  // The text of no attributes is empty, that of an empty record is not.
  if (a === noAttrs || b === noAttrs) return false;
  return equalRecords(a, b);
}

function equalRecords(a: Attrs, b: Attrs): boolean {
  let fields = 0;
  for (const key in a) {
    // Names beyond ASCII may be written in several ways; there the texts decide.
    if (BEYOND_ASCII.test(key)) return canonicalRecord(a) === canonicalRecord(b);
    const other = b[key];
    if (other === undefined || !equalAttr(a[key] as AttrValue, other)) return false;
    fields++;
  }
  for (const _ in b) fields--;
  return fields === 0;
}

function equalAttr(a: AttrValue, b: AttrValue): boolean {
  if (a === b) return true;
  if (typeof a !== typeof b || a === null || b === null) return false;
  if (typeof a === 'number') return Number.isNaN(a) && Number.isNaN(b);
  if (typeof a === 'string') return a.normalize('NFC') === (b as string).normalize('NFC');
  if (typeof a !== 'object' || Array.isArray(a) !== Array.isArray(b)) return false;
  if (!Array.isArray(a)) return equalRecords(a as Attrs, b as Attrs);
  const other = b as readonly AttrValue[];
  return a.length === other.length && a.every((item, i) => equalAttr(item, other[i]!));
}
