/** What differs between two plain values, by place: settings of jobs, attributes of operators. */
import { isAbsolute, relative } from 'node:path';
import type { FrameSource } from '../../driver/index.js';
import { isMap } from '../job-file/plain-data.js';

export interface Change {
  /** `cv.seed`, `features[origin].categories`, `search.grid[ridge].lambda`. */
  readonly path: string;
  /** Undefined where it was not there. */
  readonly before: unknown;
  readonly after: unknown;
}

/** Differences in the order of `after`; array elements match by what they are called, if anything. */
export function changes(before: unknown, after: unknown, path = ''): Change[] {
  if (sameValue(before, after)) return [];
  const [a, b] = [before, after];
  if (isNamedList(a) && isNamedList(b)) {
    const byName = (list: readonly unknown[]) =>
      Object.fromEntries(list.map((e) => [calledOf(e)!, typeof e === 'string' ? { name: e } : e]));
    const inner = fieldChanges(byName(a), byName(b), (name) => `${path}[${name}]`);
    return inner.length > 0 ? inner : [{ path: `${path} (order)`, before: a, after: b }];
  }
  if (isMap(a) && isMap(b)) {
    return fieldChanges(a, b, (key) => (path === '' ? key : `${path}.${key}`));
  }
  return [{ path, before, after }];
}

function fieldChanges(
  a: Readonly<Record<string, unknown>>,
  b: Readonly<Record<string, unknown>>,
  pathOf: (key: string) => string,
): Change[] {
  const keys = new Set([...Object.keys(b), ...Object.keys(a)]);
  return [...keys].flatMap((key) => changes(a[key], b[key], pathOf(key)));
}

/** `7 -> 8`; lists in short, by what came and went. */
export function changeText({ path, before, after }: Change): string {
  if (Array.isArray(before) && Array.isArray(after) && before.length + after.length > 8) {
    const [old, now] = [before, after].map((list) => new Set(list.map((v) => JSON.stringify(v))));
    const added = [...now!].filter((v) => !old!.has(v));
    const gone = [...old!].filter((v) => !now!.has(v));
    const parts = [
      ...(added.length > 0 ? [`${few(added)} added`] : []),
      ...(gone.length > 0 ? [`${few(gone)} removed`] : []),
    ];
    return `${path} ${before.length} -> ${after.length} values (${parts.join('; ') || 'another order'})`;
  }
  return `${path} ${valueText(before)} -> ${valueText(after)}`;
}

export function valueText(value: unknown): string {
  if (value === undefined) return '(none)';
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Files that came, went or changed between two frames, a line each. */
export function fileChanges(before: FrameSource | undefined, after: FrameSource): string[] {
  if (before === undefined) {
    return after.files.map((file) => `data file ${shown(file.path)}: new`);
  }
  const old = new Map(before.files.map((file) => [file.path, file]));
  const digests = new Set(before.files.map((file) => file.digest));
  const now = new Set(after.files.map((file) => file.path));
  const kept = new Set(after.files.map((file) => file.digest));
  const lines = after.files.flatMap((file) => {
    const was = old.get(file.path);
    if (was !== undefined && was.digest !== file.digest) {
      return [`data file ${shown(file.path)}: content changed`];
    }
    return was !== undefined || digests.has(file.digest)
      ? []
      : [`data file ${shown(file.path)}: added`];
  });
  for (const file of before.files) {
    if (now.has(file.path) || kept.has(file.digest)) continue;
    lines.push(`data file ${shown(file.path)}: removed`);
  }
  if (before.format !== after.format) lines.push(`data format ${before.format} -> ${after.format}`);
  return lines.length > 0 ? lines : ['data files: another order or other rows'];
}

/** Relative to the working folder where it lies below it. */
export function shown(path: string): string {
  const short = isAbsolute(path) ? relative(process.cwd(), path) : path;
  return short === '' || short.startsWith('..') || isAbsolute(short) ? path : short;
}

export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [x, y] = [a, b] as [Readonly<Record<string, unknown>>, Readonly<Record<string, unknown>>];
  const keys = Object.keys(x);
  return (
    keys.length === Object.keys(y).length &&
    keys.every((key) => Object.hasOwn(y, key) && sameValue(x[key], y[key]))
  );
}

/** Keys that say what a mapping is called: features and models, sub-grids, cleaning steps. */
const CALLED = ['name', 'model', 'step'] as const;

/** What an element of a list is called; a name alone, as in job files, is a mapping of nothing else. */
function calledOf(element: unknown): string | undefined {
  if (typeof element === 'string') return element;
  if (!isMap(element)) return undefined;
  const key = CALLED.find((one) => typeof element[one] === 'string');
  return key && (element[key] as string);
}

/** Whether some elements are mappings, and all have a name of their own. */
function isNamedList(value: unknown): value is readonly unknown[] {
  if (!Array.isArray(value) || !value.some(isMap)) return false;
  const names = value.map(calledOf);
  return names.every((name) => name !== undefined) && new Set(names).size === value.length;
}

function few(texts: readonly string[]): string {
  return texts.length <= 3
    ? texts.join(', ')
    : `${texts.slice(0, 3).join(', ')} and ${texts.length - 3} more`;
}
