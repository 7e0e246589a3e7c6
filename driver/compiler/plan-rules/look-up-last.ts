/**
 * Looks rows up in what is made of a table, rather than making it of rows looked up:
 * f(T[g,]) = f(T)[g,] for f that works row by row, such as a network over the vectors of words. Each
 * row of T is then worked on once, however often it occurs and in whatever batches: f(T) has the
 * lineage of the table and of the map, and not of any batch. Invariant: an answer is made where it
 * saves time by what was spent so far, so a batch that asks for a few rows of a large table pays for
 * these alone, and all batches together at most what they take by themselves and f(T) once. Sources:
 * Chen et al., "Towards Linear Algebra over Normalized Data" (VLDB 2017) for the algebra; renting
 * until buying has paid, Karlin et al., "Competitive Snoopy Caching" (Algorithmica 1988).
 */
import { denseBytes, type Expr, topological } from '../../ir/expr.js';
import { isLeafValue, leafValue } from '../../ir/leaf-value.js';
import { ops } from '../../operators/index.js';
import { forgetOldest } from '../../support/forget-oldest.js';
import type { AnswerCost, PlanContext, Proposal } from '../plan-rule.js';

/** Maps over tables whose batches are added up. */
const MAX_TABLES = 32;

/** Name of what `findLookups` does, as rules have one. */
export const LOOK_UP_LAST = 'look-up-last';

/** What plans of a session spent on rows that were looked up, by the map over the whole table. */
export class LookupHistory {
  readonly #spent = new Map<Expr, number>();

  /** @units seconds */
  spent(whole: Expr): number {
    return this.#spent.get(whole) ?? 0;
  }

