/**
 * Sanity of the local backend's products: floating-point rate of tsmm and matmul asked for through
 * the Matrix API, beside NumPy's on the same cells. Below 0.8 of NumPy something is wrong with the
 * binding, the threads or the layout.
 */
import { performance } from 'node:perf_hooks';
import { type DenseMatrix, dense, type Matrix, matrix, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { alternate, type Bench, type Sample } from './harness.js';
import { benchFile } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';

interface Product {
  readonly name: 'tsmm' | 'matmul';
  readonly operands: readonly DenseMatrix[];
  readonly apply: (operands: readonly Matrix[]) => Matrix;
  /** tsmm computes one triangle: n d^2. */
  readonly flops: number;
}

const products: readonly Product[] = [
  {
    name: 'tsmm',
    operands: [cells(50_000, 200)],
    apply: ([x]) => x!.tsmm(),
    flops: 50_000 * 200 * 200,
  },
  {
    name: 'matmul',
    operands: [cells(1500, 1500), cells(1500, 1500)],
    apply: ([a, b]) => a!.matmul(b!),
    flops: 2 * 1500 ** 3,
  },
];

export const blas: Bench = {
  name: 'blas',
  summary: 'floating-point rate of tsmm and matmul through the Matrix API, beside NumPy',
  run: async (recorder, options) => {
    const cpu = await createCpuBackend();
    const rival = new PythonRival(2);
    try {
      for (const { name, operands, apply, flops } of products) {
        const ours = async (): Promise<Sample> => {
          const session = new Session({ local: cpu });
          const matrices = operands.map(({ rows, cols, data }) =>
            matrix(session, rows, cols, data, { copy: false }),
          );
          const start = performance.now();
          const value = await apply(matrices).value();
          const seconds = (performance.now() - start) / 1000;
          return {
            seconds,
            answers: [Array.from(value.data).reduce((sum, cell) => sum + Math.abs(cell), 0)],
          };
        };
        const numpy = async (): Promise<Sample> => {
          const run = await rival.run(benchFile('rivals/products.py'), [name]);
          return { seconds: run.seconds, answers: run.answers.flat() };
        };
        await alternate(
          recorder,
          [
            { name: `${name}.ours`, run: ours, warmups: 3 },
            { name: `${name}.numpy`, run: numpy, warmups: 2 },
          ],
          { rounds: options.quick ? 5 : 15, tolerance: 1e-10 },
        );
        const rate = (side: string): number => flops / recorder.summary(side).median / 1e9;
        recorder.figure(`blas.${name}.gflops`, rate(`${name}.ours`), undefined, [`${name}.ours`]);
        recorder.figure(`blas.${name}.numpy_gflops`, rate(`${name}.numpy`), undefined, [
          `${name}.numpy`,
        ]);
        recorder.ratio(`blas.${name}.numpy_vs_ours`, `${name}.numpy`, `${name}.ours`, {
          atLeast: 0.8,
        });
      }
    } finally {
      await Promise.all([rival.close(), cpu.close()]);
    }
  },
};

/** The same cells as `rivals/products.py` makes. */
function cells(rows: number, cols: number): DenseMatrix {
  const data = new Float64Array(rows * cols);
  for (let i = 0; i < data.length; i++) data[i] = ((i * 37) % 1009) / 1009 - 0.5;
  return dense(rows, cols, data);
}
