/**
 * The cleaning pipelines of `../cleaning.ts` in a warm process and in one of their own, against the
 * same by hand in NumPy and SystemDS with its reuse, also with the largest cache that this machine
 * has room for: its cache is a share of its memory, and with less it evicts.
 */
import { performance } from 'node:perf_hooks';
import { matrix, Session } from '../../driver/index.js';
import { together } from '../cleaning.js';
import { loadMatrix } from '../data.js';
import type { Bench } from '../harness.js';
import { benchFile } from '../paths.js';
import { systemDsData } from '../rivals/systemds-rival.js';
import { comparePeers, type Task } from './task.js';

const LARGEST_HEAP = '18g';

export const cleaningTask: Task = {
  name: 'cleaning',
  load: () => {
    const data = [loadMatrix('dirty_X'), loadMatrix('reg_y')];
    return async (local) => {
      const session = new Session({ local });
      const [X, y] = data.map((value) => matrix(session, value, { copy: false }));
      const start = performance.now();
      const answers = await together(session, X!, y!);
      return { seconds: (performance.now() - start) / 1000, answers };
    };
  },
};

export const workloadCleaning: Bench = {
  name: 'workload-cleaning',
  summary: 'cleaning, 100,000 x 100, 12 pipelines: by hand, SystemDS, whole processes (5 minutes)',
  run: (recorder, options) =>
    comparePeers(recorder, options, {
      task: cleaningTask,
      python: { script: benchFile('rivals/cleaning.py'), argv: (mode) => [mode] },
      peers: { hand: { peer: 'numpy', rounds: 9 } },
      systemds: {
        script: benchFile('rivals/cleaning.dml'),
        named: { X: systemDsData('dirty_X'), y: systemDsData('reg_y') },
        settings: {
          base: { lineage: 'base' },
          reuse_multilevel: { lineage: 'reuse_multilevel' },
          [`reuse_multilevel_${LARGEST_HEAP}`]: {
            lineage: 'reuse_multilevel',
            heap: LARGEST_HEAP,
          },
        },
      },
      answers: [0],
      tolerance: 1e-8,
    }),
};
