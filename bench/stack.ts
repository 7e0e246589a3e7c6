/**
 * What a stack of 400 models costs beyond the work it shares: logistic regression on 50,000 x 100, 20
 * folds x 20 penalties. The stack is timed from its tracing to its last model; then the passes it
 * made by themselves, as wide as they were: both products and the losses between them. Planning,
 * tracing, copies and the solver's own steps are the difference. `small` is the same search over 1,000
 * rows, where they are most of an iteration.
 */
import { performance } from 'node:perf_hooks';
import { type Matrix, matrix, Session, seq } from '../driver/index.js';
import { type CpuBackend, createCpuBackend } from '../gpu-executor/cpu/index.js';
import { logistic } from '../jobs/estimators/logistic.js';
import { gridSearch } from '../jobs/search/grid-search.js';
import { loadMatrix } from './data.js';
import { alternate, type Bench, type Sample } from './harness.js';

const FOLDS = 20;
const STRENGTHS = Array.from({ length: 20 }, (_, i) => 10 ** (-4 + (6 * i) / 19));

export const stackBench: Bench = {
  name: 'stack',
  summary: 'a stack of 400 logistic regressions, local: against its passes by themselves',
  run: async (recorder, { quick }) => {
    const X = loadMatrix('cls_X');
    const classes = loadMatrix('cls_y').data.map((label) => label - 1);
    const cpu = await createCpuBackend();
    const widths = passWidths(cpu);
    const rows = (session: Session, n: number): readonly [Matrix, Matrix] => [
      matrix(session, n, X.cols, X.data.subarray(0, n * X.cols), { copy: false }),
      matrix(session, n, 1, classes.subarray(0, n), { copy: false }),
    ];
    const stack = async (n: number): Promise<Sample> => {
      const session = new Session({ local: cpu });
      const [x, y] = rows(session, n);
      const at: Record<string, number> = {};
      widths.length = 0;
      await gridSearch(session, {
        ...{ X: x, y, classes: [1, 2], estimator: logistic, grid: { C: STRENGTHS } },
        cv: { folds: FOLDS, shuffle: false },
        params: { fit_intercept: false, tol: 1e-4, max_iter: 1000 },
        scoring: ['neg_log_loss'],
        refit: false,
        onPhase: (phase) => {
          at[phase] = performance.now();
        },
      });
      return { seconds: (at.score! - at.fit!) / 1000 };
    };
    const products = (made: readonly number[]) => async (): Promise<Sample> => {
      const session = new Session({ local: cpu, reuse: 'off' });
      const [x, y] = rows(session, X.rows);
      const fold = await seq(session, 0, X.rows - 1)
        .mul(FOLDS / X.rows)
        .floor()
        .value();
      const foldOf = matrix(session, fold);
      let seconds = 0;
      for (const width of made) {
        const cells = Float64Array.from({ length: X.cols * width }, (_, i) => Math.sin(i) / 20);
        const W = matrix(session, X.cols, width, cells, { copy: false });
        const tests = matrix(session, [Array.from({ length: width }, (_, k) => k % FOLDS)]);
        const start = performance.now();
        const slopes = x.matmul(W).sigmoid().sub(y).mul(foldOf.ne(tests));
        await x.t().matmul(slopes).value();
        seconds += (performance.now() - start) / 1000;
      }
      return { seconds };
    };
    try {
      await stack(X.rows);
      const made = [...widths];
      await alternate(
        recorder,
        [
          { name: 'stack', run: () => stack(X.rows), warmups: 1 },
          { name: 'passes', run: products(made), warmups: 1 },
          { name: 'small', run: () => stack(1000), warmups: 2 },
        ],
        { rounds: quick ? 1 : 7, tolerance: 0 },
      );
      recorder.figure('stack.small.iterations', widths.length);
      recorder.figure('stack.iterations', made.length);
    } finally {
      await cpu.close();
    }
    recorder.medianFigure('stack.s', 'stack');
    recorder.medianFigure('stack.passes_s', 'passes');
    recorder.ratio('stack.vs_passes', 'stack', 'passes', { atMost: 1.3 });
    recorder.medianFigure('stack.small.s', 'small');
  },
};

/** Models that take part in each pass from now on: columns of the products with the rows. */
function passWidths(cpu: CpuBackend): number[] {
  const widths: number[] = [];
  const { run } = cpu;
  cpu.run = (segment, context) => {
    const made = segment.nodes.filter(
      ({ op, rows, attrs }) => op.name === 'matmul' && rows >= 1000 && attrs.transposeA !== true,
    );
    if (made.length > 0) widths.push(Math.max(...made.map(({ cols }) => cols)));
    return run(segment, context);
  };
  return widths;
}
