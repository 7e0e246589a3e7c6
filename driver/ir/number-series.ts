/**
 * Numbers that change from one iteration of a loop to the next, as few words: a step added or multiplied each time, a line
 * through the iterations, or the values themselves. Invariant: `valueAt` gives back the very bits that `SeriesFit` took in;
 * a form that only comes close is no form. Steps are tried as measured and as the short decimal that was meant.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Attrs, AttrValue } from './attrs.js';

/**
 * How value k (from 1) follows from the one before, or from k; value 0 is that of the iteration before the first.
 * `+ d`: v + d. `* r`: v * r. `line a m d`: a + (k + m) * d. `list`: float64, little-endian, deflated, base64.
 */
export type Series =
  | readonly ['+', number]
  | readonly ['*', number]
  | readonly ['line', number, number, number]
  | readonly ['list', string];

type Form = Exclude<Series, readonly ['list', string]>;

/** Iterations that a form must hold before its end is taken for the end of the loop, not for a bad form. */
const PROVEN = 4;
const LINE_STARTS = 4;

/** What is left of the forms that may stand for a series, as its values come. */
export class SeriesFit {
  #forms: readonly Form[];
  #before: number;
  /** The values, where no form fits. */
  isListed: boolean;

  /** @param first value 0 @param second value 1 */
  constructor(first: number, second: number) {
    this.#before = second;
    this.#forms = candidates(first, second).filter((form) => formValue(form, first, 1) === second);
    this.isListed = this.#forms.length === 0;
  }

  /** Takes value k in; false when the series ends before it. */
  takes(value: number, k: number): boolean {
    const before = this.#before;
    if (!this.isListed) {
      const left = this.#forms.filter((form) => formValue(form, before, k) === value);
      if (left.length > 0) this.#forms = left;
      else if (k > PROVEN) return false;
      else this.isListed = true;
    }
    this.#before = value;
    return true;
  }

  /** @param values all values from 1 on, asked for only where they are listed */
  series(values: () => Float64Array): Series {
    const [form] = this.#forms;
    if (!this.isListed && form !== undefined) return form;
    const data = values();
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return ['list', deflateRawSync(bytes).toString('base64')];
  }
}

function candidates(first: number, second: number): Form[] {
  const step = second - first;
  const ratio = second / first;
  const forms: Form[] = short(step).map((d) => ['+', d]);
  for (const r of short(ratio)) if (Number.isFinite(r)) forms.push(['*', r]);
  for (const d of short(step)) {
    for (let m = 0; m < LINE_STARTS; m++) {
      for (const a of short(first - m * d)) forms.push(['line', a, m, d]);
    }
  }
  return forms;
}

/** The number, and the decimal of few digits near it. */
function short(value: number): number[] {
  const rounded = Number(value.toPrecision(12));
  return rounded === value ? [value] : [rounded, value];
}

function formValue(form: Form, before: number, k: number): number {
  switch (form[0]) {
    case '+':
      return before + form[1];
    case '*':
      return before * form[1];
    default:
      return form[1] + (k + form[2]) * form[3];
  }
}

/** Reads a series: value k from the one before. */
export type SeriesReader = (before: number, k: number) => number;

/** @param length values the series must have @throws TypeError when it is damaged */
export function seriesReader(series: unknown, length: number): SeriesReader {
  const [kind, ...rest] = Array.isArray(series) ? (series as readonly unknown[]) : [];
  if (kind === 'list' && typeof rest[0] === 'string') {
    const raw = inflateRawSync(Buffer.from(rest[0], 'base64'), { maxOutputLength: length * 8 });
    const values = new Float64Array(length);
    if (raw.length !== length * 8) throw new TypeError(`expected ${length} values`);
    new Uint8Array(values.buffer).set(raw);
    return (_before, k) => values[k - 1]!;
  }
  const numbers = kind === 'line' ? 3 : kind === '+' || kind === '*' ? 1 : 0;
  if (numbers === 0 || rest.length !== numbers || !rest.every((one) => Number.isFinite(one))) {
    throw new TypeError('expected a series');
  }
  const form = series as Form;
  return (before, k) => formValue(form, before, k);
}

/** The finite numbers of canonical attributes, in the order of their text, and the text with places for them. */
export function splitNumbers(text: string): { readonly shape: string; readonly numbers: number[] } {
  const numbers: number[] = [];
  // Names beyond ASCII, and escapes, are sorted and written in ways of their own; those stay whole.
  if (!PLAIN.test(text)) return { shape: text, numbers };
  const shape = text.replace(TOKENS, (token) => {
    if (token[0] === '"') return token;
    numbers.push(Number(token));
    return '#';
  });
  return { shape, numbers };
}

const PLAIN = /^[ !#-[\]-~"]*$/;
const TOKENS = /"[^"]*"|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/g;

/** The finite numbers of attributes in the order `splitNumbers` has them. */
export function numbersIn(value: AttrValue): number[] {
  const numbers: number[] = [];
  eachNumber(value, (number) => {
    numbers.push(number);
    return number;
  });
  return numbers;
}

/** The attributes with other numbers in the places of theirs. */
export function withNumbers(attrs: Attrs, numbers: ArrayLike<number>): Attrs {
  let next = 0;
  return eachNumber(attrs, () => numbers[next++]!) as Attrs;
}

function eachNumber(value: AttrValue, map: (number: number) => number): AttrValue {
  if (typeof value === 'number') return Number.isFinite(value) ? map(value) : value;
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((item: AttrValue) => eachNumber(item, map));
  const record = value as Attrs;
  return Object.fromEntries(
    Object.keys(record)
      .sort()
      .map((key) => [key, eachNumber(record[key]!, map)]),
  );
}
