/**
 * The partial-reuse pass: a node that is not cached but whose parts are becomes an expression over
 * the parts and a compensation. It runs after `simplify` and before placement, from the roots down.
 * Invariants: a proposal is accepted only if all it builds on is cached and what it adds costs
 * clearly less than the node; each new node that stands for one of the program is listed with it,
 * so that its value is kept under the node the program knows. Rules: `partial-rules/`.
 */
import type { Expr } from '../ir/expr.js';
import type { OpDef } from '../ir/op-def.js';
import { ops } from '../operators/index.js';
import { borderGram } from './partial-rules/border-gram.js';
import { borderGroupGram } from './partial-rules/border-group-gram.js';
import { boundBelow, columnKey } from './partial-rules/columns.js';
import { joinColumnParts } from './partial-rules/join-column-parts.js';
import { joinGroupLosses } from './partial-rules/join-group-losses.js';
import { joinProductColumns } from './partial-rules/join-product-columns.js';
import {
  type FileAnswer,
  MERGE_FILE_PARTS,
  mergeFileParts,
} from './partial-rules/merge-file-parts.js';
import { mergeRankings } from './partial-rules/merge-rankings.js';
import { mergeRowParts } from './partial-rules/merge-row-parts.js';
import type { PartialContext, PartialRewrite, PartialRule } from './partial-rules/partial-rule.js';
import { firstPart, partsOf } from './partial-rules/parts.js';
import { rowKey } from './partial-rules/rows.js';
import { selectGroupGram } from './partial-rules/select-group-gram.js';
import {
  type FoldSum,
  isFoldSum,
  SHARE_FOLD_SUMS,
  shareFoldSums,
} from './partial-rules/share-fold-sums.js';
import { sliceWholeResult } from './partial-rules/slice-whole-result.js';
import { stackColumnProducts } from './partial-rules/stack-column-products.js';
import { stackRowParts } from './partial-rules/stack-row-parts.js';
import type { NodeMaker } from './rule.js';
import { verifyRewrite } from './run-rules.js';

/** In the order they are tried at a node; the first proposal that pays is taken. */
export const partialRules: readonly PartialRule[] = [
  // Those that compute nothing when they fit come first.
  joinGroupLosses,
  joinProductColumns,
  stackColumnProducts,
  sliceWholeResult,
  selectGroupGram,
  mergeRankings,
  mergeRowParts,
  borderGram,
  borderGroupGram,
  stackRowParts,
  joinColumnParts,
];

export interface PartialReuseOptions {
  /** True for nodes whose value exists or is being computed; nothing below them is looked at. */
  readonly isThere: (expr: Expr) => boolean;
  readonly isCached: PartialContext['isCached'];
  readonly siblings: PartialContext['siblings'];
  /** Expected time of one node. @units seconds */
  readonly estimate: (expr: Expr) => number;
  /** Nodes expected to take less are not looked at: finding an answer would cost more. Default 0. @units seconds */
  readonly minSeconds?: number;
  /** What is new may cost this share of the node it replaces. Default 0.75: estimates are rough. */
  readonly maxRatio?: number;
  /** Results larger than this are not put together on the host. Default: no limit. @units bytes */
  readonly maxBytes?: number;
  /** Checks shape and determinism of each rewrite. */
  readonly verify?: boolean;
  readonly rules?: readonly PartialRule[];
  /** Whether sums over rows that several nodes share are computed once. Default: true when all rules are tried. */
  readonly foldSums?: boolean;
  /** Whether results over many files are answered from those over single ones. Default: when all rules are tried. */
  readonly fileParts?: boolean;
}

/** One node answered from cached parts. */
export interface PartialAnswer {
  readonly original: Expr;
  readonly rule: string;
  readonly uses: readonly Expr[];
  /** Nodes computed only for this answer, as the rule made them. */
  readonly compensation: readonly Expr[];
}

export interface PartialReuse {
  /** Roots equal to those given, in the same order. */
  readonly roots: readonly Expr[];
  /** For each new node that stands for nodes of the program: those nodes. */
  readonly originals: ReadonlyMap<Expr, readonly Expr[]>;
  /** By the new node. */
  readonly answers: ReadonlyMap<Expr, PartialAnswer>;
}

