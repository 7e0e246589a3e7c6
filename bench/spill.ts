/**
 * Values that memory can't hold are asked for twice, by turns with and without files for what
 * leaves memory: of values made faster than the disk takes them, about as fast, and far slower. Six
 * minutes.
 */
import { performance } from 'node:perf_hooks';
import { type Matrix, matrix, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { alternate, type Bench, type Recorder, type Sample } from './harness.js';

const CELLS = 1_000_000;
const VALUE_BYTES = CELLS * 8;
const CACHE_BYTES = 16 * VALUE_BYTES;

type Backend = Awaited<ReturnType<typeof createCpuBackend>>;

interface Case {
  readonly name: 'light' | 'even' | 'heavy';
  readonly values: number;
  readonly rounds: number;
  /** Makes the program: the value of turn `i`, a million cells each. */
  readonly program: (session: Session) => (i: number) => Matrix;
  readonly gainAgain?: number;
  readonly trafficGb?: number;
  readonly whole: number;
}

const cases: readonly Case[] = [
  {
    name: 'light',
    values: 200,
    rounds: 4,
    program: (session) => {
      const x = square(session);
      return (i) => x.mul(1 + (i + 1) / 1000);
    },
    whole: 0.95,
  },
  {
    name: 'even',
    values: 48,
    rounds: 4,
    program: (session) => {
      const x = square(session);
      // The middle product is made unequal by its factor, so that nothing else is shared.
      return (i) =>
        x
          .mul(1 + (i + 1) / 1000)
          .matmul(x)
          .matmul(x);
    },
    whole: 0.95,
  },
  {
    name: 'heavy',
    values: 175,
    rounds: 4,
    // A grid of penalties: 625 right-hand sides with 1600 unknowns each.
    program: (session) => {
      const gram = cellsOf(session, 1600, 1600, (row, col) => Math.sin(row * col) / 1600);
      const targets = cellsOf(session, 1600, 625, (row, col) => Math.sin(row + 1600 * col));
      return (i) => gram.addDiag(10 + i).solve(targets, { assume: 'spd' });
    },
    gainAgain: 2,
    trafficGb: 10,
    whole: 1.2,
  },
];

export const spill: Bench = {
  name: 'spill',
  summary: 'values over the local disk against computing them again, cheap ones and dear ones',
  run: async (recorder, options) => {
    const backend = await createCpuBackend();
    for (const one of cases) {
      await measure(recorder, backend, options.quick ? quickly(one) : one);
    }
    await backend.close();
    recorder.note(
      'files are read from the page cache where memory is free, as those of any session that holds less than the machine has',
    );
  },
};

function quickly({ trafficGb: _, ...one }: Case): Case {
  return { ...one, values: Math.ceil(one.values / 5), rounds: 1 };
}

async function measure(recorder: Recorder, backend: Backend, one: Case): Promise<void> {
  const { name } = one;
  const seen = { written: 0, read: 0, kernels: { on: 0, off: 0 }, write: 0, reading: 0 };
  const side = (toDisk: boolean) => {
    const which = toDisk ? 'on' : 'off';
    return {
      name: `${name}.${which}`,
      warmups: 0,
      run: async (): Promise<Sample> => {
        const found = await twice(backend, one, toDisk);
        recorder.sample(`${name}.${which}.first`, found.first);
        recorder.sample(`${name}.${which}.again`, found.again);
        seen.kernels[which] = found.kernelsAgain;
        seen.written += found.written;
        seen.read += found.read;
        if (toDisk) Object.assign(seen, { write: found.write, reading: found.reading });
        return { seconds: found.first + found.again, answers: found.answers };
      },
    };
  };
  for (const toDisk of [true, false]) await twice(backend, { ...one, values: 20 }, toDisk);
  await alternate(recorder, [side(true), side(false)], { rounds: one.rounds, tolerance: 0 });
  recorder.figure(`spill.${name}.written_gb`, seen.written / 1e9);
  recorder.figure(`spill.${name}.read_gb`, seen.read / 1e9);
  recorder.figure(
    `spill.${name}.traffic_gb`,
    (seen.written + seen.read) / 1e9,
    one.trafficGb === undefined ? undefined : { atLeast: one.trafficGb },
  );
  recorder.figure(`spill.${name}.kernels_again`, seen.kernels.on);
  recorder.figure(`spill.${name}.kernels_again_without`, seen.kernels.off);
  recorder.pairedRatio(`spill.${name}.first_overhead`, `${name}.on.first`, `${name}.off.first`);
  recorder.pairedRatio(
    `spill.${name}.again_gain`,
    `${name}.off.again`,
    `${name}.on.again`,
    one.gainAgain === undefined ? undefined : { atLeast: one.gainAgain },
  );
  recorder.pairedRatio(`spill.${name}.whole_gain`, `${name}.off`, `${name}.on`, {
    atLeast: one.whole,
  });
  recorder.note(
    `${name}: the disk by what was measured last: write ${(seen.write / 1e6).toFixed(0)} MB/s, read ${(seen.reading / 1e6).toFixed(0)} MB/s`,
  );
}

const square = (session: Session): Matrix =>
  cellsOf(session, 1000, 1000, (row, col) => Math.sin(1000 * row + col) / 1000);

/** Given data, which no cache may drop. */
function cellsOf(
  session: Session,
  rows: number,
  cols: number,
  cell: (row: number, col: number) => number,
): Matrix {
  const cells = Float64Array.from({ length: rows * cols }, (_, i) =>
    cell(Math.floor(i / cols), i % cols),
  );
  return matrix(session, rows, cols, cells, { copy: false });
}

/** Every value twice, in order, so that the oldest has left memory when it is asked for again. */
async function twice(backend: Backend, { values, program }: Case, toDisk: boolean) {
  const session = new Session({
    local: backend,
    cacheBytes: CACHE_BYTES,
    ...(toDisk ? {} : { spill: false }),
  });
  const turn = program(session);
  const answers: number[] = [];
  // What all values share is there before the clock starts.
  await turn(values).value();
  let kernels = 0;
  const pass = async (): Promise<number> => {
    kernels = session.statistics.kernels;
    const start = performance.now();
    for (let i = 0; i < values; i++) answers.push((await turn(i).value()).data[CELLS / 2 + 1]!);
    return (performance.now() - start) / 1000;
  };
  const first = await pass();
  const again = await pass();
  const tier = session.cache.spill;
  const found = {
    answers,
    first,
    again,
    kernelsAgain: session.statistics.kernels - kernels,
    written: tier?.writtenBytes ?? 0,
    read: tier?.readBytes ?? 0,
    write: tier?.writing.bytesPerSecond ?? 0,
    reading: tier?.reading.bytesPerSecond ?? 0,
  };
  session.cache.close();
  return found;
}
