/**
 * Lowers a segment of the plan to a program of the shim. Invariant: instructions stand in the
 * segment's order (inputs first), every value is named by its expression's id, and a matrix the
 * shim holds already is never sent again.
 */

import type { Segment } from '../../driver/backend/backend.js';
import type { Place } from '../../driver/backend/place.js';
import { InternalError } from '../../driver/errors.js';
import type { Attrs, AttrValue } from '../../driver/ir/attrs.js';
import { nnzAttr, storedBytes, valueToBytes } from '../../driver/ir/csr.js';
import { dtypeAttr } from '../../driver/ir/dtype.js';
import { denseBytes, type Expr } from '../../driver/ir/expr.js';
import type { FrameSource, SqlText } from '../../driver/ir/frame-engine.js';
import { isLeafValue, leafValue } from '../../driver/ir/leaf-value.js';
import { operandsByRows } from '../../driver/ir/op-def.js';
import type { Value } from '../../driver/ir/value.js';
import type {
  WireInput,
  WireInstruction,
  WireJson,
  WireKeep,
  WireProgram,
  WireSql,
} from '../channel/wire.js';
import type { StorageLevel } from '../rdd/storage-level.js';
import { textKey } from './expressions.js';
import { wireSource } from './wire-source.js';

/** Host matrices from this size on stay in the cluster once cut into row blocks. @units bytes */
const KEEP_BYTES = 1024 * 1024;
/** Host matrices from this size on are broadcast once for all their programs. @units bytes */
export const BROADCAST_BYTES = 64 * 1024;

/** What lowering asks of the backend. */
export interface LoweringContext {
  readonly run: string;
  readonly newHandle: () => string;
  /** Host matrices in the cluster as row blocks, and whole. */
  readonly uploads: Place<string>;
  readonly broadcasts: Place<string>;
  readonly levelOf: (expr: Expr) => StorageLevel;
  /** What the expressions of each `encode` node are on Spark. */
  readonly expressions: ReadonlyMap<Expr, ReadonlyMap<string, WireSql>>;
}

export interface LoweredProgram {
  readonly program: WireProgram;
  readonly payloads: readonly Uint8Array[];
  /** Handles made for the segment's persisted nodes. */
  readonly handles: ReadonlyMap<Expr, string>;
  /** Handles the program reads. */
  readonly reads: readonly string[];
  /** Notes that host matrices it brought are in the cluster from now on. */
  readonly keepSent: () => void;
  /** It no longer reads those that were there. */
  readonly done: () => void;
}

export function lowerSegment(segment: Segment, context: LoweringContext): LoweredProgram {
  const { run, newHandle } = context;
  const inside = new Set(segment.nodes);
  const operands = operandsOf(segment, inside);
  const inputs: WireInput[] = [];
  const payloads: Uint8Array[] = [];
  const persist: WireKeep[] = [];
  const sent: (() => void)[] = [];
  const reads: string[] = [];
  const used: (() => void)[] = [];
  for (const [expr, byRows] of operands) {
    const value = segmentValue(expr, segment);
    const { rows, cols, dtype } = value;
    const input = { id: expr.id, rows, cols, ...dtypeAttr(dtype), ...nnzAttr(value) };
    if (value.kind === 'handle') {
      inputs.push({ ...input, payload: null, handle: value.id });
      reads.push(value.id);
      continue;
    }
    const place = byRows ? context.uploads : context.broadcasts;
    const held = place.use(value);
    if (held !== undefined) {
      used.push(() => place.unpin(held));
      inputs.push({ ...input, payload: null, handle: held.it });
      continue;
    }
    const bytes = storedBytes({ rows, cols, dtype, ...nnzAttr(value) });
    const isKept =
      !segment.persist.includes(expr) && bytes >= (byRows ? KEEP_BYTES : BROADCAST_BYTES);
    const handle = isKept ? newHandle() : null;
    inputs.push({ ...input, payload: payloads.length, handle: byRows ? null : handle });
    payloads.push(valueToBytes(value));
    if (handle === null) continue;
    sent.push(() => place.add(value, { it: handle, bytes, seconds: 0 }));
    if (byRows) persist.push({ id: expr.id, handle, level: null, lazy: false });
  }
  const handles = new Map<Expr, string>();
  for (const expr of segment.persist) {
    const handle = newHandle();
    handles.set(expr, handle);
    const level = context.levelOf(expr);
    persist.push({ id: expr.id, handle, level, lazy: segment.lazy === true });
  }
  const instructions = segment.nodes
    .filter((expr) => !isLeafValue(expr))
    .map((expr) => lowerNode(expr, segment, context));
  const outputs = segment.outputs.map((expr) => expr.id);
  const all = (some: readonly (() => void)[]) => (): void => {
    for (const one of some) one();
  };
  const parts = [...(segment.parts ?? [])].map(([{ id }, some]) => ({
    id,
    ends: some.map(({ to }) => to),
  }));
  const program = { run, inputs, instructions, outputs, persist, parts };
  return { program, payloads, handles, reads, keepSent: all(sent), done: all(used) };
}

