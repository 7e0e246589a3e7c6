/**
 * Runs plan rules: a node that has no value but whose parts have becomes an expression over the
 * parts and a compensation. From the roots down. Invariants: a proposal is accepted only if all it
 * builds on is cached and what it adds costs clearly less than the node; each new node that stands
 * for one of the program is listed with it, so that its value is kept under the node the program
 * knows.
 */
import { denseBytes, type Expr, type NodeMaker } from '../ir/expr.js';
import type { OpDef } from '../ir/op-def.js';
import type { AnswerCost, PlanContext, PlanRule, Proposal } from './plan-rule.js';
import {
  findLookups,
  LOOK_UP_LAST,
  type LookupOptions,
  type Lookups,
} from './plan-rules/look-up-last.js';
import { verifyRewrite } from './run-rules.js';

export interface PartialReuseOptions {
  /** True for nodes whose value exists or is being computed; nothing below them is looked at. */
  readonly isThere: (expr: Expr) => boolean;
  readonly isCached: PlanContext['isCached'];
  readonly siblings: PlanContext['siblings'];
  /** Expected time of one node. @units seconds */
  readonly estimate: (expr: Expr) => number;
  /** Nodes expected to take less are skipped: searching costs more. Default 0. @units seconds */
  readonly minSeconds?: number;
  /** What is new may cost this share of the node it replaces. Default 0.75: estimates are rough. */
  readonly maxRatio?: number;
  /** Results larger than this are not put together on the host. Default: no limit. @units bytes */
  readonly maxBytes?: number;
  /** Absent: rows are looked up where the program looks them up. */
  readonly lookups?: LookupOptions;
  /** Checks shape and determinism of each rewrite. */
  readonly verify?: boolean;
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
  readonly lookups?: Lookups | undefined;
}

/** Rewrites of one plan at most; a plan with more is built so that looking further does not pay. */
const MAX_ANSWERS = 4096;
/** Planning and bookkeeping of one more node. @units seconds */
const NODE_SECONDS = 5e-6;

/** Rules by the operators they answer. */
export type PlanRuleTable = ReadonlyMap<OpDef, readonly PlanRule[]>;

export function planRuleTable(rules: readonly PlanRule[]): PlanRuleTable {
  const table = new Map<OpDef, PlanRule[]>();
  for (const rule of rules) {
    for (const op of rule.ops) {
      const row = table.get(op);
      if (row === undefined) table.set(op, [rule]);
      else row.push(rule);
    }
  }
  return table;
}

/** The rules to try at this node; cheap, so that plans without such nodes skip the pass. */
export function rulesFor(
  expr: Expr,
  table: PlanRuleTable,
  { estimate, minSeconds = 0 }: PartialReuseOptions,
): readonly PlanRule[] {
  const rules = expr.isDeterministic ? table.get(expr.op) : undefined;
  if (rules === undefined) return [];
  const isQuick = minSeconds > 0 && estimate(expr) < minSeconds;
  if (!isQuick && expr.readsFiles) return rules;
  return rules.filter(({ savesReading }) => (savesReading ? expr.readsFiles : !isQuick));
}

/**
 * Rewrites what can be answered from cached parts. Returns the same roots where nothing can.
 * @param missing what the plan computes, inputs before consumers; for `lookups`
 */
export function runPlanRules(
  roots: readonly Expr[],
  maker: NodeMaker,
  table: PlanRuleTable,
  options: PartialReuseOptions,
  missing: readonly Expr[] = [],
): PartialReuse {
  return new PlanRuleRun(roots, maker, table, options).run(missing);
}

interface Frame {
  readonly original: Expr;
  readonly form: Expr;
  readonly answer: PartialAnswer | undefined;
  next: number;
}

class PlanRuleRun {
  readonly #options: PartialReuseOptions;
  readonly #table: PlanRuleTable;
  readonly #context: PlanContext;
  readonly #final = new Map<Expr, Expr>();
  readonly #originals = new Map<Expr, Expr[]>();
  readonly #answers = new Map<Expr, PartialAnswer>();
  /** Made by a rule; answering these again could go round in circles. */
  readonly #made = new Set<Expr>();
  #lookups: Lookups | undefined;

