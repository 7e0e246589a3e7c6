/**
 * What partial-reuse tests need: the pass over a set of nodes declared cached, and a table of tests
 * every rule has: what it makes, what it leaves alone, what it costs, and that values stay, by the
 * reference and by the CPU backend.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Backend } from '../../driver/backend/backend.js';
import { planRules } from '../../driver/compiler/partial-reuse.js';
import type { PlanRule } from '../../driver/compiler/plan-rule.js';
import { siblingKeys } from '../../driver/compiler/plan-rules/find-by.js';
import {
  type PartialReuse,
  type PartialReuseOptions,
  planRuleTable,
  runPlanRules,
} from '../../driver/compiler/run-plan-rules.js';
import { simplify } from '../../driver/compiler/simplify.js';
import type { Evaluator } from '../../driver/ir/evaluator.js';
import type { Expr } from '../../driver/ir/expr.js';
import type { DenseMatrix } from '../../driver/ir/value.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { assertClose } from '../support/close.js';
import { evaluateExpr, formula, type Lazy, referenceEvaluator } from '../support/plan.js';

export interface PartialCase {
  readonly cached: readonly Lazy[];
  readonly target: Lazy;
  readonly names?: Readonly<Record<string, Lazy>>;
}

type Size = (max?: number) => number;
type Session = ReturnType<typeof referenceEvaluator>;

export interface PartialSuite {
  readonly rule: PlanRule;
  /** Rules that answer forms of the same table. */
  readonly others?: readonly PlanRule[];
  /** Tells this table from others of the same rule. */
  readonly what?: string;
  readonly fires: readonly {
    readonly what: string;
    readonly build: (session: Session) => PartialCase;
    readonly becomes: string;
  }[];
  readonly leaves: readonly {
    readonly what: string;
    readonly build: (session: Session) => PartialCase;
  }[];
  /** A plan with the pattern in it whenever it can be. */
  readonly random: (session: Session, size: Size) => PartialCase;
  /** Sizes for which answering from parts costs more than computing. */
  readonly tooDear: (session: Session) => PartialCase;
  /** Sizes for which it pays, by the CPU backend's estimates. */
  readonly pays: (session: Session) => PartialCase;
  readonly tolerance?: number;
}

/** The pass as a session with these nodes cached runs it. */
export function reuse(
  session: Evaluator,
  { cached, target }: PartialCase,
  { rules = planRules, ...options }: Partial<PartialReuseOptions> & { rules?: readonly PlanRule[] },
): PartialReuse {
  const nodes = new Set<Expr>(simplify(exprsOf(cached), session));
  return runPlanRules(simplify([target.expr], session), session, planRuleTable(rules), {
    isThere: (expr) => nodes.has(expr),
    isCached: (expr) => nodes.has(expr),
    siblings: (op, key) =>
      [...nodes].filter((node) => node.op === op && siblingKeys(node).includes(key)),
    estimate: () => 0,
    maxRatio: Number.POSITIVE_INFINITY,
    verify: true,
    ...options,
  });
}

function exprsOf(lazies: readonly Lazy[]): Expr[] {
  return lazies.map((lazy) => lazy.expr);
}

export function testPartialRule(suite: PartialSuite): void {
  const { rule, tolerance = 1e-12 } = suite;
  const rules = [rule, ...(suite.others ?? [])];
  describe(`partial rule ${rule.name}${suite.what ? ` ${suite.what}` : ''}: ${rule.algebra}`, () => {
    let cpu: Backend;
    before(async () => {
      cpu = await createCpuBackend();
    });
    after(() => cpu.close());

    for (const { what, build, becomes } of suite.fires) {
      it(`fires: ${what}`, () => {
        const session = referenceEvaluator();
        const one = build(session);
        const { roots, answers } = reuse(session, one, { rules });
        assert.equal(formula(roots[0]!, one.names ?? {}), becomes);
        assert.ok(answers.size >= 1);
        for (const { uses } of answers.values()) assert.ok(uses.length > 0);
        assertClose(evaluateExpr(roots[0]!), evaluateExpr(one.target.expr), tolerance, what);
      });
    }
    for (const { what, build } of suite.leaves) {
      it(`no-op: ${what}`, () => {
        const session = referenceEvaluator();
        const one = build(session);
        const { roots, answers } = reuse(session, one, { rules });
        assert.equal(answers.size, 0);
        assert.deepEqual(roots, simplify([one.target.expr], session));
      });
    }
    it('is refused where answering costs more than computing, and taken where it pays', () => {
      const estimate = (expr: Expr): number => cpu.estimate(expr).seconds;
      for (const [build, taken] of [[suite.tooDear, 0] as const, [suite.pays, 1] as const]) {
        const session = referenceEvaluator();
        const one = build(session);
        const free = reuse(session, one, { rules });
        assert.ok(free.answers.size >= 1, 'the case does not hold the pattern');
        const { answers } = reuse(session, one, { rules, estimate, maxRatio: 0.75 });
        assert.equal(Math.min(answers.size, 1), taken);
        if (taken === 0) continue;
        const cost = [...answers.values()][0]!;
        const spent = cost.compensation.reduce((sum, expr) => sum + estimate(expr), 0);
        assert.ok(spent < estimate(cost.original), 'the compensation costs more than the node');
      }
    });
    it('keeps values on random shapes, by the reference and by the CPU backend', () => {
      let fired = 0;
      fc.assert(
        fc.property(fc.array(fc.nat(1000), { minLength: 12, maxLength: 12 }), (draws) => {
          let next = 0;
          const size = (max = 5): number => 1 + (draws[next++ % draws.length]! % max);
          const session = referenceEvaluator();
          const one = suite.random(session, size);
          const { roots, answers } = reuse(session, one, { rules });
          if (answers.size > 0) fired++;
          const expected = evaluateExpr(one.target.expr);
          assertClose(evaluateExpr(roots[0]!), expected, tolerance, rule.name);
          assertClose(evaluateBy(cpu, roots[0]!), expected, Math.max(tolerance, 1e-10), 'cpu');
        }),
        { numRuns: 80, seed: 7 },
      );
      assert.ok(fired > 20, `expected most random plans to hold the pattern, got ${fired} of 80`);
    });
  });
}

/** Each node alone through the backend's fast path, the reference where it has none. */
function evaluateBy(backend: Backend, root: Expr): DenseMatrix {
  const values = new Map<Expr, DenseMatrix>();
  const visit = (expr: Expr): DenseMatrix => {
    const known = values.get(expr);
    if (known !== undefined) return known;
    const inputs = expr.inputs.map(visit);
    const fast = expr.inputs.length > 0 ? backend.runSync?.(expr, inputs) : undefined;
    const value = fast?.kind === 'dense' ? fast : evaluateExpr(expr);
    values.set(expr, value);
    return value;
  };
  return visit(root);
}
