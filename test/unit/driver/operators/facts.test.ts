/** What operators say of themselves beside shape and value, each held against their references. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { siblingKeys } from '../../../../driver/compiler/plan-rules/find-by.js';
import { bound, rangeAlong } from '../../../../driver/compiler/plan-rules/ranges.js';
import { type Attrs, noAttrs } from '../../../../driver/ir/attrs.js';
import type { Evaluator } from '../../../../driver/ir/evaluator.js';
import type { Expr } from '../../../../driver/ir/expr.js';
import { isLeafValue, leafValue } from '../../../../driver/ir/leaf-value.js';
import { mergeResults, type OpDef } from '../../../../driver/ir/op-def.js';
import { dense, type Float64Matrix } from '../../../../driver/ir/value.js';
import { matrix } from '../../../../driver/matrix/create.js';
import { ops } from '../../../../driver/operators/index.js';
import { rowsOf } from '../../../support/blocks.js';
import { assertClose } from '../../../support/close.js';
import { evaluateExpr, referenceEvaluator } from '../../../support/plan.js';

const all: readonly OpDef[] = Object.values(ops);
const exprOf = (session: Evaluator, value: Float64Matrix): Expr => matrix(session, value).expr;

/** Every conformance case of every operator. */
function* cases(): Iterable<{ op: OpDef; inputs: readonly Float64Matrix[]; attrs: Attrs }> {
  for (const op of all) {
    for (const { inputs, attrs = noAttrs } of op.cases) yield { op, inputs, attrs };
  }
}

describe('what an operator says: merge', () => {
  it('makes the result over all rows of results over any parts of them, in any order', () => {
    const merged = new Set<string>();
    for (const { op, inputs, attrs } of cases()) {
      const rule = op.rowRule(inputs, attrs);
      if (op.merge === undefined || rule.kind !== 'reduce') continue;
      const rows = inputs[rule.blocked.indexOf(true)]!.rows;
      fc.assert(
        fc.property(fc.uniqueArray(fc.nat(rows)), fc.boolean(), (draws, isTurned) => {
          const session = referenceEvaluator();
          const ends = [...new Set([...draws, rows])].filter((end) => end > 0);
          ends.sort((a, b) => a - b);
          const whole = session.intern(
            op,
            inputs.map((input) => exprOf(session, input)),
            attrs,
          );
          const parts = ends.map((to, p) => {
            const from = ends[p - 1] ?? 0;
            const operands = inputs.map((input, i) =>
              exprOf(session, rule.blocked[i] ? rowsOf(input, from, to) : input),
            );
            return session.intern(op, operands, attrs);
          });
          if (isTurned) parts.reverse();
          const value = evaluateExpr(mergeResults(op.merge!, whole, parts, session));
          assertClose(value, evaluateExpr(whole), 1e-10, op.name);
        }),
        { numRuns: 12, seed: 11 },
      );
      merged.add(op.name);
    }
    assert.deepEqual(
      merged,
      new Set(all.filter(({ merge }) => merge !== undefined).map(({ name }) => name)),
    );
  });
});

describe('what an operator says: colSplits', () => {
  it('makes the whole of results over parts of the columns', () => {
    const tried = new Set<string>();
    for (const { op, inputs, attrs } of cases()) {
      for (const { axis, cut, into, merge } of op.colSplits?.(inputs, attrs) ?? []) {
        assert.equal(axis, 'cols', op.name);
        const { cols } = inputs[cut.indexOf(true)]!;
        for (let at = 1; at < cols; at++) {
          const session = referenceEvaluator();
          const over = (from: number, to: number): Expr => {
            const operands = inputs.map((input, i) => {
              const x = exprOf(session, input);
              return cut[i] ? rangeAlong(x, 'cols', from, to, session) : x;
            });
            return session.intern(op, operands, attrs);
          };
          const whole = over(0, cols);
          const parts = [over(0, at), over(at, cols)];
          const joined = merge
            ? mergeResults(merge, whole, parts, session)
            : bound(parts, into!, session);
          assertClose(evaluateExpr(joined), evaluateExpr(whole), 1e-10, op.name);
          tried.add(op.name);
        }
      }
    }
    const saying = all.filter(({ colSplits }) => colSplits !== undefined);
    assert.deepEqual(tried, new Set(saying.map(({ name }) => name)));
  });
});

describe('what an operator says: findBy', () => {
  // Large, so that no operator is too cheap to be found; never evaluated.
  const [rows, cols] = [1 << 16, 4];
  const operand = (session: Evaluator, value: number, like: Float64Matrix, tall: number): Expr => {
    const shape = like.rows === tall ? { rows, cols: like.cols === 1 ? 1 : cols } : like;
    return session.intern(ops.fill, [], { rows: shape.rows, cols: shape.cols, value });
  };

  it('finds a result by the rows, the columns and the operands it shares with a larger one', () => {
    const found = new Set<string>();
    for (const op of all.filter(({ findBy }) => findBy !== undefined)) {
      const session = referenceEvaluator();
      for (const { inputs, attrs = noAttrs } of op.cases) {
        const own = inputs.map((input, i) => operand(session, i + 1, input, inputs[0]!.rows));
        for (const { operand: at, by } of op.findBy!(
          inputs.map(() => own[0]!),
          attrs,
        )) {
          const x = own[at]!;
          const other = session.intern(ops.fill, [], { ...x.attrs, value: 99 });
          const bind = by === 'cols' ? ops.cbind : ops.rbind;
          const larger = by === 'self' ? x : session.intern(bind, [x, other]);
          let keys: readonly Expr[];
          try {
            const node = session.intern(
              op,
              own.map((input, i) => (i === at ? larger : input)),
              attrs,
            );
            keys = siblingKeys(node);
          } catch {
            // Operands of a case that can't be this large, or not alone.
            continue;
          }
          assert.ok(keys.includes(x), `${op.name} by ${by} of operand ${at}`);
          if (by === 'cols') assert.ok(keys.includes(other), `${op.name} by its other columns`);
          found.add(op.name);
        }
      }
    }
    assert.ok(found.size >= 12, `expected most operators to be tried, got ${[...found]}`);
  });
});

