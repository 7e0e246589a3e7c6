/** Tests that every rule has, as a table: it fires, leaves alone, is idempotent, keeps values. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Rule } from '../../driver/compiler/rule.js';
import type { Evaluator } from '../../driver/ir/evaluator.js';
import { assertClose } from './close.js';
import {
  evaluateExpr,
  formula,
  type Lazy,
  referenceEvaluator,
  runAgain,
  runAlone,
} from './plan.js';

export interface RuleCase {
  readonly what: string;
  /** The root first, then what the formula calls by name; `others` are further roots. */
  readonly build: (session: Evaluator) => {
    readonly root: Lazy;
    readonly names: Readonly<Record<string, Lazy>>;
    readonly others?: readonly Lazy[];
  };
  /** The formula afterwards. */
  readonly becomes: string;
}

export interface RuleSuite {
  readonly rule: Rule;
  readonly fires: readonly RuleCase[];
  /** Here `becomes` is the formula as built. */
  readonly leaves: readonly RuleCase[];
  /** A random plan with the pattern in it. */
  readonly random: (session: Evaluator, size: (max?: number) => number) => Lazy;
  readonly tolerance?: number;
}

export function testRule(suite: RuleSuite): void {
  const { rule } = suite;
  describe(`rule ${rule.name}: ${rule.algebra}`, () => {
    for (const { what, build, becomes } of suite.fires) {
      it(`fires: ${what}`, () => {
        const { root, names, others = [] } = build(referenceEvaluator());
        const after = runAlone(rule, root, ...others);
        assert.notEqual(after, root.expr, 'the rule did not fire');
        assert.equal(formula(after, names), becomes);
        assert.equal(runAgain(rule, root, after), after, 'the rule is not idempotent');
        assertClose(evaluateExpr(after), evaluateExpr(root.expr), suite.tolerance ?? 1e-12, what);
      });
    }
    for (const { what, build, becomes } of suite.leaves) {
      it(`no-op: ${what}`, () => {
        const { root, names, others = [] } = build(referenceEvaluator());
        const after = runAlone(rule, root, ...others);
        assert.equal(formula(after, names), becomes);
        assert.equal(after, root.expr);
      });
    }
    it('keeps values on random shapes', () => {
      let fired = 0;
      fc.assert(
        fc.property(fc.array(fc.nat(1000), { minLength: 8, maxLength: 8 }), (draws) => {
          let next = 0;
          const size = (max = 5): number => 1 + (draws[next++ % draws.length]! % max);
          const root = suite.random(referenceEvaluator(), size);
          const after = runAlone(rule, root);
          if (after !== root.expr) fired++;
          assertClose(
            evaluateExpr(after),
            evaluateExpr(root.expr),
            suite.tolerance ?? 1e-12,
            rule.name,
          );
        }),
        { numRuns: 60, seed: 42 },
      );
      assert.ok(fired > 0, 'the random plans never held the pattern');
    });
  });
}
