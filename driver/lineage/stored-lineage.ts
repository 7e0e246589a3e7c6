/**
 * The plain-JSON side of a stored lineage: attribute values that JSON has no word for, and the
 * check that a document has the form it claims. Invariant: `fromJson(toJson(v))` has the canonical
 * text of `v`.
 */
import { createHash } from 'node:crypto';
import { PlanError } from '../errors.js';
import type { AttrValue } from '../ir/attrs.js';
import { type DType, isDType } from '../ir/dtype.js';
import type { FrameSource } from '../ir/frame-engine.js';
import type { LineageKey } from '../ir/lineage-key.js';

export const LINEAGE_FORMAT = 'reprise-lineage';
/** Since 4 literals say their dtype. */
export const LINEAGE_VERSION = 4;

/** JSON; a number it can't write is `{"$number": "NaN"}`; a key starting with `$` gets another. */
export type LineageValue =
  | number
  | string
  | boolean
  | null
  | readonly LineageValue[]
  | { readonly [key: string]: LineageValue };

/** A literal's cells: little-endian, deflated, base64; null when only the digest is kept. */
export interface StoredLiteral {
  readonly rows: number;
  readonly cols: number;
  readonly dtype: DType;
  /** Of compressed rows: the cells that are held; their bytes are those of `csrToBytes`. */
  readonly nnz?: number;
  readonly digest: string;
  readonly cells: string | null;
}

/** A lineage as `JSON.stringify` takes it. */
export interface StoredLineage {
  readonly format: typeof LINEAGE_FORMAT;
  readonly version: number;
  readonly count: number;
  /** Name and version; lines name operators by their place here. */
  readonly ops: readonly (readonly [string, number])[];
  /** By the place of the literal's attributes. */
  readonly literals: Readonly<Record<string, StoredLiteral>>;
  /** By the place of the frame's attributes: where the files were. */
  readonly frames: Readonly<Record<string, FrameSource>>;
  /**
   * A line a node, deflated, base64: the place of its operator, its attributes (JSON, `null` for
   * none and for literals; or the place among all attributes of those that stand in an earlier
   * line), and its inputs, each by how many nodes back it stands or `=` and its number; with tabs
   * between the three and spaces between inputs.
   */
  readonly nodes: string;
  /** Node numbers of the roots, in the order given. */
  readonly roots: readonly number[];
  /** SHA-256 over the lineage keys of the roots; what is read back must have it. */
  readonly digest: string;
}

/** Fields come sorted, so that equal attributes are equal text. */
export function toJson(value: AttrValue): LineageValue {
  if (typeof value === 'number') {
    return Number.isFinite(value) ? (value === 0 ? 0 : value) : { $number: String(value) };
  }
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(toJson);
  const record = value as { readonly [key: string]: AttrValue };
  return Object.fromEntries(
    Object.keys(record)
      .sort()
      .map((key) => [key.startsWith('$') ? `$${key}` : key, toJson(record[key]!)]),
  );
}

export function fromJson(value: LineageValue): AttrValue {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(fromJson);
  const record = value as { readonly [key: string]: LineageValue };
  if (typeof record.$number === 'string') return Number(record.$number);
  return Object.fromEntries(
    Object.entries(record).map(([key, field]) => [
      key.startsWith('$$') ? key.slice(1) : key,
      fromJson(field),
    ]),
  );
}

/** One digest for many keys. */
export function digestOfKeys(keys: readonly LineageKey[]): string {
  const hash = createHash('sha256');
  for (const key of keys) hash.update(key);
  return hash.digest('hex');
}

/** The document, once its outer form is checked. @throws PlanError naming what is wrong */
export function readStored(json: unknown): StoredLineage {
  const stored = json as Partial<StoredLineage> | null | undefined;
  if (typeof stored !== 'object' || stored === null || stored.format !== LINEAGE_FORMAT) {
    throw new PlanError(
      `lineage: expected a document of format ${LINEAGE_FORMAT}, got ${JSON.stringify(stored?.format) ?? typeof json}`,
      { format: LINEAGE_FORMAT },
    );
  }
  if (stored.version !== LINEAGE_VERSION) {
    throw new PlanError(
      `lineage: expected format version ${LINEAGE_VERSION}, got ${JSON.stringify(stored.version)}; read it with the version of Reprise that wrote it`,
      { version: stored.version },
    );
  }
  const isSound =
    Number.isSafeInteger(stored.count) &&
    stored.count! >= 0 &&
    Array.isArray(stored.ops) &&
    stored.ops.every(isOp) &&
    typeof stored.nodes === 'string' &&
    Array.isArray(stored.roots) &&
    [stored.literals, stored.frames].every((map) => typeof map === 'object' && map !== null) &&
    Object.values(stored.literals!).every(isLiteral) &&
    Object.values(stored.frames!).every(isFrame);
  if (!isSound) {
    throw new PlanError(
      'lineage: expected count, ops, literals, frames, nodes and roots, got a document without; the stored lineage is damaged, run the job again',
    );
  }
  return stored as StoredLineage;
}

function isOp(op: unknown): boolean {
  return Array.isArray(op) && typeof op[0] === 'string' && typeof op[1] === 'number';
}

function isLiteral(literal: unknown): boolean {
  const { rows, cols, dtype, nnz, digest, cells } = (literal ?? {}) as Record<string, unknown>;
  const isSize = (size: unknown): boolean => Number.isSafeInteger(size) && (size as number) >= 1;
  return (
    isSize(rows) &&
    isSize(cols) &&
    isDType(dtype) &&
    (nnz === undefined || nnz === 0 || isSize(nnz)) &&
    typeof digest === 'string' &&
    (cells === null || typeof cells === 'string')
  );
}

function isFrame(frame: unknown): boolean {
  const files = (frame as { readonly files?: unknown } | null)?.files;
  return (
    Array.isArray(files) &&
    files.every((file) => typeof file?.path === 'string' && typeof file.digest === 'string')
  );
}
