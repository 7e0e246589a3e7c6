/**
 * Results of earlier processes as nodes of this session, for partial reuse to find parts by. A
 * result is noted with its form: operator, attributes, and its operands down through binds, slices,
 * products and encodings, below that by key. Invariant: a node made from a form has the key of the
 * stored result, which is checked, so that its value is the stored one; operands this process does
 * not have become leaves that stand for a key and are never evaluated.
 */
import { createHash } from 'node:crypto';
import type { Attrs } from '../ir/attrs.js';
import { noAttrs } from '../ir/attrs.js';
import { checkedDType, dtypeAttr } from '../ir/dtype.js';
import { type Expr, type NodeMaker, topological } from '../ir/expr.js';
import { lineageKey } from '../ir/lineage-key.js';
import type { OpDef } from '../ir/op-def.js';
import { fromJson, type LineageValue, toJson } from '../lineage/stored-lineage.js';
import { opByName, ops } from '../operators/index.js';
import type { DurableStore } from './store/durable-store.js';

/** Inputs a result is noted under; each is a line in a file of its own. */
const MAX_KEYS = 8;
/** No result over a smaller input takes long enough to be stored. @units cells */
const MIN_CELLS = 1 << 14;

/** The stored results of a session's plans that share an input, read when first asked for. */
export class StoredSiblings {
  readonly #store: DurableStore;
  readonly #keysOf: (expr: Expr) => readonly Expr[];
  readonly #loaded = new WeakMap<Expr, Map<OpDef, readonly Expr[]>>();

  /** @param keysOf the inputs under which a node can be found */
  constructor(store: DurableStore, keysOf: (expr: Expr) => readonly Expr[]) {
    this.#store = store;
    this.#keysOf = keysOf;
  }

  /** Results of this operator under `key`, oldest first; undefined when they were not read yet. */
  of(op: OpDef, key: Expr): readonly Expr[] | undefined {
    if (key.rows * key.cols < MIN_CELLS || !key.isDeterministic) return none;
    return this.#loaded.get(key)?.get(op);
  }

  /**
   * Reads what is noted under an input. Never throws.
   * @param known nodes of the plan by key, which the results are made over
   */
  async load(
    op: OpDef,
    key: Expr,
    known: () => ReadonlyMap<string, Expr>,
    interner: NodeMaker,
  ): Promise<void> {
    const noted = await this.#store.siblings(inputName(op, key));
    const found = noted.flatMap((sibling) => {
      const expr = siblingNode(sibling.key, sibling.text, known(), interner);
      return expr?.op === op ? [expr] : [];
    });
    let ofKey = this.#loaded.get(key);
    if (ofKey === undefined) {
      ofKey = new Map();
      this.#loaded.set(key, ofKey);
    }
    ofKey.set(op, found);
  }

  /** Nodes that results noted under inputs of these nodes may be made over. */
  known(exprs: readonly Expr[]): Map<string, Expr> {
    return nodesByKey(
      exprs.flatMap((expr) => (this.#keysOf(expr).length > 0 ? [...expr.inputs] : [])),
    );
  }

  /** Notes a result that is stored. Never throws. */
  async note(expr: Expr): Promise<void> {
    const keys = this.#keysOf(expr).filter(({ rows, cols }) => rows * cols >= MIN_CELLS);
    if (keys.length === 0) return;
    const text = siblingForm(expr);
    if (text === undefined) return;
    const sibling = { key: lineageKey(expr), text };
    for (const key of keys.slice(0, MAX_KEYS)) {
      await this.#store.noteSibling(inputName(expr.op, key), sibling);
    }
  }
}

const none: readonly Expr[] = [];

/** The name of the file for an operator's results over an input. */
function inputName(op: OpDef, key: Expr): string {
  return createHash('sha256')
    .update(`siblings\n${op.name}@${op.version}\n${lineageKey(key)}`)
    .digest('hex');
}

/** `[key, rows, cols, dtype]` of a leaf, or `[operator, version, attributes, operands..]`. */
type Form = readonly LineageValue[];

const MAX_DEPTH = 4;
const MAX_NODES = 256;
const KEY = /^[0-9a-f]{64}$/;

/** The form of a result; undefined when it takes more than a few hundred nodes. */
export function siblingForm(expr: Expr): string | undefined {
  let nodes = 0;
  const formOf = (node: Expr, depth: number): Form | undefined => {
    if (++nodes > MAX_NODES) return undefined;
    const isOpen = depth === 0 || (depth <= MAX_DEPTH && node.op.isSeenThrough);
    if (!isOpen) return [lineageKey(node), node.rows, node.cols, node.dtype];
    const inputs: Form[] = [];
    for (const input of node.inputs) {
      const form = formOf(input, depth + 1);
      if (form === undefined) return undefined;
      inputs.push(form);
    }
    const attrs = node.attrs === noAttrs ? null : toJson(node.attrs);
    return [node.op.name, node.op.version, attrs, ...inputs];
  };
  const form = formOf(expr, 0);
  return form && JSON.stringify(form);
}

/** Nodes by key: what forms are made over where it is the same. */
export function nodesByKey(exprs: readonly Expr[]): Map<string, Expr> {
  const known = new Map<string, Expr>();
  const isLeaf = (expr: Expr): boolean => !expr.op.isSeenThrough;
  for (const expr of topological(exprs, isLeaf)) known.set(lineageKey(expr), expr);
  return known;
}

/** The node of a form; undefined if damaged, of another version, or not stored under `key`. */
export function siblingNode(
  key: string,
  text: string,
  known: ReadonlyMap<string, Expr>,
  interner: NodeMaker,
): Expr | undefined {
  let nodes = 0;
  const make = (form: Form, depth: number): Expr => {
    if (!Array.isArray(form) || ++nodes > MAX_NODES || depth > MAX_DEPTH + 1) throw notAForm;
    const [name, second, third = null, ...inputs] = form;
    if (typeof name !== 'string') throw notAForm;
    if (KEY.test(name)) {
      return known.get(name) ?? standIn(name, form, interner);
    }
    const op = opByName(name);
    if (op === undefined || op.version !== second) throw notAForm;
    const attrs = third === null ? noAttrs : (fromJson(third) as Attrs);
    return interner.intern(
      op,
      inputs.map((input) => make(input as Form, depth + 1)),
      attrs,
    );
  };
  try {
    const expr = make(JSON.parse(text) as Form, 0);
    return lineageKey(expr) === key ? expr : undefined;
  } catch {
    // A hint that can't be read is no hint.
    return undefined;
  }
}

const notAForm = new Error('not the form of a result');

/** A leaf with only a key: rules evaluate operands of cached nodes only if the plan has them. */
function standIn(key: string, form: Form, interner: NodeMaker): Expr {
  const [rows, cols] = [Number(form[1]), Number(form[2])];
  const dtype = dtypeAttr(checkedDType('literal', form[3]));
  const leaf = interner.intern(ops.literal, [], { rows, cols, key: `stored:${key}`, ...dtype });
  leaf.lineage ??= key;
  return leaf;
}
