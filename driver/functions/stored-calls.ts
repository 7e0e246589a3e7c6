/**
 * Calls of reusable functions in the durable store: a manifest under the key of the call (the
 * outputs as plain data, with the shapes of their matrices), each matrix under its own key.
 * Invariants: all outputs or none, so the manifest is written last; what is read has the shapes the
 * manifest says, or the call is a miss.
 */
import { createHash } from 'node:crypto';
import { type AttrValue, canonicalAttr } from '../ir/attrs.js';
import type { DType } from '../ir/dtype.js';
import type { Expr } from '../ir/expr.js';
import { lineageKey } from '../ir/lineage-key.js';
import type { DenseMatrix } from '../ir/value.js';
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

export type StoredShape = readonly [rows: number, cols: number, dtype: DType];

/** Outputs with their matrices taken out; shapes in the order of the places. */
export interface StoredOutputs {
  readonly template: AttrValue;
  readonly shapes: readonly StoredShape[];
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
  const { template, shapes } = found.value.json as unknown as StoredOutputs;
  const values: DenseMatrix[] = [];
  for (const [at, [rows, cols, dtype]] of shapes.entries()) {
    const value = (await store.get(outputKey(key, at)))?.value;
    if (value?.kind !== 'dense' || value.dtype !== dtype) return;
    if (value.rows !== rows || value.cols !== cols) return;
    values.push(value);
  }
  return { template, shapes, values, seconds: found.header.seconds };
}

/** Stores a call in the background, if it took long and its inputs are still what they were. */
export function storeCall(
  tier: DurableTier,
  identity: CallIdentity,
  key: string,
  call: FoundCall,
  lease?: Lease,
): void {
  const { template, shapes, values, seconds } = call;
  const meta = { op: identity.name, seconds, createdAt: new Date().toISOString() };
  const work = async (): Promise<void> => {
    try {
      if (seconds < STORE_SECONDS || !(await inputsUnchanged(identity.inputs))) return;
      for (const [at, value] of values.entries()) {
        if (!(await tier.store.put(outputKey(key, at), value, meta))) return;
      }
      const json = { template, shapes } as unknown as Json;
      await tier.store.put(key, { kind: 'json', json }, meta, lease);
    } finally {
      await lease?.release();
    }
  };
  tier.track(work());
}
