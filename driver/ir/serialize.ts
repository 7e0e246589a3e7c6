/**
 * Lineage as plain JSON and back: operators with their versions, full canonical attributes, files by digest and path,
 * small literals with their cells and large ones by digest. Invariant: what is read back has the lineage keys of what
 * was written, bit for bit, or reading fails; nothing recurses, so a lineage millions of nodes deep is no exception.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { PlanError, RepriseError, ResourceError } from '../errors.js';
import type { FrameSource } from '../frame/engine.js';
import { opByName, ops } from '../operators/index.js';
import type { OpDef } from '../operators/op-def.js';
import type { Evaluator } from '../runtime/evaluator.js';
import { type DenseMatrix, dense } from '../runtime/value.js';
import { type Attrs, type AttrValue, noAttrs } from './attrs.js';
import { type Expr, topological } from './expr.js';
import { contentDigest, lineageKey } from './lineage-key.js';
import { decodeNodes, encodeNodes, type NodeTable } from './node-records.js';
import { numbersIn, splitNumbers, withNumbers } from './number-series.js';
import {
  digestOfKeys,
  fromJson,
  LINEAGE_FORMAT,
  LINEAGE_VERSION,
  readStored,
  type StoredLineage,
  type StoredLiteral,
  type StoredValue,
  toJson,
} from './stored-lineage.js';

export interface SerializeOptions {
  /** Largest literal stored with its cells, deflated. @units bytes, default 64 KiB */
  readonly literalBytes?: number;
  /** All literals together; later ones are stored by digest. @units bytes, default 1 MiB */
  readonly literalsBytes?: number;
}

export interface DeserializeOptions {
  /** Where the files of a frame are now; must have the same digests in the same order. Default: where they were. */
  readonly resolveFrame?: (source: FrameSource) => FrameSource;
  /** The cells of a literal stored by digest only. */
  readonly resolveLiteral?: (
    digest: string,
    shape: { readonly rows: number; readonly cols: number },
  ) => DenseMatrix | undefined;
  /** More nodes are refused: a few bytes may stand for very many. Default 20 million. */
  readonly maxNodes?: number;
}

export interface RestoredLineage {
  readonly roots: readonly Expr[];
  /** All nodes, by number. */
  readonly nodes: readonly Expr[];
}

/** The lineage of these nodes as plain JSON. Linear in the nodes; repeated stretches (loops) take one record. */
export function serializeLineage(
  roots: readonly Expr[],
  options: SerializeOptions = {},
): StoredLineage {
  const order = topological(roots);
  const nodeNumbers = new Map<Expr, number>();
  const opPlaces = new Map<OpDef, number>();
  const attrPlaces = new Map<string, number>();
  const attrs: StoredValue[] = [];
  const literals: Record<string, StoredLiteral> = {};
  const frames: Record<string, FrameSource> = {};
  const table = emptyTable(order);
  const literalBudget = {
    left: options.literalsBytes ?? 1 << 20,
    each: options.literalBytes ?? 1 << 16,
  };
  const digests = new Map<Expr, string>();
  /** What tells attributes apart; of a literal the content, which its attributes only name. */
  const textOf = (expr: Expr): string => {
    if (expr.op !== ops.literal) return expr.attrsText;
    let digest = digests.get(expr);
    if (digest === undefined) {
      digest = contentDigest(expr.payload as DenseMatrix);
      digests.set(expr, digest);
    }
    return digest;
  };
  const shapes = new Map<string, number>();
  const numbers: number[] = [];
  let end = 0;
  for (const [i, expr] of order.entries()) {
    nodeNumbers.set(expr, i);
    const isLeafOfData = expr.op === ops.literal || expr.op === ops.frame;
    const { shape, numbers: own } = isLeafOfData
      ? { shape: `${expr.op.name} ${textOf(expr)}`, numbers: [] }
      : splitNumbers(expr.attrsText);
    let place = shapes.get(shape);
    if (place === undefined) {
      place = shapes.size;
      shapes.set(shape, place);
    }
    if (!opPlaces.has(expr.op)) opPlaces.set(expr.op, opPlaces.size);
    table.op[i] = opPlaces.get(expr.op)!;
    table.shape[i] = place;
    for (const number of own) numbers.push(number);
    table.numberStart[i + 1] = numbers.length;
    for (const input of expr.inputs) table.inputs[end++] = nodeNumbers.get(input)!;
    table.start[i + 1] = end;
  }
  /** Place of a node's attributes; made when the first node with them has a record of its own. */
  const attrsPlace = (i: number): number => {
    const expr = order[i]!;
    const text = textOf(expr);
    const kind = expr.op === ops.literal || expr.op === ops.frame ? `${expr.op.name} ` : '';
    let place = attrPlaces.get(kind + text);
    if (place !== undefined) return place;
    place = attrs.length;
    attrPlaces.set(kind + text, place);
    const isLiteral = expr.op === ops.literal;
    attrs.push(isLiteral || expr.attrs === noAttrs ? null : toJson(expr.attrs));
    if (isLiteral) {
      literals[place] = storedLiteral(expr.payload as DenseMatrix, text, literalBudget);
    }
    if (expr.op === ops.frame) frames[place] = plainSource(expr.payload as FrameSource);
    return place;
  };
  const nodes = encodeNodes({ ...table, numbers: Float64Array.from(numbers) }, attrsPlace);
  return {
    format: LINEAGE_FORMAT,
    version: LINEAGE_VERSION,
    count: order.length,
    ops: [...opPlaces.keys()].map((op) => [op.name, op.version] as const),
    attrs,
    literals,
    frames,
    nodes,
    roots: roots.map((root) => nodeNumbers.get(root)!),
    digest: digestOfKeys(roots.map(lineageKey)),
  };
}

