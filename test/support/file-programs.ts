/** Programs over many files as users write them, for tests where files come, change and go. */

import { openFrame } from '../../driver/frame/frame.js';
import {
  type Evaluator,
  type FrameEngine,
  fill,
  Matrix,
  matrix,
  type Session,
} from '../../driver/index.js';
import type { DenseMatrix } from '../../driver/ir/value.js';
import type { EncodedFeature } from '../../driver/operators/encode-block.js';

const FEATURES: readonly EncodedFeature[] = [
  { kind: 'number', name: 'a', sql: 'a - 1e5', missing: 'error' },
  { kind: 'number', name: 'span', sql: 'span', missing: 'error' },
  { kind: 'number', name: 'hour', sql: 'hour', missing: 'error' },
  {
    kind: 'onehot',
    name: 'store',
    sql: 'store',
    categories: ['0', '1', '2', '3'],
    other: true,
    missing: false,
  },
];
const TARGET: EncodedFeature = { kind: 'number', name: 'y', sql: 'y', missing: 'error' };

/** What a program asks for in one turn. */
export type FileProgram = (X: Matrix, y: Matrix, session: Evaluator) => readonly Matrix[];

/** Sums and extremes of every kind, a histogram, and row results: all depend on rows only. */
export const everySum: FileProgram = (X, y, session) => {
  const ones = fill(session, X.rows, 1, 1);
  const X1 = X.cbind(ones);
  const edges = matrix(session, [[0, 2.5, 5, 7.5]]);
  const weights = matrix(
    session,
    Array.from({ length: X.cols }, (_, i) => [i - 2]),
  );
  return [
    X1.t().matmul(X1),
    X1.t().matmul(y),
    X.colSums(),
    X.colSumSqs(),
    X.colMins(),
    X.colMaxs(),
    y.sum().asMatrix(),
    y.min().asMatrix(),
    y.max().asMatrix(),
    X.col(1).ge(edges).colSums(),
    X.matmul(weights).sub(y).sumSq().asMatrix(),
    X.matmul(weights),
  ];
};

export interface ProgramRun {
  readonly values: readonly DenseMatrix[];
  readonly rowsRead: number;
  readonly passes: number;
  readonly sparkJobs: number;
  readonly kernels: number;
  /** Nodes answered from parts. */
  readonly partial: number;
}

/** Opens the folder, asks for all at once, and waits until what is to be stored is stored. */
export async function runOverFiles(
  session: Session,
  frames: FrameEngine,
  folder: string,
  program: FileProgram,
): Promise<ProgramRun> {
  const run = session.run();
  const frame = await openFrame(run, frames, folder);
  const X = Matrix.of(run, frame.encode(FEATURES));
  const y = Matrix.of(run, frame.encode([TARGET]));
  const values = await Promise.all(program(X, y, run).map((one) => one.value()));
  await session.settle();
  const { rowsRead, passes, sparkJobs, kernels, partial } = run.statistics;
  return { values, rowsRead, passes, sparkJobs, kernels, partial };
}
