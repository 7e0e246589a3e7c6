/**
 * The flights example as its user runs it: the command line in a process of its own, start to end,
 * on each engine, and a second run of the same job in one process, which must not touch the data.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { ExecutionError } from '../driver/errors.js';
import { openSession } from '../jobs/engines.js';
import { readJob } from '../jobs/job-file/read-job.js';
import { runJob } from '../jobs/run-job.js';
import { bringData } from './bring-data.js';
import { type Bench, checkAnswers, type Recorder } from './harness.js';
import { repoRoot } from './paths.js';
import { measureRun } from './process-usage.js';

const EXAMPLE = join('examples', 'flights.yaml');

interface RunAnswer {
  readonly best: { readonly params: { readonly lambda: number }; readonly score: number };
  readonly trials: number;
  readonly folds: number;
  readonly passes: number;
  readonly seconds: Readonly<Record<string, number>>;
}

export const flights: Bench = {
  name: 'flights',
  summary: 'the flights example through the command line, whole process, local and embedded Spark',
  run: async (recorder, options) => {
    const rounds = options.quick ? 1 : 5;
    const answers: number[][] = [];
    for (let round = 0; round < rounds; round++) {
      for (const engine of ['local', 'spark'] as const) {
        answers.push(await once(recorder, engine));
        checkAnswers(engine, answers.at(-1)!, 'the first run', answers[0]!, 1e-9);
      }
    }
    recorder.medianFigure('flights.local.s', 'local', { atMost: 2.5 });
    recorder.figure(
      'flights.local.peak_rss_mib',
      recorder.summary('local.peak_mib').max,
      { atMost: 2048 },
      ['local.peak_mib'],
    );
    recorder.medianFigure('flights.spark.s', 'spark', { atMost: 9 });
    recorder.figure(
      'flights.spark.peak_rss_mib',
      recorder.summary('spark.peak_mib').max,
      undefined,
      ['spark.peak_mib'],
    );
    recorder.note('peaks are the largest of all runs; for Spark, driver and JVM together');
  },
};

/** One run of the command line; its answers are the best penalty and score. */
async function once(recorder: Recorder, engine: 'local' | 'spark'): Promise<number[]> {
  const output = mkdtempSync(join(tmpdir(), 'reprise-bench-'));
  try {
    const usage = await measureRun([
      join(repoRoot(), EXAMPLE),
      `data.path=${await bringData('flights')}`,
      '--engine',
      engine,
      '--output',
      output,
    ]);
    const answer = JSON.parse(usage.stdout) as RunAnswer;
    recorder.sample(engine, usage.seconds);
    recorder.sample(`${engine}.peak_mib`, engine === 'local' ? usage.peakMib : usage.treePeakMib);
    for (const [phase, seconds] of Object.entries(answer.seconds)) {
      recorder.sample(`${engine}.phase.${phase}`, seconds);
    }
    recorder.progress(
      `${engine} ${usage.seconds.toFixed(2)} s, ${usage.peakMib.toFixed(0)} MiB, ${answer.trials * answer.folds} fits, ${answer.passes} passes`,
    );
    if (answer.passes !== 1) {
      throw new ExecutionError(
        `flights: expected 1 pass over the data on ${engine}, got ${answer.passes}`,
        { op: 'bench' },
      );
    }
    return [answer.best.params.lambda, answer.best.score];
  } finally {
    rmSync(output, { recursive: true, force: true });
  }
}

export const flightsRerun: Bench = {
  name: 'flights-rerun',
  summary: 'the flights example twice in one process: the second run must not read the data',
  run: async (recorder, options) => {
    const path = await bringData('flights');
    const job = await readJob(join(repoRoot(), EXAMPLE), { overrides: [`data.path=${path}`] });
    const rounds = options.quick ? 1 : 5;
    let passes = 0;
    let scans = 0;
    for (let round = 0; round < rounds; round++) {
      const open = await openSession('local');
      try {
        const scores: number[][] = [];
        for (const which of ['first', 'second']) {
          const start = performance.now();
          const record = await runJob(job, { engine: 'local', open });
          recorder.sample(which, (performance.now() - start) / 1000);
          scores.push(record.search.trials.map((trial) => trial.meanScore[record.search.refit]!));
          if (which === 'second') {
            passes = Math.max(passes, record.passes);
            scans = Math.max(scans, record.scans);
          }
        }
        // The same bits, not nearly: a reused result is the result.
        checkAnswers('the second run', scores[1]!, 'the first', scores[0]!, 0);
      } finally {
        await open.session.close();
      }
    }
    recorder.figure('flights-rerun.passes', passes, { atMost: 0 });
    recorder.figure('flights-rerun.scans', scans, { atMost: 0 });
    recorder.medianFigure('flights-rerun.first_s', 'first');
    recorder.medianFigure('flights-rerun.second_s', 'second');
    recorder.ratio('flights-rerun.first_vs_second', 'first', 'second');
  },
};
