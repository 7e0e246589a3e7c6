/**
 * What it costs to write a program of a million operators down through the Matrix API and to ask
 * the cache for each of them; nothing is computed. The program is a gradient descent, so it is a
 * chain a million nodes deep with new scalars on the way, and half its operators have operands that
 * are themselves results.
 */
import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  createReferenceBackend,
  dense,
  type Expr,
  lineageKey,
  type Matrix,
  matrix,
  Session,
} from '../driver/index.js';
import { topological } from '../driver/ir/expr.js';
import type { Bench } from './harness.js';

/** Operators of one step of `descend`: matmul, sub, mul, sub; its scalar is one node more. */
const OPERATORS_PER_STEP = 4;

export const tracing: Bench = {
  name: 'tracing',
  summary: 'time and memory to trace and probe a million operators',
  run: async (recorder, options) => {
    const steps = (options.quick ? 100_000 : 1_000_000) / OPERATORS_PER_STEP;
    const operators = steps * OPERATORS_PER_STEP;
    const idle = createReferenceBackend();
    const perOperator = (start: number): number => ((performance.now() - start) * 1000) / operators;
    // The first round warms the JIT; a program of this size is never the first thing a process
    // traces.
    for (let round = 0; round < 6; round++) {
      const session = new Session({ local: idle });
      const bytesBefore = heapBytes();

      let start = performance.now();
      const root = descend(session, steps);
      const traceUs = perOperator(start);
      start = performance.now();
      await settle(operators);
      const settleUs = perOperator(start);

      const bytes = heapBytes() - bytesBefore;
      const nodes = topological([root.expr]);
      fillCache(session, nodes);
      start = performance.now();
      const found = probeAll(session, nodes);
      const probeUs = perOperator(start);

      start = performance.now();
      const again = descend(session, steps);
      const retraceUs = perOperator(start);

      start = performance.now();
      lineageKey(root.expr);
      const lineageKeyUs = perOperator(start);

      if (again !== root || found === 0 || nodes.length < operators) {
        throw new Error(
          'tracing: expected the same program to be the same node, and cached nodes to be found',
        );
      }
      recorder.progress(
        `round ${round}: trace ${traceUs.toFixed(3)} us, settle ${settleUs.toFixed(3)} us, probe ${probeUs.toFixed(3)} us, ${(bytes / nodes.length).toFixed(0)} bytes a node`,
      );
      if (round === 0) continue;
      recorder.sample('trace_us', traceUs);
      recorder.sample('probe_us', probeUs);
      recorder.sample('settle_us', settleUs);
      recorder.sample('trace_and_probe_us', traceUs + settleUs + probeUs);
      recorder.sample('retrace_us', retraceUs);
      recorder.sample('lineage_key_us', lineageKeyUs);
      recorder.sample('bytes_per_node', bytes / nodes.length);
    }
    recorder.medianFigure('tracing.trace_us', 'trace_us');
    recorder.medianFigure('tracing.settle_us', 'settle_us');
    recorder.medianFigure('tracing.probe_us', 'probe_us');
    recorder.note(
      'settle is what the session does about the new nodes in later turns of the event loop; it counts as tracing',
    );
    recorder.medianFigure('tracing.trace_and_probe_us', 'trace_and_probe_us', { atMost: 2 });
    recorder.medianFigure('tracing.retrace_us', 'retrace_us');
    recorder.medianFigure('tracing.lineage_key_us', 'lineage_key_us');
    recorder.medianFigure('tracing.bytes_per_node', 'bytes_per_node', { atMost: 200 });
  },
};

/** w <- w - step * (A w - b), written out. */
function descend(session: Session, steps: number): Matrix {
  const a = matrix(
    session,
    4,
    4,
    Float64Array.from({ length: 16 }, (_, i) => Math.sin(i)),
  );
  const b = matrix(session, 4, 1, Float64Array.of(1, 2, 3, 4));
  let w = matrix(session, 4, 1, Float64Array.of(0, 0, 0, 0));
  for (let step = 0; step < steps; step++) {
    const gradient = a.matmul(w).sub(b);
    w = w.sub(gradient.mul(1 / (step + 10)));
  }
  return w;
}

/** Turns enough for deferred work, at a thousand nodes a turn; an idle turn costs a microsecond. */
async function settle(nodes: number): Promise<void> {
  for (let turn = 0; turn < nodes / 500; turn++) await setImmediate();
}

/** Every hundredth node has a cached value, so that probes find some. */
function fillCache(session: Session, nodes: readonly Expr[]): void {
  for (let i = 0; i < nodes.length; i += 100) {
    const expr = nodes[i]!;
    session.cache.claim(expr);
    const data = new Float64Array(expr.rows * expr.cols);
    session.cache.put(expr, dense(expr.rows, expr.cols, data), 1e-6, 'cpu');
  }
}

function probeAll(session: Session, nodes: readonly Expr[]): number {
  let found = 0;
  for (const expr of nodes) if (session.cache.probe(expr)?.value !== undefined) found++;
  return found;
}

/** Live bytes after a full collection: heap and array buffers. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const usage = process.memoryUsage();
  return usage.heapUsed + usage.arrayBuffers;
}
