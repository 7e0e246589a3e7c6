/**
 * What some process has found out of files, in `<home>/layouts.json`: columns, rows and how they
 * are scanned, and the rows that have a target. Looking at a footer takes some milliseconds and at
 * text a scan, and a data set that grows has many files that stay. Invariant: what is here was
 * found once on the very bytes that a key's digest names, read the way the key says; a file that
 * can't be read or written costs a look.
 */
import { createHash } from 'node:crypto';
import { utimes } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { optionsKey } from '../../../driver/frame/read-options.js';
import { TEXT_GRAMMAR } from '../../../driver/frame/text-columns.js';
import type { FrameFormat } from '../../../driver/ir/frame-engine.js';
import type { ReadOptions } from '../../../driver/ir/read-options.js';
import { env } from '../../../driver/support/env.js';
import { ParsedFile } from '../../../driver/support/plain-file.js';
import { replaceFile } from '../../../driver/support/replace-file.js';
import type { FileLayout, LayoutColumn } from './scan.js';

/** Raised when a layout says more, or DuckDB another name for a type. */
const VERSION = 3;
/** Files kept, and counts of rows; those noted longest ago go first. */
const MAX_FILES = 20_000;

/** What files have in common, as it is in the file. */
interface Shape extends Pick<FileLayout, 'columns' | 'scan' | 'options'> {
  readonly text?: {
    readonly cells: readonly (readonly [string, number])[];
    readonly style: NonNullable<FileLayout['text']>['style'];
    readonly stated: readonly string[];
    readonly hasTwins?: boolean;
  };
}

interface Known {
  readonly shape: Shape;
  readonly rows: number;
  /** A converted copy of the file that is scanned, below the home. */
  readonly copy?: string;
}

/** The shapes of many files are the same, and are there once. */
interface Stored {
  readonly version: number;
  readonly shapes: readonly Shape[];
  /** Key, rows, place among `shapes`, copy; oldest first. */
  readonly files: readonly (readonly [string, number, number, string?])[];
  readonly counts: readonly (readonly [key: string, rows: number])[];
}

interface Contents {
  readonly files: ReadonlyMap<string, Known>;
  readonly counts: ReadonlyMap<string, number>;
}

/** What names a file of this content read this way. */
export function layoutKey(format: FrameFormat, digest: string, options?: ReadOptions): string {
  return format === 'parquet' ? digest : `${digest} ${wayOf(format, options)}`;
}

/** What names a count of rows: of a file, read in a way, that meet a condition on these columns. */
export function countKey(digest: string, way: unknown): string {
  return `${digest} ${short(JSON.stringify([TEXT_GRAMMAR, way]))}`;
}

const ways = new WeakMap<ReadOptions, Map<string, string>>();
const plain: ReadOptions = {};

/** Asked for every file of a data set, of one and the same options. */
function wayOf(format: FrameFormat, options: ReadOptions = plain): string {
  let known = ways.get(options);
  if (known === undefined) {
    known = new Map();
    ways.set(options, known);
  }
  let way = known.get(format);
  if (way === undefined) {
    way = short(JSON.stringify([format, TEXT_GRAMMAR, optionsKey(options)]));
    known.set(format, way);
  }
  return way;
}

