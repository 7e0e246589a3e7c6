/** What the runner guarantees whatever the rules do: termination, verification, blame. */
import assert from 'node:assert/strict';
import type { Rule } from '../../driver/compiler/rule.js';
import { ruleTable, runRules } from '../../driver/compiler/run-rules.js';
import { InternalError } from '../../driver/errors.js';
import { defineOp } from '../../driver/ir/op-def.js';
import { ops } from '../../driver/operators/index.js';
import { formula, leaf, referenceEvaluator } from '../support/plan.js';

const rule = (name: string, spec: Pick<Rule, 'ops' | 'apply'> & Partial<Rule>): Rule => ({
  name,
  direction: 'up',
  algebra: 'a -> b',
  ...spec,
});

describe('the rule runner', () => {
  const s = referenceEvaluator();
  const X = leaf(s, 3, 2);

  it('stops rules that go round in a circle and names them', () => {
    const circle = [
      rule('floor-to-ceil', { ops: [ops.floor], apply: (e, c) => c.intern(ops.ceil, e.inputs) }),
      rule('ceil-to-floor', { ops: [ops.ceil], apply: (e, c) => c.intern(ops.floor, e.inputs) }),
    ];
    assert.throws(
      () => runRules([X.floor().expr], s, ruleTable(circle)),
      (error: Error) =>
        error instanceof InternalError && /floor-to-ceil, ceil-to-floor/.test(error.message),
    );
  });

  it('stops a rule that builds on top of its own node', () => {
    const grow = rule('grow', {
      ops: [ops.add],
      apply: (e, c) => c.intern(ops.add, [e, e.inputs[1]!]),
    });
    assert.throws(
      () => runRules([X.add(X).expr], s, ruleTable([grow])),
      (error: Error) => error instanceof InternalError && /grow/.test(error.message),
    );
  });

  it('stops a rule that never ends without repeating itself', () => {
    const count = rule('count-up', {
      ops: [ops.scalar],
      apply: (e, c) => c.intern(ops.scalar, [], { value: (e.attrs.value as number) + 1 }),
    });
    assert.throws(
      () => runRules([X.add(1).expr], s, ruleTable([count])),
      (error: Error) => error instanceof InternalError && /count-up/.test(error.message),
    );
  });

  it('names the rule that changes a shape', () => {
    const bad = rule('drop-transpose', { ops: [ops.transpose], apply: (e) => e.inputs[0] });
    assert.throws(
      () => runRules([X.t().expr], s, ruleTable([bad]), { verify: true }),
      (error: Error) =>
        error instanceof InternalError &&
        /^drop-transpose: expected 2x3 to stay, got 3x2/.test(error.message),
    );
  });

  it('names the rule that brings in non-determinism', () => {
    const dice = defineOp({
      name: 'dice',
      arity: 1,
      deterministic: false,
      infer: ([x]) => ({ rows: x!.rows, cols: x!.cols }),
      reference: ([x]) => x!,
    });
    const bad = rule('add-dice', { ops: [ops.abs], apply: (e, c) => c.intern(dice, e.inputs) });
    assert.throws(
      () => runRules([X.abs().expr], s, ruleTable([bad]), { verify: true }),
      /add-dice: expected a deterministic node/,
    );
  });

  it('wraps what a rule throws, with its name and the cause', () => {
    const cause = new TypeError('boom');
    const bad = rule('explode', {
      ops: [ops.abs],
      apply: () => {
        throw cause;
      },
    });
    assert.throws(
      () => runRules([X.abs().expr], s, ruleTable([bad])),
      (error: Error) => error instanceof InternalError && error.cause === cause,
    );
  });

  it('applies other rules to what a rule returns, and to its new inputs', () => {
    const rules = [
      rule('square-to-product', {
        ops: [ops.square],
        apply: ({ inputs: [x] }, c) => c.intern(ops.mul, [c.intern(ops.neg, [x!]), x!]),
      }),
      rule('neg-to-abs', { ops: [ops.neg], apply: (e, c) => c.intern(ops.abs, e.inputs) }),
      rule('mul-to-add', { ops: [ops.mul], apply: (e, c) => c.intern(ops.add, e.inputs) }),
    ];
    const [after] = runRules([X.square().expr], s, ruleTable(rules), { verify: true });
    assert.equal(formula(after!, { X }), 'add(abs(X), X)');
  });

  it('asks a node once, however many consumers it has', () => {
    let asked = 0;
    const count = rule('count', {
      ops: [ops.abs],
      apply: () => {
        asked++;
        return undefined;
      },
    });
    const shared = X.abs();
    runRules([shared.add(shared).add(shared.neg()).expr, shared.expr], s, ruleTable([count]));
    assert.equal(asked, 1);
  });
});
