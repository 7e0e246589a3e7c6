/**
 * Data larger than a device's memory: a turn of logistic regression for many models (two products
 * over the data, cells between them) with all of it on the device, with room for three quarters,
 * with room for a quarter, and on the processor. On PoCL the device is this processor: copies are
 * as dear as reading, and kernels take what the processor has. A minute.
 */
import { performance } from 'node:perf_hooks';
import { type DenseMatrix, dense, type Matrix, matrix, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import type { DeviceBackend } from '../gpu-executor/device/backend.js';
import { type BenchDevice, benchDevice } from './bench-device.js';
import { alternate, type Bench, type Sample } from './harness.js';
import { randomOf } from './night-days.js';

const COLS = 100;
const MODELS = 16;
const TURNS = 4;
/** What the device may hold, in sizes of the data. */
const MEMORIES = { resident: 3, part: 1 / 1.3, streamed: 1 / 4 } as const;
const COUNTED = ['allocations', 'bytesIn', 'launches', 'waits'] as const;

interface Place {
  readonly session: Session;
  readonly gpu?: DeviceBackend;
  readonly operands: readonly [data: Matrix, target: Matrix];
}

type Operands = readonly [data: DenseMatrix, target: DenseMatrix];

export const deviceStream: Bench = {
  name: 'device-stream',
  summary: 'passes over data larger than the memory of a device; on PoCL without a GPU',
  run: async (recorder, options) => {
    const device = benchDevice(recorder, options);
    if (device === undefined) return;
    const rounds = options.quick ? 2 : 5;
    const rows = (options.quick ? 1 : 3) * (device.properties.isProcessor ? 20_000 : 400_000);
    const bytes = rows * COLS * Float64Array.BYTES_PER_ELEMENT;
    recorder.note(`${rows} x ${COLS} cells, ${MODELS} models, seconds a turn`);
    const operands = [cells(rows, COLS, 1), cells(rows, 1, 2)] as const;
    const places: Record<string, Place> = { processor: await placeOn(operands) };
    for (const [name, share] of Object.entries(MEMORIES)) {
      places[name] = await placeOn(operands, device, Math.round(share * bytes));
    }
    try {
      const sides = Object.entries(places).map(([name, place]) => ({
        name,
        run: async (): Promise<Sample> => {
          const { gpu } = place;
          const before = gpu?.work();
          const start = performance.now();
          const answers = await train(place);
          const seconds = (performance.now() - start) / 1000 / TURNS;
          const after = gpu?.work();
          for (const key of COUNTED) {
            if (after && before)
              recorder.sample(`${name}_${key}`, (after[key] - before[key]) / TURNS);
          }
          return { seconds, answers };
        },
      }));
      await alternate(recorder, sides, { rounds, tolerance: 1e-9 });
      for (const name of Object.keys(places)) recorder.medianFigure(`${name}_seconds`, name);
      for (const name of Object.keys(MEMORIES)) {
        for (const key of COUNTED) recorder.medianFigure(`${name}_${key}_a_turn`, `${name}_${key}`);
      }
      recorder.pairedRatio('streamed_over_resident', 'streamed', 'resident', { atMost: 2 });
      recorder.pairedRatio('part_over_resident', 'part', 'resident', { atMost: 2 });
      recorder.pairedRatio('streamed_over_processor', 'streamed', 'processor');
    } finally {
      await Promise.all(Object.values(places).map(({ session }) => session.close()));
    }
  },
};

/** On the processor, or on the device whatever it has kernels for. */
async function placeOn(operands: Operands, device?: BenchDevice, memoryBytes = 0): Promise<Place> {
  const local = await createCpuBackend();
  const on = (session: Session): Pick<Place, 'session' | 'operands'> => {
    const [data, target] = operands;
    return { session, operands: [matrix(session, data), matrix(session, target)] };
  };
  if (device === undefined) return on(new Session({ local, spill: false, reuse: 'off' }));
  const gpu = await device.backend({ memoryBytes });
  const rest = { placement: 'devices', spill: false, reuse: 'off' } as const;
  return { ...on(new Session({ local, devices: [gpu], ...rest })), gpu };
}

/** Turns, each a plan: the weights come back to the host, as those of a search do. */
async function train({ session, operands: [x, y] }: Place): Promise<number[]> {
  let weights: DenseMatrix = cells(COLS, MODELS, 3);
  for (let i = 0; i < TURNS; i++) {
    const w = matrix(session, weights);
    const errors = x.matmul(w).sigmoid().sub(y);
    weights = await w
      .sub(
        x
          .t()
          .matmul(errors)
          .mul(1 / x.rows),
      )
      .value();
  }
  return [...weights.data];
}

function cells(rows: number, cols: number, seed: number): DenseMatrix {
  const next = randomOf(seed);
  const data = Float64Array.from({ length: rows * cols }, () => next() - 0.5);
  return dense(rows, cols, data);
}
