/**
 * Runs rewrite rules over a plan: traversal, fixpoint, cycle detection, verification and tracing,
 * none of which a rule does itself. Invariant: a node is rewritten once per memo, its result is a
 * fixpoint of the rules, and shape and determinism never change (checked after each rule when
 * `verify` is set). Iterative, so depth is no limit.
 */
import { InternalError } from '../errors.js';
import { type Expr, type NodeMaker, shapeText, topological } from '../ir/expr.js';
import type { OpDef } from '../ir/op-def.js';
import type { Rule, RuleContext } from './rule.js';

/** Where results are kept: on the nodes, where a look finds them, or beside them. */
export interface RuleResults {
  get(expr: Expr): Expr | undefined;
  set(expr: Expr, simplified: Expr): void;
}

/** On the nodes themselves; for the one rule list of the session. */
export const nodeMemo: RuleResults = {
  get: (expr) => expr.simplified,
  set: (expr, simplified) => {
    expr.simplified = simplified;
  },
};

export interface RunRulesOptions {
  readonly memo?: RuleResults;
  /** Checks each rule's result. */
  readonly verify?: boolean;
  /** Called after each rule that changed the plan, with the plan's roots as they now stand. */
  readonly onRule?: (rule: string, roots: readonly Expr[]) => void;
}

/** Rewrites of one node in a row; a list of sensible rules needs a handful. */
const MAX_REWRITES = 64;

/** Rules by the operator they start from, in list order. */
export type RuleTable = ReadonlyMap<OpDef, { readonly down: Rule[]; readonly up: Rule[] }>;

export function ruleTable(rules: readonly Rule[]): RuleTable {
  const table = new Map<OpDef, { down: Rule[]; up: Rule[] }>();
  for (const rule of rules) {
    for (const op of rule.ops) {
      let row = table.get(op);
      if (row === undefined) {
        row = { down: [], up: [] };
        table.set(op, row);
      }
      row[rule.direction].push(rule);
    }
  }
  return table;
}

/** A node being simplified: its current form, which input comes next, and the forms it has had. */
interface Frame {
  readonly original: Expr;
  current: Expr;
  next: number;
  forms: Set<Expr> | undefined;
  fired: string[] | undefined;
}

/**
 * The roots after all rules, in the same order.
 * @throws InternalError naming the rule that threw, changed a shape, or went round in a circle
 */
export function runRules(
  roots: readonly Expr[],
  maker: NodeMaker,
  table: RuleTable,
  options: RunRulesOptions = {},
): Expr[] {
  const memo = options.memo ?? new Map<Expr, Expr>();
  const run = new RuleRun(roots, maker, table, memo, options);
  return roots.map((root, i) => {
    const known = memo.get(root);
    const simplified = known ?? run.simplify(root);
    run.settleRoot(i, simplified);
    return simplified;
  });
}

class RuleRun {
  readonly #roots: Expr[];
  readonly #table: RuleTable;
  readonly #memo: RuleResults;
  readonly #verify: boolean;
  readonly #onRule: RunRulesOptions['onRule'];
  readonly #context: RuleContext;
  readonly #maker: NodeMaker;
  /** Rewrites of this run, for printing the whole plan while it is being traced. */
  readonly #rewritten = new Map<Expr, Expr>();
  #uses: Map<Expr, number> | undefined;
  /** Nodes on the way down; meeting one again means that rules built a node on top of itself. */
  readonly #active = new Map<Expr, Frame>();

