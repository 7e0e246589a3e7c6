/**
 * Lineage as plain JSON and back: operators with their versions, full canonical attributes, files
 * by digest and path, small literals with their cells and large ones by digest. Invariant: what is
 * read back has the lineage keys of what was written, bit for bit, or reading fails; nothing
 * recurses, so a lineage millions of nodes deep is no exception.
 *
 * A node is a line of text: operator, attributes, inputs. The iterations of a loop are the same
 * lines, or nearly, which deflate makes very small.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { PlanError, RepriseError, ResourceError } from '../errors.js';
import { type Attrs, type AttrValue, noAttrs } from '../ir/attrs.js';
import { nnzAttr, storedBytes, valueFromBytes, valueToBytes } from '../ir/csr.js';
import { dtypeAttr } from '../ir/dtype.js';
import type { Evaluator } from '../ir/evaluator.js';
import { type Expr, topological } from '../ir/expr.js';
import type { FrameSource } from '../ir/frame-engine.js';
import { contentDigest, lineageKey } from '../ir/lineage-key.js';
import type { OpDef } from '../ir/op-def.js';
import { bytesOf, type DenseMatrix } from '../ir/value.js';
import { opByName } from '../operators/index.js';
import {
  digestOfKeys,
  fromJson,
  LINEAGE_FORMAT,
  LINEAGE_VERSION,
  readStored,
  type StoredLineage,
  type StoredLiteral,
  toJson,
} from './stored-lineage.js';

export interface SerializeOptions {
  /** Largest literal stored with its cells, deflated. @units bytes, default 64 KiB */
  readonly literalBytes?: number;
  /** All literals together; later ones are stored by digest. @units bytes, default 1 MiB */
  readonly literalsBytes?: number;
}

