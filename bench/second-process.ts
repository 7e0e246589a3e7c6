/**
 * The flights search by one process, then by another that finds everything in the durable store:
 * whole process, start to end, as its user runs it. A fresh store for each pair. About a minute.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bringData } from './bring-data.js';
import { type Bench, checkAnswers } from './harness.js';
import { repoRoot } from './paths.js';
import { measureRun } from './process-usage.js';

interface RunAnswer {
  readonly best: { readonly params: { readonly lambda: number }; readonly score: number };
  readonly passes: number;
  readonly seconds: Readonly<Record<string, number>>;
}

export const secondProcess: Bench = {
  name: 'second-process',
  summary: 'the flights search in a second process, from the durable store, whole process',
  run: async (recorder, options) => {
    const rounds = options.quick ? 1 : 5;
    let passes = 0;
    for (let round = 0; round < rounds; round++) {
      const folder = mkdtempSync(join(tmpdir(), 'reprise-bench-'));
      try {
        const answers: number[][] = [];
        for (const which of ['first', 'second']) {
          const usage = await runFlights(folder, which);
          const answer = JSON.parse(usage.stdout) as RunAnswer;
          recorder.sample(which, usage.seconds);
          for (const [phase, seconds] of Object.entries(answer.seconds)) {
            recorder.sample(`${which}.phase.${phase}`, seconds);
          }
          answers.push([answer.best.params.lambda, answer.best.score]);
          if (which === 'second') passes = Math.max(passes, answer.passes);
          recorder.progress(`${which} ${usage.seconds.toFixed(2)} s, ${answer.passes} passes`);
        }
        // The same bits: a stored result is the result.
        checkAnswers('the second process', answers[1]!, 'the first', answers[0]!, 0);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
    recorder.figure('second-process.passes', passes, { atMost: 0 });
    recorder.medianFigure('second-process.first_s', 'first');
    recorder.medianFigure('second-process.second_s', 'second', { atMost: 2 });
    recorder.ratio('second-process.first_vs_second', 'first', 'second');
  },
};

async function runFlights(folder: string, which: string) {
  const path = `data.path=${await bringData('flights')}`;
  const example = join(repoRoot(), 'examples', 'flights.yaml');
  const output = join(folder, `runs-${which}`);
  const args = [example, path, '--engine', 'local', '--output', output];
  return measureRun(args, { REPRISE_STORE: join(folder, 'store') });
}