describe('what an operator says: work, constant and source', () => {
  it('moves cells of its operands and makes none, where it says so', () => {
    for (const { op, inputs, attrs } of cases()) {
      if (op.work !== 'move') continue;
      const known = new Set([0, ...inputs.flatMap(({ data }) => [...data])]);
      const { data } = op.reference(inputs, attrs, op.infer(inputs, attrs));
      assert.ok(
        data.every((cell) => known.has(cell)),
        op.name,
      );
    }
  });

  it('takes operations that outgrow its cells, where it multiplies or factorises', () => {
    const scaled = (m: { rows: number; cols: number }, by: number): Float64Matrix =>
      ({
        rows: m.rows === 1 ? 1 : m.rows * by,
        cols: m.cols === 1 ? 1 : m.cols * by,
      }) as Float64Matrix;
    const outgrowing = new Set<OpDef>();
    for (const { op, inputs, attrs } of cases()) {
      const out = op.infer(inputs, attrs);
      const perCell = (by: number): number => {
        const shapes = inputs.map((input) => scaled(input, by));
        const cells = [...shapes, scaled(out, by)].reduce((sum, m) => sum + m.rows * m.cols, 0);
        return op.flops(shapes, attrs, scaled(out, by)) / cells;
      };
      if (perCell(256) > 16 * perCell(1)) outgrowing.add(op);
    }
    for (const op of all) {
      const multiplies = op.work === 'product' || op.work === 'factorise';
      if (multiplies && !convolutions.has(op)) assert.ok(outgrowing.has(op), op.name);
      if (op.work === 'move' || op.elementwise) assert.ok(!outgrowing.has(op), op.name);
    }
  });

  /** Their attributes say the filters' size, and with it the operations a cell. */
  const convolutions = new Map<OpDef, readonly ['image' | 'output', 'filter' | 'output']>([
    [ops.conv2d, ['image', 'filter']],
    [ops.conv2dInputGradient, ['output', 'filter']],
    [ops.conv2dFilterGradient, ['image', 'output']],
  ]);

  it('takes operations that outgrow its cells with the window and the channels of filters', () => {
    const size = 16;
    for (const [op, roles] of convolutions) {
      const perCell = (span: number, channels: number): number => {
        const beyond = (span - 1) / 2;
        const padding = [beyond, beyond, beyond, beyond];
        const attrs = { image: [size, size, channels], window: [span, span], padding };
        const shapes = {
          image: { rows: 8, cols: size * size * channels },
          output: { rows: 8, cols: size * size * channels },
          filter: { rows: span * span * channels, cols: channels },
        };
        const inputs = roles.map((role) => shapes[role] as Float64Matrix);
        const out = op.infer(inputs, attrs);
        const cells = [...inputs, out].reduce((sum, m) => sum + m.rows * m.cols, 0);
        return op.flops(inputs, attrs, out as Float64Matrix) / cells;
      };
      assert.ok(perCell(9, 2) > 16 * perCell(1, 2), `${op.name}: window`);
      assert.ok(perCell(1, 256) > 16 * perCell(1, 2), `${op.name}: channels`);
    }
  });

  it('has the constant it says in every cell', () => {
    const session = referenceEvaluator();
    for (const { op, inputs, attrs } of cases()) {
      const constant = op.constant?.(attrs);
      if (constant === undefined) continue;
      const { data } = op.reference(inputs, attrs, op.infer(inputs, attrs));
      assert.ok(
        data.every((cell) => Object.is(cell, constant)),
        op.name,
      );
    }
    const half = session.intern(ops.scalar, [], { value: 0.5 });
    assert.equal(half.op.constant?.(half.attrs), 0.5);
  });

  it('has the value of a leaf that is one, and of no other', () => {
    const session = referenceEvaluator();
    const given = exprOf(session, dense(2, 1, Float64Array.of(3, 4)));
    assert.deepEqual([...leafValue(given)!.data], [3, 4]);
    assert.equal(leafValue(given), given.payload);
    const two = session.intern(ops.scalar, [], { value: 2 });
    assert.deepEqual([...leafValue(two)!.data], [2]);
    assert.deepEqual(
      all.filter((op) => isLeafValue({ op } as Expr)).map(({ name }) => name),
      ['literal', 'slot', 'scalar'],
    );
    for (const op of all) if (op.source !== 'kernel') assert.equal(op.cases.length, 0, op.name);
  });
});