export interface DeserializeOptions {
  /** Where a frame's files are now, with equal digests in equal order. Default: where they were. */
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

/** A few bytes may stand for very much text. @units bytes */
const MAX_TEXT_BYTES = 1 << 28;

/** What canonical text has and JSON reads as something else, or writes in another way. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is what is meant.
const NOT_JSON = /NaN|Infinity|"\$|[^\x00-\x7f]/;

/** Attributes as JSON: the canonical text, where that is JSON and says the same. */
function jsonOf({ attrs }: Expr, canonical: string): string {
  return NOT_JSON.test(canonical) ? JSON.stringify(toJson(attrs)) : canonical;
}

/** These nodes' lineage as plain JSON, linear in the nodes; repeated stretches stay small. */
export function serializeLineage(
  roots: readonly Expr[],
  options: SerializeOptions = {},
): StoredLineage {
  const order = topological(roots);
  const nodeNumbers = new Map<Expr, number>();
  const opPlaces = new Map<OpDef, number>();
  const attrPlaces = new Map<string, number>();
  const literals: Record<string, StoredLiteral> = {};
  const frames: Record<string, FrameSource> = {};
  const literalBudget = {
    left: options.literalsBytes ?? 1 << 20,
    each: options.literalBytes ?? 1 << 16,
  };
  /** The place of attributes in an earlier line, or the attributes, which get the next place. */
  const attrsText = (expr: Expr): string => {
    const isLiteral = expr.op.source === 'cells';
    // Of a literal the content tells them apart, which its attributes only name.
    const own = isLiteral ? contentDigest(expr.payload as DenseMatrix) : expr.attrsText;
    const key = isLiteral || expr.op.source === 'files' ? `${expr.op.name} ${own}` : own;
    const known = attrPlaces.get(key);
    if (known !== undefined) return String(known);
    const place = attrPlaces.size;
    attrPlaces.set(key, place);
    if (isLiteral) literals[place] = storedLiteral(expr.payload as DenseMatrix, own, literalBudget);
    if (expr.op.source === 'files') frames[place] = plainSource(expr.payload as FrameSource);
    return isLiteral || expr.attrs === noAttrs ? 'null' : jsonOf(expr, own);
  };
  const lines = order.map((expr, i) => {
    nodeNumbers.set(expr, i);
    const opPlace = opPlaces.get(expr.op) ?? opPlaces.size;
    opPlaces.set(expr.op, opPlace);
    const inputs = expr.inputs.map((input) => inputText(i, nodeNumbers.get(input)!));
    return `${opPlace}\t${attrsText(expr)}\t${inputs.join(' ')}\n`;
  });
  return {
    format: LINEAGE_FORMAT,
    version: LINEAGE_VERSION,
    count: order.length,
    ops: [...opPlaces.keys()].map((op) => [op.name, op.version] as const),
    literals,
    frames,
    nodes: deflateRawSync(lines.join('')).toString('base64'),
    roots: roots.map((root) => nodeNumbers.get(root)!),
    digest: digestOfKeys(roots.map(lineageKey)),
  };
}

/**
 * Builds a stored lineage in a session.
 * @throws PlanError when it is damaged, of another format version, or names an operator or version
 *   this program does not have; when a literal or frame can't be resolved. ResourceError beyond
 *   `maxNodes`
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
  const leaves: { readonly attrs: Attrs; readonly payload?: unknown }[] = [];
  const lines = textOf(stored.nodes).split('\n');
  if (lines.pop() !== '' || lines.length !== stored.count) {
    throw damaged(`${stored.count} nodes`, lines.length);
  }
  const nodes: Expr[] = [];
  for (const [i, line] of lines.entries()) {
    const [opText, attrsText = '', inputsText = ''] = line.split('\t');
    const op = known[Number(opText)];
    if (op === undefined) throw damaged(`an operator of the table at node ${i}`, opText);
    const isPlace = /^\d/.test(attrsText);
    if (!isPlace) leaves.push(restoreAttrs(stored, op, leaves.length, attrsText, options));
    const leaf = isPlace ? leaves[Number(attrsText)] : leaves.at(-1);
    if (leaf === undefined) throw damaged(`attributes of ${op.name}`, `place ${attrsText}`);
    const inputs =
      inputsText === '' ? [] : inputsText.split(' ').map((text) => nodes[inputOf(i, text)]);
    if (inputs.includes(undefined)) throw damaged(`an input before node ${i}`, inputsText);
    nodes.push(internSafely(evaluator, op, inputs as Expr[], leaf.attrs, leaf.payload));
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

/**
 * How many nodes back the input of node `i` stands, as what a loop carries does in each iteration;
 * or, where that is the smaller number, its own, which stays the same for what stands before the
 * loop.
 */
function inputText(i: number, input: number): string {
  return input < i - input ? `=${input}` : String(i - input);
}

function inputOf(i: number, text: string): number {
  return text.startsWith('=') ? Number(text.slice(1)) : i - Number(text);
}

function textOf(nodes: string): string {
  try {
    const options = { maxOutputLength: MAX_TEXT_BYTES };
    return inflateRawSync(Buffer.from(nodes, 'base64'), options).toString('utf8');
  } catch (error) {
    throw damaged('nodes', (error as Error).message);
  }
}

/** The source without what an engine may have hung on it. */
function plainSource({ format, files, options, text }: FrameSource): FrameSource {
  return {
    format,
    files: files.map(({ path, digest, bytes, rows, partition }) => {
      return { path, digest, bytes, rows, ...(partition ? { partition } : {}) };
    }),
    ...(options ? { options } : {}),
    ...(text ? { text } : {}),
  };
}

function storedLiteral(
  value: DenseMatrix,
  digest: string,
  budget: { left: number; readonly each: number },
): StoredLiteral {
  const { rows, cols, dtype } = value;
  let cells: string | null = null;
  // Deflate makes at best a thousandth of its input, so a longer one needs no try.
  if (bytesOf(value) <= budget.each * 1000) {
    const deflated = deflateRawSync(valueToBytes(value));
    if (deflated.length <= Math.min(budget.each, budget.left)) {
      budget.left -= deflated.length;
      cells = deflated.toString('base64');
    }
  }
  return { rows, cols, dtype, ...nnzAttr(value), digest, cells };
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
  text: string,
  options: DeserializeOptions,
): { readonly attrs: Attrs; readonly payload?: unknown } {
  if (op.source === 'cells') {
    const literal = stored.literals[place];
    if (literal === undefined) throw damaged('the cells or digest of a literal', 'none');
    const { rows, cols, dtype, nnz, digest } = literal;
    const ofRows = nnz === undefined ? {} : { nnz };
    const attrs = { rows, cols, key: digest, ...dtypeAttr(dtype), ...ofRows };
    return { attrs, payload: literalValue(literal, options) };
  }
  const attrs = text === 'null' ? noAttrs : readAttrs(op, text);
  if (op.source !== 'files') return { attrs };
  const source = stored.frames[place];
  if (source === undefined) throw damaged('the files of a frame', 'none');
  return { attrs, payload: frameSource(source, attrs, options) };
}

function readAttrs(op: OpDef, text: string): Attrs {
  try {
    return fromJson(JSON.parse(text)) as Attrs;
  } catch {
    throw damaged(`attributes of ${op.name}`, text.slice(0, 40));
  }
}

function literalValue(literal: StoredLiteral, options: DeserializeOptions): DenseMatrix {
  const { rows, cols, digest, cells } = literal;
  const value =
    cells === null ? options.resolveLiteral?.(digest, { rows, cols }) : inflate(literal, cells);
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

function inflate(literal: StoredLiteral, cells: string): DenseMatrix {
  const bytes = storedBytes(literal);
  try {
    const raw = inflateRawSync(Buffer.from(cells, 'base64'), { maxOutputLength: bytes });
    if (raw.length === bytes) return valueFromBytes(literal, Uint8Array.from(raw));
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
