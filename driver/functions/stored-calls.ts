/**
 * Calls of reusable functions in the durable store: a manifest under the key of the call (the
 * outputs as plain data, with the shapes of their matrices and the cells of small ones), each large
 * matrix under its own key. Most models are one file so: files are what storing them costs.
 * Invariants: all outputs or none, so the manifest is written last; what is read has the shapes the
 * manifest says, or the call is a miss.
 */
import { createHash } from 'node:crypto';
import { isFrameData } from '../frame/frame-data.js';
import { type AttrValue, canonicalAttr } from '../ir/attrs.js';
import { cellBytes, type DType } from '../ir/dtype.js';
import { denseBytes, type Expr } from '../ir/expr.js';
import { lineageKey } from '../ir/lineage-key.js';
import { cellsOf, type DenseMatrix, dense } from '../ir/value.js';
import { type DurableTier, inputsUnchanged, STORE_SECONDS } from '../reuse/durable-tier.js';
import type { Json } from '../reuse/store/entry-format.js';
import type { Lease } from '../reuse/store/lease.js';

/** What a call is known by. */
export interface CallIdentity {
  readonly name: string;
  readonly version: string;
  /** Arguments, their matrices taken out. */
  readonly args: AttrValue;
  readonly inputs: readonly Expr[];
}

/** Larger matrices are files of their own. @units bytes */
const INLINE_BYTES = 16 * 1024;

export type StoredShape = readonly [rows: number, cols: number, dtype: DType];

/** Outputs with their matrices taken out; shapes in the order of the places. */
export interface StoredOutputs {
  readonly template: AttrValue;
  readonly shapes: readonly StoredShape[];
}

/** `cells`: of each small matrix, in base64, little endian. */
interface Manifest extends StoredOutputs {
  readonly cells?: readonly (string | null)[];
}

export interface FoundCall extends StoredOutputs {
  readonly values: readonly DenseMatrix[];
  /** Time the call once took. */
  readonly seconds: number;
}

/** The key of a call, equal in every process. Hexadecimal SHA-256. */
export function callKey({ name, version, args, inputs }: CallIdentity): string {
  const own = canonicalAttr([name, version, args]);
  return createHash('sha256')
    .update(['reusable', own, ...inputs.map(lineageKey)].join('\n'))
    .digest('hex');
}

/** The key of one output matrix. */
function outputKey(key: string, at: number): string {
  return createHash('sha256').update(`output\n${key}\n${at}`).digest('hex');
}

/** What the store has of a call; undefined unless all of it is there and fits. */
export async function readCall(tier: DurableTier, key: string): Promise<FoundCall | undefined> {
  const { store } = tier;
  if (!store.has(key)) return undefined;
  const found = await store.get(key);
  if (found?.value.kind !== 'json') return undefined;
  const { template, shapes, cells } = found.value.json as unknown as Manifest;
  const values: DenseMatrix[] = [];
  for (const [at, shape] of shapes.entries()) {
    const [rows, cols, dtype] = shape;
    const inline = cells?.[at];
    const value = inline ? fromText(inline, shape) : (await store.get(outputKey(key, at)))?.value;
    if (value?.kind !== 'dense' || value.dtype !== dtype) return;
    if (value.rows !== rows || value.cols !== cols) return;
    values.push(value);
  }
  return { template, shapes, values, seconds: found.header.seconds };
}

/**
 * Stores a call in the background, if that is worth it and its inputs are still what they were.
 * @param waited how long whoever asked waited: for a model, as long as its stack took. Where the
 *   stack was long, so is training it again. @units seconds
 */
export function storeCall(
  tier: DurableTier,
  identity: CallIdentity,
  key: string,
  call: FoundCall,
  waited: number,
  lease?: Lease,
): void {
  const { template, shapes, values, seconds } = call;
  const meta = { op: identity.name, seconds, createdAt: new Date().toISOString() };
  const work = async (): Promise<void> => {
    try {
      if (!isWorthStoring(identity, waited)) return;
      if (!(await inputsUnchanged(identity.inputs))) return;
      const cells = values.map((value) =>
        denseBytes(value) > INLINE_BYTES ? null : asText(value),
      );
      for (const [at, value] of values.entries()) {
        if (cells[at] !== null) continue;
        if (!(await tier.store.put(outputKey(key, at), value, meta))) return;
      }
      const json = { template, shapes, cells } as unknown as Json;
      await tier.store.put(key, { kind: 'json', json }, meta, lease);
    } finally {
      await lease?.release();
    }
  };
  tier.track(work());
}

/**
 * Whether a call is stored: one that took long, or that reads data of files, which costs passes,
 * however quick they are on this machine.
 * @param waited see `storeCall`. @units seconds
 */
export function isWorthStoring({ inputs }: CallIdentity, waited: number): boolean {
  return waited >= STORE_SECONDS || inputs.some(isFrameData);
}

function asText({ data: { buffer, byteOffset, byteLength } }: DenseMatrix): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64');
}

/** Undefined where the text is not of that shape. */
function fromText(text: string, [rows, cols, dtype]: StoredShape): DenseMatrix | undefined {
  const bytes = new Uint8Array(Buffer.from(text, 'base64'));
  if (bytes.byteLength !== rows * cols * cellBytes({ dtype })) return undefined;
  return dense(rows, cols, cellsOf(dtype, rows * cols, bytes.buffer));
}