function short(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

export class KnownLayouts {
  readonly #stored = new ParsedFile(parse);
  #loaded: Promise<Contents> | undefined;
  readonly #files = new Map<string, Known>();
  readonly #counts = new Map<string, number>();

  /** The layout of a file at this path. */
  async get(key: string, path: string): Promise<FileLayout | undefined> {
    const known = this.#files.get(key) ?? (await this.#load()).files.get(key);
    if (known === undefined) return undefined;
    if (known.copy === undefined) return layoutAt(path, known);
    const copy = join(env.home(), known.copy);
    const now = new Date();
    // Copies go when they were not used for long.
    const isThere = await utimes(copy, now, now).then(
      () => true,
      () => false,
    );
    return isThere ? layoutAt(copy, known) : undefined;
  }

  /** @param path of the file that the layout is of */
  note(key: string, path: string, layout: FileLayout): void {
    const copy = layout.path === path ? undefined : relative(env.home(), layout.path);
    this.#files.set(key, {
      shape: shapeOf(layout),
      rows: layout.rows,
      ...(copy === undefined ? {} : { copy }),
    });
  }

  async count(key: string): Promise<number | undefined> {
    return this.#counts.get(key) ?? (await this.#load()).counts.get(key);
  }

  noteCount(key: string, rows: number): void {
    this.#counts.set(key, rows);
  }

  /**
   * Writes what was noted since, if anything, beside what others have written meanwhile. Two at
   * once may lose one another's notes. Never throws.
   */
  async save(): Promise<void> {
    if (this.#files.size + this.#counts.size === 0) return;
    const path = pathNow();
    try {
      const before = await this.#stored.read(path);
      const all = {
        files: new Map([...before.files, ...this.#files]),
        counts: new Map([...before.counts, ...this.#counts]),
      };
      await replaceFile(path, JSON.stringify(packed(all)));
      await this.#stored.wrote(path, all);
      this.#loaded = Promise.resolve(all);
      this.#files.clear();
      this.#counts.clear();
    } catch {
      // What was noted costs a look the next time.
    }
  }

  #load(): Promise<Contents> {
    this.#loaded ??= this.#stored.read(pathNow());
    return this.#loaded;
  }
}

function pathNow(): string {
  return join(env.home(), 'layouts.json');
}

function shapeOf({ columns, scan, options, text }: FileLayout): Shape {
  if (text === undefined) return { columns, scan, options };
  const { cells, stated, ...others } = text;
  return { columns, scan, options, text: { ...others, cells: [...cells], stated: [...stated] } };
}

function layoutAt(path: string, { shape, rows }: Known): FileLayout {
  const { text, ...others } = shape;
  if (text === undefined) return { ...others, rows, path };
  const { cells, stated } = text;
  return {
    ...others,
    rows,
    path,
    text: { ...text, cells: new Map(cells), stated: new Set(stated) },
  };
}

function packed({ files: all, counts }: Contents): Stored {
  const places = new Map<Shape | string, number>();
  const shapes: Shape[] = [];
  const placeOf = (shape: Shape): number => {
    let place = places.get(shape);
    if (place !== undefined) return place;
    const text = JSON.stringify(shape);
    place = places.get(text) ?? shapes.push(shape) - 1;
    places.set(shape, place).set(text, place);
    return place;
  };
  const files = [...all].slice(-MAX_FILES).map(([key, { shape, rows, copy }]) => {
    const place = placeOf(shape);
    return copy === undefined ? ([key, rows, place] as const) : ([key, rows, place, copy] as const);
  });
  return { version: VERSION, shapes, files, counts: [...counts].slice(-MAX_FILES) };
}

/** Empty when the file is missing, damaged or of another version. */
function parse(text: string): Contents {
  const files = new Map<string, Known>();
  const counts = new Map<string, number>();
  try {
    const stored = JSON.parse(text) as Partial<Stored> | null;
    if (stored?.version !== VERSION) return { files, counts };
    const shapes = (stored.shapes ?? []).map((shape) => (isShape(shape) ? shape : undefined));
    for (const [key, rows, place, copy] of stored.files ?? []) {
      const shape = shapes[place];
      const isFit = typeof key === 'string' && isCount(rows) && shape !== undefined;
      if (isFit) files.set(key, { shape, rows, ...(typeof copy === 'string' ? { copy } : {}) });
    }
    for (const [key, rows] of stored.counts ?? []) {
      if (typeof key === 'string' && isCount(rows)) counts.set(key, rows);
    }
    return { files, counts };
  } catch {
    return { files: new Map(), counts: new Map() };
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isShape(value: unknown): value is Shape {
  const { columns, scan, options, text } = value as Partial<Shape>;
  return (
    Array.isArray(columns) &&
    columns.length > 0 &&
    (columns as Partial<LayoutColumn>[]).every(
      (column) => typeof column?.name === 'string' && typeof column.type === 'string',
    ) &&
    typeof options === 'string' &&
    (text === undefined
      ? scan === 'read_parquet'
      : (scan === 'read_csv' || scan === 'read_json') &&
        Array.isArray(text.cells) &&
        Array.isArray(text.stated))
  );
}