/**
 * Builds a stored lineage in a session.
 * @throws PlanError when it is damaged, of another format version, or names an operator or version this program
 *   does not have; when a literal or frame can't be resolved. ResourceError beyond `maxNodes`
 */
export function deserializeLineage(
  json: unknown,
  evaluator: Evaluator,
  options: DeserializeOptions = {},
): RestoredLineage {
  const stored = readStored(json);
  const maxNodes = options.maxNodes ?? 20_000_000;
  if (stored.count > maxNodes) {
    throw new ResourceError(
      `lineage: expected at most ${maxNodes} nodes, got ${stored.count}; raise maxNodes to read it`,
      { resource: 'memory', nodes: stored.count },
    );
  }
  const known = stored.ops.map(knownOp);
  const numbersOf = new Map<number, readonly number[]>();
  const table = decodeNodes(stored.nodes, stored.count, (place) => {
    let numbers = numbersOf.get(place);
    if (numbers === undefined) {
      const value = stored.attrs[place] ?? null;
      numbers = value === null ? [] : numbersIn(fromJson(value));
      numbersOf.set(place, numbers);
    }
    return numbers;
  });
  const leaves = new Map<number, { readonly attrs: Attrs; readonly payload?: unknown }>();
  const leafOf = (op: OpDef, place: number) => {
    let leaf = leaves.get(place);
    if (leaf === undefined) {
      leaf = restoreAttrs(stored, op, place, options);
      leaves.set(place, leaf);
    }
    return leaf;
  };
  const nodes: Expr[] = new Array(stored.count);
  for (let i = 0; i < stored.count; i++) {
    const op = known[table.op[i]!];
    if (op === undefined) throw damaged(`an operator of the table at node ${i}`, table.op[i]);
    const inputs: Expr[] = [];
    for (let at = table.start[i]!; at < table.start[i + 1]!; at++) {
      inputs.push(nodes[table.inputs[at]!]!);
    }
    const { attrs: ofPlace, payload } = leafOf(op, table.attrs[i]!);
    const [from, to] = [table.numberStart[i]!, table.numberStart[i + 1]!];
    const attrs = from === to ? ofPlace : withNumbers(ofPlace, table.numbers.subarray(from, to));
    nodes[i] = internSafely(evaluator, op, inputs, attrs, payload);
  }
  const roots = stored.roots.map((number) => {
    const root = nodes[number];
    if (root === undefined) throw damaged(`roots below ${stored.count}`, number);
    return root;
  });
  const digest = digestOfKeys(roots.map(lineageKey));
  if (digest !== stored.digest) throw damaged(`lineage keys of digest ${stored.digest}`, digest);
  return { roots, nodes };
}

function emptyTable(order: readonly Expr[]): Omit<NodeTable, 'numbers'> {
  const count = order.length;
  const inputs = order.reduce((sum, expr) => sum + expr.inputs.length, 0);
  return {
    count,
    op: new Int32Array(count),
    shape: new Int32Array(count),
    numberStart: new Int32Array(count + 1),
    start: new Int32Array(count + 1),
    inputs: new Int32Array(inputs),
  };
}

/** The source without what an engine may have hung on it. */
function plainSource({ format, files, options, columns }: FrameSource): FrameSource {
  return {
    format,
    files: files.map(({ path, digest, bytes, rows, partition }) => {
      return { path, digest, bytes, rows, ...(partition ? { partition } : {}) };
    }),
    ...(options ? { options } : {}),
    ...(columns ? { columns } : {}),
  };
}