  constructor(
    roots: readonly Expr[],
    maker: NodeMaker,
    table: RuleTable,
    memo: RuleResults,
    options: RunRulesOptions,
  ) {
    this.#roots = [...roots];
    this.#maker = maker;
    this.#table = table;
    this.#memo = memo;
    this.#verify = options.verify ?? false;
    this.#onRule = options.onRule;
    this.#context = {
      intern: (op, inputs, attrs, payload) => maker.intern(op, inputs, attrs, payload),
      isShared: (expr) => this.#isShared(expr),
    };
  }

  settleRoot(index: number, simplified: Expr): void {
    this.#roots[index] = simplified;
  }

  simplify(root: Expr): Expr {
    const stack: Frame[] = [this.#enter(root)];
    for (;;) {
      const frame = stack[stack.length - 1]!;
      const { inputs } = frame.current;
      let below: Expr | undefined;
      while (frame.next < inputs.length) {
        const input = inputs[frame.next]!;
        if (this.#memo.get(input) === undefined) {
          below = input;
          break;
        }
        frame.next++;
      }
      if (below !== undefined) {
        stack.push(this.#enter(below));
        continue;
      }
      if (!this.#leave(frame)) continue;
      stack.pop();
      if (stack.length === 0) return frame.current;
    }
  }

  #enter(expr: Expr): Frame {
    const above = this.#active.get(expr);
    if (above !== undefined) throw circleError(above);
    const frame: Frame = {
      original: expr,
      current: expr,
      next: 0,
      forms: undefined,
      fired: undefined,
    };
    this.#active.set(expr, frame);
    this.#fireAll(frame, 'down');
    return frame;
  }

  /** With all inputs simplified: rebuilds, applies `up` rules. True when the node is final. */
  #leave(frame: Frame): boolean {
    const { current } = frame;
    const { inputs } = current;
    let rebuilt: Expr[] | undefined;
    for (let i = 0; i < inputs.length; i++) {
      const simplified = this.#memo.get(inputs[i]!)!;
      if (simplified === inputs[i]) continue;
      rebuilt ??= [...inputs];
      rebuilt[i] = simplified;
    }
    if (rebuilt !== undefined) {
      frame.current = this.#maker.intern(current.op, rebuilt, current.attrs, current.payload);
      this.#note(current, frame.current);
    }
    const known = this.#memo.get(frame.current);
    if (known !== undefined) {
      frame.current = known;
      return this.#finish(frame);
    }
    if (this.#fireOne(frame, 'up')) {
      // The result may have new inputs and other rules; it goes round again as if just entered.
      frame.next = 0;
      this.#fireAll(frame, 'down');
      return false;
    }
    return this.#finish(frame);
  }

  #finish(frame: Frame): true {
    this.#active.delete(frame.original);
    this.#memo.set(frame.original, frame.current);
    this.#memo.set(frame.current, frame.current);
    return true;
  }

  #fireAll(frame: Frame, direction: 'up' | 'down'): void {
    while (this.#fireOne(frame, direction));
  }

  #fireOne(frame: Frame, direction: 'up' | 'down'): boolean {
    const rules = this.#table.get(frame.current.op)?.[direction];
    if (rules === undefined) return false;
    for (const rule of rules) {
      const before = frame.current;
      const after = this.#apply(rule, before);
      if (after === undefined || after === before) continue;
      if (this.#verify) verifyRewrite(rule, before, after);
      this.#guardCircle(frame, rule, after);
      frame.current = after;
      if (this.#onRule) {
        this.#note(before, after);
        this.#onRule(rule.name, this.#currentRoots());
      }
      return true;
    }
    return false;
  }

  #apply(rule: Rule, expr: Expr): Expr | undefined {
    try {
      return rule.apply(expr, this.#context);
    } catch (cause) {
      throw new InternalError(
        `${rule.name}: expected a rewrite of ${expr.op.name} ${shapeText(expr)}, got ${String(cause)}`,
        { rule: rule.name },
        { cause },
      );
    }
  }

  #guardCircle(frame: Frame, rule: Rule, after: Expr): void {
    frame.forms ??= new Set([frame.original]);
    frame.fired ??= [];
    frame.fired.push(rule.name);
    if (frame.forms.has(after) || frame.fired.length > MAX_REWRITES) throw circleError(frame);
    frame.forms.add(after);
  }

  /** Counted once per run and only if a rule asks, since it walks the plan. */
  #isShared(expr: Expr): boolean {
    if (this.#memo.get(expr) !== undefined || expr.simplified !== undefined) return true;
    if (this.#uses === undefined) {
      this.#uses = new Map();
      for (const root of this.#roots) this.#uses.set(root, (this.#uses.get(root) ?? 0) + 1);
      const order = topological(this.#roots, (node) => this.#memo.get(node) !== undefined);
      for (const node of order) {
        for (const input of node.inputs) this.#uses.set(input, (this.#uses.get(input) ?? 0) + 1);
      }
    }
    return (this.#uses.get(expr) ?? 0) > 1;
  }

  #note(before: Expr, after: Expr): void {
    if (this.#onRule) this.#rewritten.set(before, after);
  }

  /** The roots with every rewrite so far put in. Only for tracing. */
  #currentRoots(): Expr[] {
    const latest = (expr: Expr): Expr => {
      let node = expr;
      for (let next = this.#rewritten.get(node); next !== undefined; ) {
        node = next;
        next = this.#rewritten.get(node);
      }
      return node;
    };
    const built = new Map<Expr, Expr>();
    const stack = this.#roots.map(latest);
    while (stack.length > 0) {
      const node = stack[stack.length - 1]!;
      if (built.has(node)) {
        stack.pop();
        continue;
      }
      const inputs = node.inputs.map(latest);
      const missing = inputs.filter((input) => !built.has(input));
      if (missing.length > 0) {
        stack.push(...missing);
        continue;
      }
      stack.pop();
      const rebuilt = inputs.map((input) => built.get(input)!);
      const same = rebuilt.every((input, i) => input === node.inputs[i]);
      built.set(node, same ? node : this.#maker.intern(node.op, rebuilt, node.attrs, node.payload));
    }
    return this.#roots.map((root) => built.get(latest(root))!);
  }
}

function circleError(frame: Frame): InternalError {
  const rules = frame.fired ?? [];
  return new InternalError(
    `simplify: expected rules to end, got a circle at ${frame.original.op.name}: ${rules.join(', ')}`,
    { rules },
  );
}

/** @throws InternalError if a rewrite changes shape or dtype or adds a non-deterministic step */
export function verifyRewrite(rule: { readonly name: string }, before: Expr, after: Expr): void {
  if (after.rows !== before.rows || after.cols !== before.cols) {
    throw new InternalError(
      `${rule.name}: expected ${shapeText(before)} to stay, got ${shapeText(after)}`,
      { rule: rule.name },
    );
  }
  if (after.dtype !== before.dtype) {
    throw new InternalError(`${rule.name}: expected ${before.dtype} to stay, got ${after.dtype}`, {
      rule: rule.name,
    });
  }
  // Dropping a non-deterministic input is fine (x * 0 is not a rule); bringing one in is not.
  if (before.isDeterministic && !after.isDeterministic) {
    throw new InternalError(`${rule.name}: expected a deterministic node, got one that is not`, {
      rule: rule.name,
    });
  }
}
