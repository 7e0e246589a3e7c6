/**
 * Steps answered from cached parts against computing them: one session that has the parts, one
 * without reuse, on the same values in memory. The share of the work that is new is small in each
 * case, so the ratio says what the rule is worth; `folds` compares all sums over seven of eight
 * folds in one plan. Where the cost test refuses the rule both sides run the same plan: their ratio
 * is noise, held to nothing and noted as such. Takes about a minute; `--quick` ten seconds.
 */
import { performance } from 'node:perf_hooks';
import { createReferenceBackend } from '../driver/backend/reference-backend.js';
import {
  type DenseMatrix,
  type Matrix,
  matrix,
  type ReuseSetting,
  Session,
} from '../driver/index.js';
import { ones, rand } from '../driver/matrix/create.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { alternate, type Bench, type Sample } from './harness.js';

/** Operands by name, as matrices of a session. */
type Operands = Readonly<Record<string, Matrix>>;

interface Case {
  readonly name: string;
  readonly first: (x: Operands) => readonly Matrix[];
  readonly second: (x: Operands) => readonly Matrix[];
}

const gram = (x: Matrix): Matrix => x.t().matmul(x);
const FOLDS = 8;

/** The Gram matrices of all folds but one. */
function withoutEach(x: Matrix): Matrix[] {
  const rows = x.rows / FOLDS;
  return Array.from({ length: FOLDS }, (_, i) => {
    const parts: Matrix[] = [];
    if (i > 0) parts.push(x.slice([0, i * rows]));
    if (i < FOLDS - 1) parts.push(x.slice([(i + 1) * rows, x.rows]));
    return gram(parts.length === 1 ? parts[0]! : parts[0]!.rbind(parts[1]!));
  });
}

const cases: readonly Case[] = [
  { name: 'rows_added', first: ({ A }) => [gram(A!)], second: ({ A, B }) => [gram(A!.rbind(B!))] },
  {
    name: 'range_widened',
    first: ({ A }) => [gram(A!.slice([0, A!.rows - 1_000]))],
    second: ({ A }) => [gram(A!)],
  },
  {
    name: 'columns_added',
    first: ({ A }) => [gram(A!)],
    second: ({ A, C }) => [gram(A!.cbind(C!))],
  },
  {
    name: 'columns_taken',
    first: ({ A, C }) => [gram(A!.cbind(C!))],
    second: ({ A }) => [gram(A!)],
  },
  {
    name: 'product_columns',
    first: ({ A, Y }) => [A!.matmul(Y!)],
    second: ({ A, Y, Z }) => [A!.matmul(Y!.cbind(Z!))],
  },
  {
    // Four times the work for a cell of the result.
    name: 'product_columns_deep',
    first: ({ D, V }) => [D!.matmul(V!)],
    second: ({ D, V, U }) => [D!.matmul(V!.cbind(U!))],
  },
  {
    name: 'component_added',
    first: ({ A, W, e }) => [gram(A!.matmul(W!.slice(null, [0, 99])).cbind(e!))],
    second: ({ A, W, e }) => [gram(A!.matmul(W!).cbind(e!))],
  },
  {
    name: 'ranking_shortened',
    first: ({ v }) => [v!.topK(1_000)],
    second: ({ v }) => [v!.topK(100)],
  },
  {
    name: 'ranking_grown',
    first: ({ v }) => [v!.topK(1_000)],
    second: ({ v, u }) => [v!.rbind(u!).topK(1_000)],
  },
  { name: 'folds', first: () => [], second: ({ A }) => withoutEach(A!) },
  {
    name: 'folds_columns_added',
    first: ({ A }) => withoutEach(A!),
    second: ({ A, C }) => withoutEach(A!.cbind(C!)),
  },
];

export const partial: Bench = {
  name: 'partial',
  summary: 'steps answered from cached parts against computing them whole',
  run: async (recorder, options) => {
    const values = await operands(options.quick ? 8_000 : 80_000);
    for (const one of cases) {
      const answered: number[] = [];
      await alternate(
        recorder,
        [
          { name: `${one.name}_whole`, run: () => measure(one, values, 'off', []) },
          { name: `${one.name}_parts`, run: () => measure(one, values, 'full', answered) },
        ],
        { rounds: options.quick ? 3 : 7, tolerance: 1e-9, pauseMs: 50 },
      );
      const isTaken = answered.some((count) => count > 0);
      if (!isTaken) recorder.note(`${one.name}: refused by cost, both sides compute it whole`);
      // In a quick run what is saved is near what a turn of the event loop takes.
      const target = isTaken && !options.quick ? { atLeast: 1 } : undefined;
      recorder.ratio(`${one.name}_speedup`, `${one.name}_whole`, `${one.name}_parts`, target);
    }
  },
};

async function measure(
  one: Case,
  values: ReadonlyMap<string, DenseMatrix>,
  reuse: ReuseSetting,
  answered: number[],
): Promise<Sample> {
  const session = new Session({ local: await createCpuBackend(), reuse });
  const made: Record<string, Matrix> = {};
  for (const [name, value] of values) made[name] = matrix(session, value, { copy: false });
  const e = ones(session, made.A!.rows, 1);
  const x = { ...made, e };
  if (reuse !== 'off') await Promise.all(one.first(x).map((m) => m.value()));
  // What both read below the step exists before the clock starts.
  await session.evaluate([e.expr]);
  const wanted = one.second(x);
  const before = session.statistics.partial;
  const start = performance.now();
  const results = await Promise.all(wanted.map((m) => m.value()));
  const seconds = (performance.now() - start) / 1000;
  answered.push(session.statistics.partial - before);
  await session.close();
  const answers = results.flatMap(({ data }) => {
    const step = Math.max(1, Math.floor(data.length / 199));
    return Array.from({ length: Math.ceil(data.length / step) }, (_, i) => data[i * step]!);
  });
  return { seconds, answers };
}

async function operands(rows: number): Promise<Map<string, DenseMatrix>> {
  const session = new Session({ local: createReferenceBackend() });
  const sizes: Readonly<Record<string, readonly [number, number]>> = {
    A: [rows, 100],
    B: [rows / 80, 100],
    C: [rows, 2],
    Y: [100, 100],
    Z: [100, 5],
    W: [100, 100],
    D: [rows / 4, 400],
    V: [400, 100],
    U: [400, 5],
    v: [rows * 20, 1],
    u: [rows / 10, 1],
  };
  const made = new Map<string, DenseMatrix>();
  for (const [i, [name, [m, n]]] of Object.entries(sizes).entries()) {
    made.set(name, await rand(session, m, n, { seed: i + 1 }).value());
  }
  await session.close();
  return made;
}
