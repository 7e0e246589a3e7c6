/**
 * Every case of every operator run for three models in one node, against each model alone by the
 * reference: each choice of operands that models share, the others side by side or one under the
 * other. Backends take the nodes of an operator in one plan.
 */
import type { Backend } from '../../driver/backend/backend.js';
import { slotLeaf } from '../../driver/batch/trace.js';
import { Transform } from '../../driver/batch/transform.js';
import { DataError, PlanError, SingularError } from '../../driver/errors.js';
import { matrix, Session } from '../../driver/index.js';
import { noAttrs } from '../../driver/ir/attrs.js';
import type { BatchLayout, BatchValue } from '../../driver/ir/batch-rule.js';
import type { Expr } from '../../driver/ir/expr.js';
import type { ConformanceCase, OpDef } from '../../driver/ir/op-def.js';
import { converted, type DenseMatrix, dense, type Float64Matrix } from '../../driver/ir/value.js';
import { ops } from '../../driver/operators/index.js';
import { backends } from '../support/backends.js';
import { assertClose } from '../support/close.js';
import { referenceEvaluator } from '../support/plan.js';

const MODELS = 3;
/** Enough for an operator's first three operands; further ones are as the third. */
const MAX_CHOSEN = 3;

/**
 * An operand of model k: the case's own, then larger cells with zeros and NaN in their places; of
 * whole numbers, which may be those of groups, other rows first.
 */
function varied(value: Float64Matrix, k: number): Float64Matrix {
  if (value.data.every((cell) => Number.isInteger(cell) || Number.isNaN(cell))) {
    const { length } = value.data;
    const turned = value.data.map((_, at, all) => all[(at + k * value.cols) % length]!);
    return dense(value.rows, value.cols, turned);
  }
  return dense(
    value.rows,
    value.cols,
    value.data.map((cell) => cell * (1 + k / 4)),
  );
}

/** What the operator gives for a model; undefined where its operands can't be varied. */
function alone(op: OpDef, { attrs = noAttrs }: ConformanceCase, inputs: readonly Float64Matrix[]) {
  try {
    return op.reference(inputs, attrs, op.infer(inputs, attrs));
  } catch (error) {
    if (error instanceof DataError || error instanceof PlanError) return undefined;
    if (error instanceof SingularError) return undefined;
    throw error;
  }
}

interface Variant {
  readonly text: string;
  readonly expr: Expr;
  /** Of each model, in its layout. */
  readonly expected: readonly Float64Matrix[];
  readonly layout: BatchLayout;
  readonly tolerance: number;
}

function bound(parts: readonly Float64Matrix[], layout: BatchLayout): Float64Matrix {
  const bind = layout === 'columns' ? ops.cbind : ops.rbind;
  return bind.reference(parts, noAttrs, bind.infer(parts, noAttrs));
}

/** The node of three models for each choice of shared operands. */
function* variantsOf(session: Session, op: OpDef, test: ConformanceCase): Iterable<Variant> {
  const count = test.inputs.length;
  for (let choice = 1; choice < 1 << Math.min(count, MAX_CHOSEN); choice++) {
    const isOwn = (i: number): boolean => ((choice >> Math.min(i, MAX_CHOSEN - 1)) & 1) === 1;
    // Model by model is one way, whatever the layout.
    const layouts =
      op.batch === undefined ? (['columns'] as const) : (['columns', 'stack'] as const);
    for (const layout of layouts) {
      const own = Array.from({ length: MODELS }, (_, k) =>
        test.inputs.map((input, i) => (isOwn(i) ? varied(input, k) : input)),
      );
      const expected = own.map((inputs) => alone(op, test, inputs));
      if (expected.some((value) => value === undefined)) continue;
      const trace = referenceEvaluator();
      const leaves = new Map<Expr, BatchValue>();
      const inputs = test.inputs.map((input, i) => {
        const leaf = slotLeaf(trace, input);
        const parts = own.map((operands) => operands[i]!);
        const value = isOwn(i) ? bound(parts, layout) : input;
        const standing = isOwn(i) ? layout : 'shared';
        leaves.set(leaf, { layout: standing, expr: matrix(session, value).expr });
        return leaf;
      });
      const transform = new Transform(session, MODELS, leaves);
      const made = transform.valueOf(trace.intern(op, inputs, test.attrs ?? noAttrs));
      const shared = inputs.map((_, i) => (isOwn(i) ? layout : 'shared')).join(', ');
      const text = `${op.name} of ${shared}: ${test.name}`;
      const { expr } = made;
      const tolerance = expr.dtype === 'float32' ? 1e-6 : (test.tolerance ?? 1e-9);
      yield { ...made, text, expected: expected as Float64Matrix[], tolerance };
    }
  }
}

// Backends with kernels of their own; Spark's are in the suite of operators.
for (const row of backends.filter(({ name }) => /^reference$|^cpu/.test(name))) {
  describe(`batched operators, backend ${row.name}`, () => {
    let backend: Backend;
    before(async function () {
      const made = await row.make();
      if (typeof made === 'string') {
        console.warn(`SKIPPED batched conformance of ${row.name}: ${made}`);
        this.skip();
      } else backend = made;
    });
    after(async () => {
      await backend?.close();
    });
    for (const op of Object.values(ops)) {
      if (op.cases.every(({ inputs }) => inputs.length === 0)) continue;
      if (op.name in row.gaps) continue;
      it(op.name, async () => {
        const session = new Session({ local: backend, reuse: 'off' });
        const variants = op.cases.flatMap((test) => [...variantsOf(session, op, test)]);
        const values = await session.evaluate(variants.map(({ expr }) => expr));
        for (const [at, { text, expected, layout, tolerance }] of variants.entries()) {
          const value = values[at] as DenseMatrix;
          const parts = expected.map((part) => converted(converted(part, value.dtype), 'float64'));
          assertClose(value, bound(parts, layout), tolerance, text);
        }
      });
    }
  });
}
