/**
 * Columns and rows of Parquet files that some process has looked at before, by content digest, in
 * `<home>/layouts.json`: looking at a footer takes some milliseconds, and a data set that grows has
 * many files that stay. Invariant: what is here was checked once, by `inspectParquet`, on the very
 * bytes the digest names; a file that can't be read or written costs a look.
 */
import { join } from 'node:path';
import { env } from '../../../driver/support/env.js';
import { ParsedFile } from '../../../driver/support/plain-file.js';
import { replaceFile } from '../../../driver/support/replace-file.js';
import type { LayoutColumn } from './scan.js';

/** Raised when a layout says more, or DuckDB another name for a type. */
const VERSION = 2;
/** Files kept; those noted longest ago go first. */
const MAX_FILES = 20_000;

export interface KnownLayout {
  readonly columns: readonly LayoutColumn[];
  readonly rows: number;
}

/** As it is in the file: the columns of many files are the same, and are there once. */
interface StoredLayouts {
  readonly version: number;
  readonly columns: readonly (readonly LayoutColumn[])[];
  /** Digest, rows, place among `columns`; oldest first. */
  readonly files: readonly (readonly [digest: string, rows: number, columns: number])[];
}

export class KnownLayouts {
  readonly #stored = new ParsedFile(parse);
  #loaded: Promise<ReadonlyMap<string, KnownLayout>> | undefined;
  readonly #fresh = new Map<string, KnownLayout>();

  async get(digest: string): Promise<KnownLayout | undefined> {
    this.#loaded ??= this.#stored.read(pathNow());
    return this.#fresh.get(digest) ?? (await this.#loaded).get(digest);
  }

  async note(digest: string, { columns, rows }: KnownLayout): Promise<void> {
    if ((await this.get(digest)) === undefined) this.#fresh.set(digest, { columns, rows });
  }

  /**
   * Writes what was noted since, if anything, beside what others have written meanwhile. Two at
   * once may lose one another's notes. Never throws.
   */
  async save(): Promise<void> {
    if (this.#fresh.size === 0) return;
    const path = pathNow();
    try {
      const all = new Map([...(await this.#stored.read(path)), ...this.#fresh]);
      await replaceFile(path, JSON.stringify(packed(all)));
      this.#loaded = Promise.resolve(all);
      this.#fresh.clear();
    } catch {
      // What was noted costs a look the next time.
    }
  }
}

function pathNow(): string {
  return join(env.home(), 'layouts.json');
}

function packed(all: ReadonlyMap<string, KnownLayout>): StoredLayouts {
  const places = new Map<string, number>();
  const columns: (readonly LayoutColumn[])[] = [];
  const files = [...all].slice(-MAX_FILES).map(([digest, layout]) => {
    const text = JSON.stringify(layout.columns);
    let place = places.get(text);
    if (place === undefined) {
      place = columns.push(layout.columns) - 1;
      places.set(text, place);
    }
    return [digest, layout.rows, place] as const;
  });
  return { version: VERSION, columns, files };
}

/** Empty when the file is missing, damaged or of another version. */
function parse(text: string): ReadonlyMap<string, KnownLayout> {
  const known = new Map<string, KnownLayout>();
  try {
    const stored = JSON.parse(text) as Partial<StoredLayouts> | null;
    if (stored?.version !== VERSION || !Array.isArray(stored.files)) return known;
    const columns = (stored.columns ?? []).map((some) => (isColumns(some) ? some : undefined));
    for (const [digest, rows, place] of stored.files as StoredLayouts['files']) {
      const own = columns[place];
      if (own === undefined || typeof digest !== 'string' || !Number.isSafeInteger(rows)) continue;
      if (rows >= 0) known.set(digest, { columns: own, rows });
    }
    return known;
  } catch {
    return new Map();
  }
}

function isColumns(value: unknown): value is LayoutColumn[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    (value as Partial<LayoutColumn>[]).every(
      (column) => typeof column?.name === 'string' && typeof column.type === 'string',
    )
  );
}