/** For sessions: faster results are computed whole, since looking for their parts takes as long. @units seconds */
export const MIN_PARTIAL_SECONDS = 2e-4;

/** Rewrites of one plan at most; a plan with more is built so that looking further does not pay. */
const MAX_ANSWERS = 4096;
/** Planning and bookkeeping of one more node. @units seconds */
const NODE_SECONDS = 5e-6;

/** Inputs under which a cached node can be found by `siblings`; none for operators too cheap to index. */
export function siblingKeys(expr: Expr): readonly Expr[] {
  return keysOf.get(expr.op)?.(expr) ?? none;
}

const none: readonly Expr[] = [];
const MAX_KEYS = 64;
/** Aggregates of smaller operands are computed sooner than found. @units cells */
const MIN_AGGREGATE_CELLS = 1 << 17;
const rowsKey = (expr: Expr): Expr => rowKey(firstPart(expr, 'rows'));
const byFirst = (expr: Expr): readonly Expr[] => [rowsKey(expr.inputs[0]!)];
const columnKeys = (x: Expr): readonly Expr[] =>
  partsOf(boundBelow(x) ?? x, 'cols')
    .slice(0, MAX_KEYS)
    .map(columnKey);
const ofLarge = (expr: Expr): readonly Expr[] => {
  const x = expr.inputs[0]!;
  if (x.rows * x.cols < MIN_AGGREGATE_CELLS) return none;
  return unique([rowsKey(x), ...columnKeys(x)]);
};
const keysOf: ReadonlyMap<OpDef, (expr: Expr) => readonly Expr[]> = new Map([
  [
    ops.tsmm,
    (expr: Expr) => {
      const x = expr.inputs[0]!;
      return unique([rowsKey(x), x, ...columnKeys(x)]);
    },
  ],
  [
    ops.matmul,
    (expr: Expr) => {
      const x = expr.inputs[0]!;
      // Products with the columns of X, rather than with its rows, are found by what these are
      // columns of.
      const columns = expr.attrs.transposeA === true ? columnKeys(x) : none;
      return unique([x, rowsKey(x), ...columns]);
    },
  ],
  [ops.mmchain, byFirst],
  [
    ops.groupGram,
    (expr: Expr) => {
      const columns = expr.inputs.slice(1).flatMap((input) => partsOf(input, 'cols'));
      return unique([...byFirst(expr), ...columns.slice(0, MAX_KEYS).map(columnKey)]);
    },
  ],
  [ops.topK, byFirst],
  [ops.groupLoss, (expr: Expr) => unique([...byFirst(expr), expr.inputs[1]!])],
  [ops.sum, ofLarge],
  [ops.sumSq, ofLarge],
  [ops.colSums, ofLarge],
  [ops.colSumSqs, ofLarge],
  [ops.min, ofLarge],
  [ops.colMins, ofLarge],
  [ops.max, ofLarge],
  [ops.colMaxs, ofLarge],
  [ops.rowSums, ofLarge],
  [ops.rowSumSqs, ofLarge],
]);

function unique(keys: readonly Expr[]): readonly Expr[] {
  return keys.length === 1 ? keys : [...new Set(keys)];
}

type RuleTable = ReadonlyMap<OpDef, readonly PartialRule[]>;

function tableOf(rules: readonly PartialRule[]): RuleTable {
  const table = new Map<OpDef, PartialRule[]>();
  for (const rule of rules) {
    for (const op of rule.ops) {
      const row = table.get(op);
      if (row === undefined) table.set(op, [rule]);
      else row.push(rule);
    }
  }
  return table;
}

const defaultTable = tableOf(partialRules);

/** Whether rules are to be tried at this node at all; cheap, so that small plans skip the pass. */
export function mayBeAnswered(expr: Expr, options: PartialReuseOptions): boolean {
  if (!expr.isDeterministic) return false;
  // However quick the operator itself: what it saves is reading files.
  if (expr.readsFiles && options.fileParts !== false) return true;
  if (!tableIn(options).has(expr.op)) return false;
  const { minSeconds = 0 } = options;
  return minSeconds === 0 || options.estimate(expr) >= minSeconds;
}