function storedLiteral(
  value: DenseMatrix,
  digest: string,
  budget: { left: number; readonly each: number },
): StoredLiteral {
  const { rows, cols, data } = value;
  let cells: string | null = null;
  // Deflate makes at best a thousandth of its input, so a longer one needs no try.
  if (data.byteLength <= budget.each * 1000) {
    const deflated = deflateRawSync(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    if (deflated.length <= Math.min(budget.each, budget.left)) {
      budget.left -= deflated.length;
      cells = deflated.toString('base64');
    }
  }
  return { rows, cols, digest, cells };
}

function knownOp([name, version]: readonly [string, number]): OpDef {
  const op = opByName(name);
  if (op?.version === version) return op;
  const got = op === undefined ? 'no operator of that name' : `version ${op.version}`;
  throw new PlanError(
    `lineage: expected operator ${name} version ${version}, got ${got} in this program; read it with the version of Reprise that wrote it, or run the job again`,
    { op: name, version },
  );
}

function restoreAttrs(
  stored: StoredLineage,
  op: OpDef,
  place: number,
  options: DeserializeOptions,
): { readonly attrs: Attrs; readonly payload?: unknown } {
  if (place >= stored.attrs.length) throw damaged(`attributes of ${op.name}`, `place ${place}`);
  if (op === ops.literal) {
    const literal = stored.literals[place];
    if (literal === undefined) throw damaged('the cells or digest of a literal', 'none');
    const { rows, cols, digest } = literal;
    return { attrs: { rows, cols, key: digest }, payload: literalValue(literal, options) };
  }
  const value = stored.attrs[place]!;
  const attrs = value === null ? noAttrs : (fromJson(value) as Attrs);
  if (op !== ops.frame) return { attrs };
  const source = stored.frames[place];
  if (source === undefined) throw damaged('the files of a frame', 'none');
  return { attrs, payload: frameSource(source, attrs, options) };
}

function literalValue(literal: StoredLiteral, options: DeserializeOptions): DenseMatrix {
  const { rows, cols, digest, cells } = literal;
  const value =
    cells === null ? options.resolveLiteral?.(digest, { rows, cols }) : inflate(rows, cols, cells);
  if (value === undefined) {
    throw new PlanError(
      `lineage: expected the cells of the ${rows}x${cols} literal ${digest.slice(0, 12)}, got its digest only (it was too large to store); pass resolveLiteral`,
      { digest },
    );
  }
  const got = contentDigest(value);
  if (got !== digest) throw damaged(`a literal of digest ${digest}`, got);
  return value;
}

function inflate(rows: number, cols: number, cells: string): DenseMatrix {
  const bytes = rows * cols * 8;
  try {
    const raw = inflateRawSync(Buffer.from(cells, 'base64'), { maxOutputLength: bytes });
    const data = new Float64Array(rows * cols);
    new Uint8Array(data.buffer).set(raw);
    if (raw.length === bytes) return dense(rows, cols, data);
  } catch {
    // Told below, as any other damage.
  }
  throw damaged(`${bytes} bytes of cells`, 'others');
}

function frameSource(stored: FrameSource, attrs: Attrs, options: DeserializeOptions): FrameSource {
  const source = options.resolveFrame?.(stored) ?? stored;
  const expected = attrs.files as readonly { readonly [key: string]: AttrValue }[];
  for (const [i, { digest }] of expected.entries()) {
    const file = source.files[i];
    if (file?.digest === digest && source.files.length === expected.length) continue;
    throw new PlanError(
      `lineage: expected file ${i + 1} of ${expected.length} with digest ${String(digest).slice(0, 12)}, got ${file === undefined ? 'none' : `${file.path} with ${file.digest.slice(0, 12)}`}; the file has changed since`,
      { path: file?.path },
    );
  }
  return source;
}

/** Attributes out of a damaged file may break an operator's own checks in any way. */
function internSafely(
  evaluator: Evaluator,
  op: OpDef,
  inputs: readonly Expr[],
  attrs: Attrs,
  payload: unknown,
): Expr {
  try {
    return evaluator.intern(op, inputs, attrs, payload);
  } catch (error) {
    if (error instanceof RepriseError) throw error;
    throw damaged(`attributes ${op.name} takes`, error);
  }
}

function damaged(expected: string, got: unknown): PlanError {
  return new PlanError(
    `lineage: expected ${expected}, got ${String(got)}; the stored lineage is damaged, run the job again`,
    { got },
  );
}
