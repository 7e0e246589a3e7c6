/**
 * k-means on 50,000 x 100: k = 2, 4, .., 16 and ten starts each, at most 30 iterations, from the same
 * k-means++ centres as scikit-learn. Ours trains all eighty models in one stack; scikit-learn trains
 * one after another on all cores, which is its best.
 */
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { type Matrix, matrix, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { type ClusterRows, clusterAll, inertiaOf } from '../jobs/estimators/clusters.js';
import { loadMatrix } from './data.js';
import { alternate, type Bench, type Sample } from './harness.js';
import { benchFile } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';

const SIZES = [2, 4, 6, 8, 10, 12, 14, 16];

export const kmeansBench: Bench = {
  name: 'kmeans',
  summary: '50,000 x 100, k-means for 8 values of k x 10 starts, local: against scikit-learn',
  run: async (recorder, { quick }) => {
    const starts = quick ? 2 : 10;
    const { rows, cols, data } = loadMatrix('cls_X');
    const cpu = await createCpuBackend();
    const rival = new PythonRival(undefined);
    const file = join(tmpdir(), `reprise-kmeans-${process.pid}.bin`);
    const argv = (mode: string) => [mode, `starts=${starts}`, `file=${file}`];
    const script = benchFile('rivals/kmeans.py');
    try {
      await rival.run(script, argv('seeds'));
      const bytes = readFileSync(file);
      const seeds = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
      const ours = async (): Promise<Sample> => {
        const session = new Session({ local: cpu });
        const X = matrix(session, rows, cols, data, { copy: false });
        const begin = performance.now();
        const answers = await inertias(X, seeds, starts);
        return { seconds: (performance.now() - begin) / 1000, answers };
      };
      await alternate(
        recorder,
        [
          { name: 'local', run: ours, warmups: 1 },
          {
            name: 'sklearn',
            run: async () => {
              const { seconds, answers } = await rival.run(script, argv('sk'));
              return { seconds, answers: answers.flat() };
            },
            warmups: 0,
          },
        ],
        { rounds: quick ? 1 : 5, tolerance: 1e-6 },
      );
    } finally {
      rmSync(file, { force: true });
      await Promise.all([rival.close(), cpu.close()]);
    }
    recorder.medianFigure('kmeans.local.seconds', 'local');
    recorder.medianFigure('kmeans.sklearn.seconds', 'sklearn');
    recorder.ratio('kmeans.sklearn.vs_local', 'sklearn', 'local', { atLeast: 3 });
  },
};

/** The inertia of each start. */
async function inertias(X: Matrix, seeds: Float64Array, starts: number): Promise<number[]> {
  const d = X.cols;
  const center = X.colMeans();
  const [mean, spread] = await Promise.all([center.value(), X.sub(center).sumSq().value()]);
  const cells = Array.from({ length: d + 1 }, (_, j) => ({ row: j, col: j, value: 1 }));
  mean.data.forEach((value, j) => {
    cells.push({ row: d, col: j, value: -value });
  });
  const rows: ClusterRows = { X, design: { rows: d + 1, cols: d + 1, cells } };
  let from = 0;
  const models = SIZES.flatMap((clusters) =>
    Array.from({ length: starts }, () => {
      const centers = Float64Array.from(
        { length: clusters * d },
        (_, i) => seeds[from + i]! - mean.data[i % d]!,
      );
      from += centers.length;
      return { rows, centers, clusters, tolerance: 0, maxIterations: 30 };
    }),
  );
  return (await clusterAll(models)).map((one) => inertiaOf(one, spread));
}