/** Values the program starts from, and whether some instruction takes them by rows. */
function operandsOf(segment: Segment, inside: ReadonlySet<Expr>): Map<Expr, boolean> {
  const used = new Map<Expr, boolean>();
  for (const expr of [...segment.outputs, ...segment.persist]) {
    if (!inside.has(expr) || isLeafValue(expr)) used.set(expr, false);
  }
  for (const expr of segment.nodes) {
    if (isLeafValue(expr)) continue;
    const blocked = blockedOperands(expr, segment);
    expr.inputs.forEach((input, i) => {
      if (input.op.source === 'files') return;
      if (inside.has(input) && !isLeafValue(input)) return;
      used.set(input, (used.get(input) ?? false) || blocked[i] === true);
    });
  }
  return used;
}

function segmentValue(expr: Expr, segment: Segment): Value {
  const given = segment.inputs.get(expr);
  if (given !== undefined) return given;
  const own = isLeafValue(expr) ? leafValue(expr) : undefined;
  if (own !== undefined) return own;
  throw new InternalError(`spark: expected a value of ${expr.op.name} in the segment's inputs`);
}

/** Which operands a node takes by rows, by its operator's rule; none if evaluated whole. */
function blockedOperands(expr: Expr, segment: Segment): readonly boolean[] {
  return isByBlocks(expr, segment) ? operandsByRows(expr.op, expr.inputs, expr.attrs) : [];
}

/** A reduction runs over blocks when told so or when an operand exists in blocks only. */
function isByBlocks(expr: Expr, segment: Segment): boolean {
  if (segment.blocked.has(expr)) return true;
  const rule = expr.op.rowRule(expr.inputs, expr.attrs);
  if (rule.kind !== 'reduce') return false;
  return expr.inputs.some((input, i) => {
    if (!rule.blocked[i]) return false;
    const value = segment.inputs.get(input);
    if (value !== undefined) return value.kind === 'handle' || denseBytes(value) >= KEEP_BYTES;
    return segment.blocked.has(input);
  });
}

function lowerNode(expr: Expr, segment: Segment, context: LoweringContext): WireInstruction {
  const blocked = blockedOperands(expr, segment);
  const isEncode = expr.op.source === 'scan';
  const expressions = context.expressions.get(expr);
  const attrs = wireValue(expr.attrs);
  return {
    id: expr.id,
    op: expr.op.name,
    attrs: isEncode
      ? { features: featuresOf(expr, expressions), source: frameSource(expr) }
      : attrs,
    operands: isEncode
      ? []
      : expr.inputs.map((input, i) => ({ id: input.id, blocked: blocked[i] === true })),
    rows: expr.rows,
    cols: expr.cols,
    ...dtypeAttr(expr.dtype),
    blocked: segment.blocked.has(expr) || isByBlocks(expr, segment),
  };
}

/** Features with their expressions as Spark's. */
function featuresOf(encode: Expr, expressions: ReadonlyMap<string, WireSql> | undefined): WireJson {
  const features = encode.attrs.features as readonly (Attrs & SqlText)[];
  return features.map((feature) => {
    const text = expressions?.get(textKey(feature));
    if (text === undefined) throw new InternalError('encode: expected translated expressions');
    return { ...(wireValue(feature) as object), ...text, ...dtypeAttr(encode.dtype) };
  });
}

function frameSource(encode: Expr): WireJson {
  const source = encode.inputs[0]?.payload as FrameSource | undefined;
  if (source === undefined) throw new InternalError('encode: expected a frame with a source');
  return wireSource(source) as unknown as WireJson;
}

/** Attributes as JSON, non-finite numbers spelled out. */
function wireValue(value: AttrValue): WireJson {
  if (typeof value === 'number' && !Number.isFinite(value)) return { $num: String(value) };
  if (Array.isArray(value)) return value.map(wireValue);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(
      Object.entries(value as Readonly<Record<string, AttrValue>>).map(([key, item]) => [
        key,
        wireValue(item),
      ]),
    );
  }
  return value as WireJson;
}