const tableIn = ({ rules }: PartialReuseOptions): RuleTable =>
  rules === undefined ? defaultTable : tableOf(rules);

/** Rewrites what can be answered from cached parts. Returns the roots themselves where nothing can. */
export function reusePartially(
  roots: readonly Expr[],
  maker: NodeMaker,
  options: PartialReuseOptions,
): PartialReuse {
  return new PartialRun(maker, options, tableIn(options)).run(roots);
}

interface Frame {
  readonly original: Expr;
  readonly form: Expr;
  readonly answer: PartialAnswer | undefined;
  next: number;
}

class PartialRun {
  readonly #options: PartialReuseOptions;
  readonly #table: RuleTable;
  readonly #context: PartialContext;
  readonly #final = new Map<Expr, Expr>();
  readonly #originals = new Map<Expr, Expr[]>();
  readonly #answers = new Map<Expr, PartialAnswer>();
  /** Made by a rule; answering these again could go round in circles. */
  readonly #made = new Set<Expr>();
  #roots: readonly Expr[] = [];
  #foldSums: ReadonlyMap<Expr, FoldSum> | undefined;
  #fileAnswers: ReadonlyMap<Expr, FileAnswer> | undefined;

  constructor(maker: NodeMaker, options: PartialReuseOptions, table: RuleTable) {
    this.#options = options;
    this.#table = table;
    this.#context = {
      intern: (op, inputs, attrs, payload) => maker.intern(op, inputs, attrs, payload),
      isCached: options.isCached,
      siblings: options.siblings,
    };
  }

  run(roots: readonly Expr[]): PartialReuse {
    this.#roots = roots;
    for (const root of roots) this.#walk(root);
    return {
      roots: roots.map((root) => this.#final.get(root)!),
      originals: this.#originals,
      answers: this.#answers,
    };
  }

  /** Iterative, so depth is no limit. */
  #walk(root: Expr): void {
    if (this.#final.has(root)) return;
    const stack: Frame[] = [];
    this.#enter(root, stack);
    while (stack.length > 0) {
      const frame = stack[stack.length - 1]!;
      const { inputs } = frame.form;
      while (frame.next < inputs.length && this.#final.has(inputs[frame.next]!)) frame.next++;
      if (frame.next < inputs.length) {
        this.#enter(inputs[frame.next]!, stack);
        continue;
      }
      stack.pop();
      this.#leave(frame);
    }
  }

  #enter(original: Expr, stack: Frame[]): void {
    if (original.inputs.length === 0 || this.#options.isThere(original)) {
      this.#final.set(original, original);
      return;
    }
    const found = this.#answer(original);
    stack.push({ original, form: found?.expr ?? original, answer: found?.answer, next: 0 });
  }

  #leave({ original, form, answer }: Frame): void {
    // A proposal may be a cached node itself, or one that was asked for before.
    let final = this.#final.get(form) ?? form;
    if (final === form && !this.#options.isThere(form)) {
      const inputs = form.inputs.map((input) => this.#final.get(input)!);
      if (inputs.some((input, i) => input !== form.inputs[i])) {
        final = this.#context.intern(form.op, inputs, form.attrs, form.payload);
      }
    }
    this.#final.set(original, final);
    if (final === original) return;
    const known = this.#originals.get(final);
    if (known === undefined) this.#originals.set(final, [original]);
    else known.push(original);
    if (answer !== undefined) this.#answers.set(final, answer);
  }

  #answer(original: Expr): { expr: Expr; answer: PartialAnswer } | undefined {
    if (!original.isDeterministic || this.#made.has(original)) return undefined;
    if (this.#answers.size >= MAX_ANSWERS) return undefined;
    const byFile = this.#fileAnswer(original);
    if (byFile !== undefined) {
      for (const expr of byFile.made) this.#made.add(expr);
      const { expr, uses, made } = byFile;
      return { expr, answer: { original, rule: MERGE_FILE_PARTS, uses, compensation: made } };
    }
    const rules = this.#table.get(original.op);
    if (rules === undefined) return undefined;
    const { minSeconds = 0 } = this.#options;
    if (minSeconds > 0 && this.#options.estimate(original) < minSeconds) return undefined;
    const sum = this.#foldSum(original);
    for (const rule of rules) {
      const rewrite = rule.apply(original, this.#context);
      if (rewrite === undefined) continue;
      if (this.#options.verify) verifyRewrite(rule, original, rewrite.expr);
      const compensation = this.#added(original, rewrite);
      const seconds = this.#cost(original, compensation);
      if (compensation.includes(original) || seconds === undefined) continue;
      if (sum !== undefined && sum.seconds < seconds) break;
      for (const expr of compensation) this.#made.add(expr);
      const answer = { original, rule: rule.name, uses: rewrite.uses, compensation };
      return { expr: rewrite.expr, answer };
    }
    if (sum === undefined) return undefined;
    const answer = { original, rule: SHARE_FOLD_SUMS, uses: none, compensation: sum.made };
    return { expr: sum.expr, answer };
  }

  /** The node from results over its files; found for the whole plan when something over files is first asked for. */
  #fileAnswer(original: Expr): FileAnswer | undefined {
    const { rules, fileParts = rules === undefined, estimate, isThere } = this.#options;
    if (!fileParts || !original.readsFiles) return undefined;
    this.#fileAnswers ??= mergeFileParts(this.#roots, this.#context, {
      isThere,
      estimate: (expr) => estimate(expr) + NODE_SECONDS,
      maxRatio: this.#options.maxRatio ?? 0.75,
    });
    return this.#fileAnswers.get(original);
  }

  /** The node as a sum over folds that others share; found for the whole plan when first asked for. */
  #foldSum(original: Expr): FoldSum | undefined {
    const { rules, foldSums = rules === undefined, estimate, isThere } = this.#options;
    if (!foldSums || !isFoldSum(original)) return undefined;
    this.#foldSums ??= shareFoldSums(this.#roots, this.#context, {
      isThere,
      estimate: (expr) => estimate(expr) + NODE_SECONDS,
      maxRatio: this.#options.maxRatio ?? 0.75,
      minSeconds: this.#options.minSeconds ?? 0,
    });
    return this.#foldSums.get(original);
  }

  /** The nodes to compute for a proposal beyond those the original needs as well. */
  #added(original: Expr, rewrite: PartialRewrite): Expr[] {
    const known = partsBelow(original);
    for (const expr of rewrite.uses) known.add(expr);
    const added = new Set<Expr>();
    const stack = [rewrite.expr];
    while (stack.length > 0) {
      const expr = stack.pop()!;
      if (known.has(expr) || added.has(expr) || this.#options.isThere(expr)) continue;
      added.add(expr);
      for (const input of expr.inputs) stack.push(input);
    }
    return [...added];
  }

  /**
   * Expected seconds of what is new, if it pays. Counts the node alone against all that is new, so
   * that it holds even where everything below is needed anyway.
   */
  #cost(original: Expr, added: readonly Expr[]): number | undefined {
    const { estimate, maxRatio = 0.75, maxBytes = Infinity } = this.#options;
    if (original.rows * original.cols * 8 > maxBytes) return undefined;
    const limit = maxRatio * (estimate(original) + NODE_SECONDS);
    let seconds = 0;
    for (const expr of added) {
      seconds += estimate(expr) + NODE_SECONDS;
      if (seconds > limit) return undefined;
    }
    return seconds;
  }
}

/** What a rule may build on: the node's operands, seen through binds and slices. */
function partsBelow(original: Expr): Set<Expr> {
  const seen = new Set<Expr>();
  const stack = [...original.inputs];
  while (stack.length > 0) {
    const expr = stack.pop()!;
    if (seen.has(expr)) continue;
    seen.add(expr);
    if (expr.op !== ops.rbind && expr.op !== ops.cbind && expr.op !== ops.slice) continue;
    for (const input of expr.inputs) stack.push(input);
  }
  return seen;
}