  /** A plan runs: what is made by itself, and what is looked up from now on. */
  note({ direct, wholes }: Pick<Lookups, 'direct' | 'wholes'>): void {
    for (const [whole, seconds] of direct) {
      const sum = this.spent(whole) + seconds;
      this.#spent.delete(whole);
      this.#spent.set(whole, sum);
    }
    for (const whole of wholes) this.#spent.delete(whole);
    forgetOldest(this.#spent, MAX_TABLES);
  }
}

export interface LookupOptions {
  readonly history: Pick<LookupHistory, 'spent'>;
  /** Nothing larger is made of a table for a few of its rows. @units bytes */
  readonly maxBytes: number;
}

export type LookupProposal = Proposal & { readonly weighed: AnswerCost };

export interface Lookups {
  /** By the node that is answered. */
  readonly answers: ReadonlyMap<Expr, LookupProposal>;
  /** Made of rows that are looked up, by what it would be over the table. @units seconds */
  readonly direct: ReadonlyMap<Expr, number>;
  /** Maps over tables that answers read; later plans look up in them too. */
  readonly wholes: ReadonlySet<Expr>;
}

/** A node that is rows `g` of `whole`. */
interface Form {
  readonly g: Expr;
  readonly whole: Expr;
}

/** All that would be looked up in one map over a table. */
interface Group {
  readonly nodes: Expr[];
  seconds: number;
}

/**
 * What of a plan is to be looked up in maps over tables; undefined for a plan that looks up nothing.
 * @param missing what the plan computes, inputs before consumers
 */
export function findLookups(
  missing: readonly Expr[],
  context: PlanContext,
  { history, maxBytes }: LookupOptions,
): Lookups | undefined {
  if (!looksUp(missing)) return undefined;
  const { estimate, isThere, maxRatio } = context;
  const forms = new Map<Expr, Form>();
  for (const expr of missing) {
    const form = formOf(expr, forms, context);
    if (form !== undefined) forms.set(expr, form);
  }
  const answers = new Map<Expr, LookupProposal>();
  const direct = new Map<Expr, number>();
  const wholes = new Set<Expr>();
  const needed = new Set(missing);
  const isNew = (expr: Expr): boolean => !needed.has(expr) && !isThere(expr);
  for (const [whole, { nodes, seconds }] of groupsOf(missing, forms, context)) {
    const isMade = isThere(whole);
    const made = isMade ? [] : topological([whole], isThere).filter(isNew);
    const taken = nodes.map((node) => context.intern(ops.takeRows, [forms.get(node)!.g, whole]));
    const cost = [...made, ...taken].reduce((sum, expr) => sum + estimate(expr), 0);
    // Never larger than what the plan makes by itself of more rows than the table has.
    const rows = nodes.reduce((sum, node) => sum + node.rows, 0);
    const isLarge = rows < whole.rows && made.some((expr) => denseBytes(expr) > maxBytes);
    if (isLarge || cost > maxRatio * (history.spent(whole) + seconds)) {
      direct.set(whole, seconds);
      continue;
    }
    wholes.add(whole);
    for (const [i, node] of nodes.entries()) {
      const weighed = { made: [...made, taken[i]!], seconds: cost / nodes.length };
      answers.set(node, { expr: taken[i]!, uses: isMade ? [whole] : [], weighed });
    }
  }
  return { answers, direct, wholes };
}

/** Cheap, so that plans which look up nothing are not searched. */
export function looksUp(missing: readonly Expr[]): boolean {
  return missing.some(({ op }) => op === ops.takeRows);
}

/** A node as rows of something made of a whole table; undefined where it is more than that. */
function formOf(
  expr: Expr,
  forms: ReadonlyMap<Expr, Form>,
  { isThere, intern }: PlanContext,
): Form | undefined {
  const { op, inputs, attrs } = expr;
  if (!expr.isDeterministic) return undefined;
  if (op === ops.takeRows && !forms.has(inputs[0]!)) {
    const [g, table] = inputs as [Expr, Expr];
    if (table.readsFiles || !isThere(table) || !namesRows(g, table.rows)) return undefined;
    return { g, whole: table };
  }
  const taken = takenByRows(expr);
  const first = inputs.find((input, i) => taken[i] && forms.has(input));
  const one = first && forms.get(first)!;
  if (one?.g.rows !== expr.rows) return undefined;
  const { g, whole } = one;
  const over = [...inputs];
  for (const [i, input] of inputs.entries()) {
    if (!taken[i]) continue;
    const form = forms.get(input);
    if (form?.g === g && form.whole.rows === whole.rows) over[i] = form.whole;
    // One row beside one row: it is stretched over as many as there are.
    else if (form !== undefined || !op.elementwise || input.rows > 1) return undefined;
  }
  return { g, whole: intern(op, over, attrs, expr.payload) };
}

/** The operands of which row i of the result needs row i alone; none where it needs more. */
function takenByRows({ op, inputs, attrs, rows }: Expr): readonly boolean[] {
  // By its row rule, cell by cell over single rows is `whole`.
  if (op.elementwise) return inputs.map((input) => input.rows === rows);
  const rule = op.rowRule(inputs, attrs);
  return rule.kind === 'map' && !op.numbersRows ? rule.blocked : [];
}

/** What could be looked up at the last, by the map over the table: no node that only a form reads. */
function groupsOf(
  missing: readonly Expr[],
  forms: ReadonlyMap<Expr, Form>,
  { roots, estimate }: PlanContext,
): Map<Expr, Group> {
  const ends = new Set(roots.filter((root) => forms.has(root)));
  for (const expr of missing) {
    const over = forms.get(expr)?.whole.inputs;
    for (const input of expr.inputs) {
      const form = forms.get(input);
      if (form !== undefined && !over?.includes(form.whole)) ends.add(input);
    }
  }
  const groups = new Map<Expr, Group>();
  for (const end of ends) {
    const { g, whole } = forms.get(end)!;
    const region = topological([end], (expr) => forms.get(expr)?.g !== g).filter(
      (expr) => forms.get(expr)?.g === g,
    );
    // Cheaper maps run at the speed of memory, as looking up does.
    if (!region.some(({ op }) => op.work === 'product')) continue;
    const group = groups.get(whole) ?? { nodes: [], seconds: 0 };
    groups.set(whole, group);
    group.nodes.push(end);
    for (const expr of region) group.seconds += estimate(expr);
  }
  return groups;
}

const spans = new WeakMap<Expr, readonly [least: number, most: number]>();

/**
 * Whether all are numbers of rows, as far as that is known before a plan runs: of others `takeRows`
 * makes zeros, and a map makes something else of these.
 */
function namesRows(g: Expr, rows: number): boolean {
  let leaf = g;
  // What only moves cells has no others, but for zeros.
  while (leaf.op.work === 'move' && leaf.inputs.length === 1) leaf = leaf.inputs[0]!;
  let span = spans.get(leaf);
  if (span === undefined) {
    span = spanOf(leaf);
    spans.set(leaf, span);
  }
  return span[0] >= 0 && span[1] < rows;
}

/** Least and greatest of the cells of a leaf; none where they are not known, or not all numbers. */
function spanOf(leaf: Expr): readonly [number, number] {
  const none = [Number.NaN, Number.NaN] as const;
  const same = leaf.op.constant?.(leaf.attrs);
  if (same !== undefined) return [same, same];
  const value = isLeafValue(leaf) ? leafValue(leaf) : undefined;
  if (value?.kind !== 'dense') return none;
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const cell of value.data) {
    if (Number.isNaN(cell)) return none;
    if (cell < least) least = cell;
    if (cell > most) most = cell;
  }
  return [least, most];
}
