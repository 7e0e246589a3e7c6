/**
 * `examples/late-flights.yaml` as its user runs it, under `--reuse off` and `full`: Hyperband by rows as
 * the file has it, then by iterations with 9 penalties of each model. Whole processes without a store,
 * by turns; survivors and the scores of all trials are compared before a time counts.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReuseSetting } from '../driver/index.js';
import { readRun } from '../jobs/runs/read-run.js';
import type { Bench, Recorder, Sample } from './harness.js';
import { repoRoot } from './paths.js';
import { measureRun } from './process-usage.js';
import { settingsTable } from './settings-table.js';

interface Budget {
  readonly name: string;
  /** What the command line says besides the file. */
  readonly overrides: readonly string[];
  /** Largest relative difference of a score. */
  readonly tolerance: number;
}

const BUDGETS: readonly Budget[] = [
  // A fit that begins at the weights of the rung before ends within its tolerance, not at the same bits.
  { name: 'rows', overrides: [], tolerance: 1e-4 },
  {
    name: 'iterations',
    overrides: [
      ...['search.resource=iterations', 'search.min_resources=4', 'search.max_resources=108'],
      'search.grid.C={logspace: [-5, 1, 9]}',
    ],
    tolerance: 1e-9,
  },
];
const SETTINGS = ['off', 'full'] as const;
/** Of MEMPHIS on its task. */
const PAPER = 2.6;

export const hyperbandSettings: Bench = {
  name: 'hyperband-settings',
  summary: 'the late flights example by rows and by iterations: reuse off and full (8 minutes)',
  run: async (recorder, { quick }) => {
    for (const budget of BUDGETS) {
      await settingsTable(recorder, {
        name: budget.name,
        run: async (reuse) => ({ first: await once(recorder, budget, reuse) }),
        settings: SETTINGS,
        ...{ rounds: quick ? 1 : 5, warmups: 0, tolerance: budget.tolerance, atLeast: PAPER },
      });
      for (const reuse of SETTINGS) {
        const passes = `${budget.name}.${reuse}.passes`;
        recorder.medianFigure(passes, passes);
      }
    }
  },
};

/** One run of the command line; its answers are each trial's penalty and scores. */
async function once(
  recorder: Recorder,
  { name, overrides }: Budget,
  reuse: ReuseSetting,
): Promise<Sample> {
  const output = mkdtempSync(join(tmpdir(), 'reprise-bench-'));
  try {
    const file = join(repoRoot(), 'examples', 'late-flights.yaml');
    const options = ['--engine', 'local', '--reuse', reuse, '--output', output];
    const { seconds, stdout } = await measureRun([file, ...overrides, ...options]);
    const { path } = JSON.parse(stdout) as { readonly path: string };
    const { passes, search } = await readRun(path);
    recorder.sample(`${name}.${reuse}.passes`, passes);
    const answers = search.trials.flatMap(({ params, splitScores }) => [
      params.C as number,
      ...splitScores.roc_auc!,
    ]);
    return { seconds, answers };
  } finally {
    rmSync(output, { recursive: true, force: true });
  }
}
