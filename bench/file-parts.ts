/**
 * A program over frames of many files as a user writes it (Gram matrix, sums, extremes,
 * predictions): what keeping results by file costs where nothing is reused, and what one new file
 * among thirty costs in the same session. Two minutes; `--quick` some twenty seconds.
 */
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import {
  type EncodedFeature,
  Matrix,
  matrix,
  openFrame,
  type ReuseSetting,
  Session,
} from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { alternate, type Bench, type Sample } from './harness.js';
import { nameOf, splitFlights } from './incremental.js';

const AIRPORTS = 'ATL,ORD,DFW,LAX,DEN,PHX,IAH,LAS,DTW,MSP,SFO,EWR,MCO,SLC,CLT,LGA,BOS,PHL,SEA,BWI';
const FEATURES: readonly EncodedFeature[] = [
  { kind: 'number', name: 'distance', sql: 'distance', missing: 'error' },
  { kind: 'number', name: 'delay', sql: 'coalesce(delay, 0)', missing: 'error' },
  {
    kind: 'onehot',
    name: 'origin',
    sql: 'origin',
    categories: AIRPORTS.split(','),
    other: true,
    missing: false,
  },
];

export const fileParts: Bench = {
  name: 'file-parts',
  summary: 'a program over thirty-one files: cold with and without reuse, and with one file new',
  run: async (recorder, options) => {
    const size = options.quick
      ? { files: 6, rows: 20_000, rounds: 1 }
      : { files: 30, rows: 85_000, rounds: 1 };
    const folder = mkdtempSync(join(tmpdir(), 'reprise-file-parts-'));
    try {
      await splitFlights(folder, size);
      const grown = nameOf(size.files);
      const lay = (to: 'data' | 'later'): void => {
        const from = to === 'data' ? 'later' : 'data';
        renameSync(join(folder, from, grown), join(folder, to, grown));
      };
      lay('data');
      const data = join(folder, 'data');
      await alternate(
        recorder,
        [
          { name: 'reuse-off', run: () => inSession('off', (session) => program(session, data)) },
          { name: 'cold', run: () => inSession('full', (session) => program(session, data)) },
          {
            name: 'one-new',
            run: () =>
              inSession('full', async (session) => {
                lay('later');
                await program(session, data);
                lay('data');
                return program(session, data);
              }),
          },
        ],
        { rounds: options.quick ? 3 : 7, tolerance: 1e-12 },
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    recorder.medianFigure('file-parts.reuse_off_s', 'reuse-off');
    recorder.medianFigure('file-parts.cold_s', 'cold');
    recorder.medianFigure('file-parts.one_new_s', 'one-new');
    recorder.ratio('file-parts.cold_vs_reuse_off', 'cold', 'reuse-off', { atMost: 1.1 });
    recorder.ratio('file-parts.one_new_vs_cold', 'one-new', 'cold', {
      atMost: options.quick ? 0.5 : 0.15,
    });
  },
};

async function inSession(
  reuse: ReuseSetting,
  run: (session: Session) => Promise<Sample>,
): Promise<Sample> {
  const session = new Session({ local: await createCpuBackend(), reuse, spill: false });
  try {
    return await run(session);
  } finally {
    await session.close();
  }
}

/** From opening the folder to the last value. */
async function program(session: Session, data: string): Promise<Sample> {
  const start = performance.now();
  const frame = await openFrame(session, session.local.frames!, data);
  const X = Matrix.of(session, frame.encode(FEATURES));
  const weights = matrix(
    session,
    Array.from({ length: X.cols }, (_, i) => [Math.sin(i)]),
  );
  const values = await Promise.all(
    [
      X.t().matmul(X),
      X.colSums(),
      X.colMins(),
      X.colMaxs(),
      X.matmul(weights).sumSq().asMatrix(),
    ].map((one) => one.value()),
  );
  const seconds = (performance.now() - start) / 1000;
  return { seconds, answers: values.flatMap(({ data: cells }) => [...cells]) };
}
