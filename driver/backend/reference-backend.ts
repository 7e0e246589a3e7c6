/**
 * The oracle as a backend: every operator by its reference implementation, whole values, one
 * thread. Slow and plain on purpose; every other backend is tested against it. Invariant: it adds
 * to `OpDef.reference` only that float32 is widened before and rounded after.
 */
import { ExecutionError, InternalError, RepriseError } from '../errors.js';
import { type Expr, shapeText } from '../ir/expr.js';
import { converted, type DenseMatrix, type Value } from '../ir/value.js';
import { ops } from '../operators/index.js';
import type { Backend, RunContext, Segment, SegmentResult } from './backend.js';

/** Seconds a cell or flop takes here, roughly; only has to be much worse than any real backend. */
const SECONDS_PER_FLOP = 2e-9;

/** All operators but those that read frames (they need an engine) and outputs of functions. */
const supported: ReadonlySet<string> = new Set(
  Object.values(ops)
    .filter((op) => !['files', 'scan', 'call'].includes(op.source))
    .map((op) => op.name),
);

/** A backend that evaluates by `OpDef.reference`. */
export function createReferenceBackend(): Backend {
  return {
    name: 'reference',
    capabilities: { ops: supported, blocks: 'none' },
    estimate: (expr) => ({
      seconds: expr.op.flops(expr.inputs, expr.attrs, expr) * SECONDS_PER_FLOP,
    }),
    runSync: evaluateByReference,
    run: async (segment, context) => runSegment(segment, context),
    close: async () => {},
  };
}

/**
 * The value of one node from whole inputs.
 * @throws RepriseError of the operator (a singular system), ExecutionError for anything else
 */
export function evaluateByReference(expr: Expr, inputs: readonly Value[]): DenseMatrix {
  const { op } = expr;
  const context = { rowOffset: 0, rows: expr.rows, payload: expr.payload };
  let value: DenseMatrix;
  try {
    const cells = inputs.map((input) => converted(requireDense(input), 'float64'));
    value = converted(op.reference(cells, expr.attrs, expr, context), expr.dtype);
  } catch (cause) {
    if (cause instanceof RepriseError) throw cause;
    throw new ExecutionError(
      `${op.name}: expected the reference implementation to end, got ${String(cause)}`,
      { op: op.name, backend: 'reference' },
      { cause },
    );
  }
  if (value.rows !== expr.rows || value.cols !== expr.cols) {
    throw new InternalError(
      `${op.name}: expected ${shapeText(expr)} from the reference, got ${shapeText(value)}`,
      { op: op.name },
    );
  }
  return value;
}

/** Evaluates a segment node by node, forgetting each value after its last consumer. */
function runSegment(segment: Segment, context: RunContext): SegmentResult {
  const values = new Map<Expr, Value>(segment.inputs);
  const wanted = new Set<Expr>([...segment.outputs, ...segment.persist]);
  const uses = new Map<Expr, number>();
  for (const node of segment.nodes) {
    for (const input of node.inputs) uses.set(input, (uses.get(input) ?? 0) + 1);
  }
  let done = 0;
  for (const node of segment.nodes) {
    context.signal?.throwIfAborted();
    const inputs = node.inputs.map((input) => {
      const value = values.get(input);
      if (value === undefined) {
        throw new InternalError(
          `${node.op.name}: expected its input ${input.op.name} in the segment`,
          { op: node.op.name },
        );
      }
      return value;
    });
    values.set(node, evaluateByReference(node, inputs));
    for (const input of node.inputs) {
      const left = uses.get(input)! - 1;
      uses.set(input, left);
      if (left === 0 && !wanted.has(input)) values.delete(input);
    }
    context.onProgress?.(++done / segment.nodes.length);
  }
  const results = new Map<Expr, Value>();
  for (const expr of wanted) results.set(expr, values.get(expr)!);
  const passes = segment.blocked.size > 0 ? 1 : 0;
  return { values: results, kernels: segment.nodes.length, passes, sparkJobs: 0 };
}

function requireDense(value: Value): DenseMatrix {
  if (value.kind === 'dense') return value;
  throw new InternalError(
    `reference: expected values on the host, got a handle of ${value.backend}`,
    { backend: value.backend },
  );
}