  constructor(
    roots: readonly Expr[],
    maker: NodeMaker,
    table: PlanRuleTable,
    options: PartialReuseOptions,
  ) {
    const { isThere, isCached, siblings, estimate, maxRatio = 0.75, minSeconds = 0 } = options;
    this.#options = options;
    this.#table = table;
    const found = new Map<unknown, unknown>();
    this.#context = {
      intern: (op, inputs, attrs, payload) => maker.intern(op, inputs, attrs, payload),
      roots,
      isThere,
      isCached,
      siblings,
      estimate: (expr) => estimate(expr) + NODE_SECONDS,
      maxRatio,
      minSeconds,
      ofPlan: <T>(analysis: (context: PlanContext) => T): T => {
        if (!found.has(analysis)) found.set(analysis, analysis(this.#context));
        return found.get(analysis) as T;
      },
    };
  }

  run(missing: readonly Expr[]): PartialReuse {
    const { roots } = this.#context;
    const { lookups } = this.#options;
    if (lookups !== undefined) this.#lookups = findLookups(missing, this.#context, lookups);
    for (const root of roots) this.#walk(root);
    return {
      roots: roots.map((root) => this.#final.get(root)!),
      originals: this.#originals,
      answers: this.#answers,
      lookups: this.#lookups,
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

  /** The first proposal that pays; of one that the plan shares and a later one, the cheaper. */
  #answer(original: Expr): { expr: Expr; answer: PartialAnswer } | undefined {
    if (this.#made.has(original) || this.#answers.size >= MAX_ANSWERS) return undefined;
    const looked = this.#lookups?.answers.get(original);
    if (looked !== undefined) {
      if (this.#options.verify) verifyRewrite({ name: LOOK_UP_LAST }, original, looked.expr);
      const { made } = looked.weighed;
      const answer = { original, rule: LOOK_UP_LAST, uses: looked.uses, compensation: made };
      return { expr: looked.expr, answer };
    }
    let best: { rule: string; proposal: Proposal; made: readonly Expr[] } | undefined;
    let limit = Number.POSITIVE_INFINITY;
    for (const rule of rulesFor(original, this.#table, this.#options)) {
      const proposal = rule.apply(original, this.#context);
      if (proposal === undefined) continue;
      if (this.#options.verify) verifyRewrite(rule, original, proposal.expr);
      const { made, seconds } = proposal.weighed ?? this.#weigh(original, proposal);
      if (seconds > limit) break;
      if (seconds === Number.POSITIVE_INFINITY) continue;
      best = { rule: rule.name, proposal, made };
      if (proposal.weighed === undefined || seconds === 0) break;
      limit = seconds;
    }
    if (best === undefined) return undefined;
    const { rule, proposal, made } = best;
    if (proposal.weighed === undefined) for (const expr of made) this.#made.add(expr);
    const answer = { original, rule, uses: proposal.uses, compensation: made };
    return { expr: proposal.expr, answer };
  }

  /** The nodes to compute for a proposal beyond those the original needs as well. */
  #added(original: Expr, proposal: Proposal): Expr[] {
    const known = partsBelow(original);
    for (const expr of proposal.uses) known.add(expr);
    const added = new Set<Expr>();
    const stack = [proposal.expr];
    while (stack.length > 0) {
      const expr = stack.pop()!;
      if (known.has(expr) || added.has(expr) || this.#options.isThere(expr)) continue;
      added.add(expr);
      for (const input of expr.inputs) stack.push(input);
    }
    return [...added];
  }

  /**
   * What is new, and its expected seconds; infinite where it does not pay. Counts the node alone
   * against all that is new, so that it holds even where everything below is needed anyway.
   */
  #weigh(original: Expr, proposal: Proposal): AnswerCost {
    const { maxBytes = Number.POSITIVE_INFINITY } = this.#options;
    const { estimate, maxRatio } = this.#context;
    const made = this.#added(original, proposal);
    const isTooDear = made.includes(original) || denseBytes(original) > maxBytes;
    const limit = isTooDear ? -1 : maxRatio * estimate(original);
    const seconds = made.reduce((sum, expr) => sum + estimate(expr), 0);
    return { made, seconds: seconds > limit ? Number.POSITIVE_INFINITY : seconds };
  }
}

/** What a rule may build on: the node's operands, seen through what only moves cells. */
function partsBelow(original: Expr): Set<Expr> {
  const seen = new Set<Expr>();
  const stack = [...original.inputs];
  while (stack.length > 0) {
    const expr = stack.pop()!;
    if (seen.has(expr)) continue;
    seen.add(expr);
    if (expr.op.work !== 'move') continue;
    for (const input of expr.inputs) stack.push(input);
  }
  return seen;
}
