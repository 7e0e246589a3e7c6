/**
 * The search of `logistic`, two hundred models in one stack, on a device: all that it has kernels for
 * (`devices`), and what the cost model gives it (`cost`), against the processor alone. Kernels are
 * compiled before the clock starts, data are on the host. On PoCL the device is the processor, its
 * kernels against the hand-written ones.
 */
import { performance } from 'node:perf_hooks';
import {
  CostModel,
  dense,
  type Matrix,
  matrix,
  type PlacementPolicy,
  Session,
} from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { logistic } from '../jobs/estimators/logistic.js';
import { gridSearch } from '../jobs/search/grid-search.js';
import { type BenchDevice, benchDevice } from './bench-device.js';
import { alternate, type Bench, type Recorder, type Sample } from './harness.js';
import { randomOf } from './night-days.js';

const COLUMNS = 100;
const FOLDS = 10;
/** 10^-4 .. 10^2. */
const STRENGTHS = Array.from({ length: 20 }, (_, i) => 10 ** (-4 + (6 * i) / 19));
/** Mean log losses of equal steps, rounded in other orders. */
const TOLERANCE = 1e-6;
/** A search of that many iterations less one of so few leaves those of the loop alone. */
const [FEW, MANY] = [4, 8];
const COUNTED = ['launches', 'copiesIn', 'copiesOut', 'waits', 'allocations', 'recycled'] as const;

export const deviceSearch: Bench = {
  name: 'device-search',
  summary:
    'logistic search, 10 folds x 20 penalties, on a device by force and by cost, against the processor',
  run: async (recorder, options) => {
    const device = benchDevice(recorder, options);
    if (device === undefined) return;
    const rows = rowsOn(device, options.quick);
    recorder.note(`${rows.toLocaleString('en')} x ${COLUMNS} rows`);
    const data = classified(rows);
    const [local, gpu] = [await createCpuBackend(), await device.backend()];
    const costs = new CostModel();
    const search = async (placement: PlacementPolicy, iterations = 1000): Promise<Sample> => {
      const devices = placement === 'local' ? [] : [gpu];
      const session = new Session({ local, devices, placement, costs, spill: false });
      try {
        return await searched(session, data, iterations);
      } finally {
        // Gives its memory back; the device stays for the next.
        session.cache.clear();
      }
    };
    try {
      const sides = [
        { name: 'processor', run: () => search('local'), warmups: 1 },
        { name: 'devices', run: () => search('devices'), warmups: 2 },
        // Costs are learned from the first runs.
        { name: 'cost', run: () => search('cost'), warmups: 3 },
      ];
      const rounds = options.quick ? 1 : 5;
      const launches = () => gpu.work().launches;
      const before = launches();
      await alternate(recorder, sides, { rounds, tolerance: TOLERANCE });
      if (launches() === before) recorder.note('nothing ran on the device');
      for (const { name } of sides) recorder.medianFigure(`${name}_seconds`, name);
      const target = device.properties.isProcessor ? undefined : { atLeast: 2 };
      recorder.ratio('processor_over_devices', 'processor', 'devices', target);
      recorder.ratio('cost_over_best', 'cost', recorder.fastest(['processor', 'devices']), {
        atMost: 1.2,
      });
      await countIterations(recorder, gpu, (iterations) => search('devices', iterations));
      const unused = gpu.work().launches;
      await search('cost');
      recorder.figure('cost_launches', gpu.work().launches - unused);
    } finally {
      await Promise.all([gpu.close(), local.close()]);
    }
    recorder.figure('leaked_pointers', gpu.leaked, { atMost: 0 });
  },
};

function rowsOn({ properties }: BenchDevice, quick: boolean): number {
  if (quick) return 1000;
  return properties.isProcessor ? 10_000 : 50_000;
}

interface Classified {
  readonly X: Float64Array;
  readonly y: Float64Array;
}

/** Normal features of unlike sizes, classes 0 and 1 that a tenth of them tell apart in part. */
function classified(rows: number): Classified {
  const next = randomOf(16);
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  const X = Float64Array.from({ length: rows * COLUMNS }, (_, i) => normal() * (1 + (i % 7)));
  const y = Float64Array.from({ length: rows }, (_, row) => {
    let decision = 0;
    for (let k = 0; k < COLUMNS; k += 10) decision += X[row * COLUMNS + k]! / (1 + k / 10);
    return decision + 4 * normal() > 0 ? 1 : 0;
  });
  return { X, y };
}

async function searched(
  session: Session,
  { X, y }: Classified,
  iterations: number,
): Promise<Required<Sample>> {
  const data: { readonly X: Matrix; readonly y: Matrix } = {
    X: matrix(session, dense(y.length, COLUMNS, X)),
    y: matrix(session, dense(y.length, 1, y)),
  };
  const start = performance.now();
  const { trials } = await gridSearch(session, {
    ...data,
    classes: [0, 1],
    cv: { folds: FOLDS, shuffle: false },
    estimator: logistic,
    params: { fit_intercept: false, tol: 1e-4, max_iter: iterations },
    grid: { C: STRENGTHS },
    scoring: ['neg_log_loss'],
    refit: false,
  });
  const seconds = (performance.now() - start) / 1000;
  return { seconds, answers: trials.map(({ meanScore }) => -meanScore.neg_log_loss!) };
}

/** What an iteration of the whole stack takes once it is under way. */
async function countIterations(
  recorder: Recorder,
  gpu: Awaited<ReturnType<BenchDevice['backend']>>,
  search: (iterations: number) => Promise<Sample>,
): Promise<void> {
  const worked = async (iterations: number) => {
    const before = gpu.work();
    await search(iterations);
    const after = gpu.work();
    return COUNTED.map((key) => after[key] - before[key]);
  };
  // Memory of the sizes that a search takes is there.
  await worked(FEW);
  const [few, many] = [await worked(FEW), await worked(MANY)];
  for (const [i, key] of COUNTED.entries()) {
    recorder.figure(`${key}_an_iteration`, (many[i]! - few[i]!) / (MANY - FEW));
  }
}
