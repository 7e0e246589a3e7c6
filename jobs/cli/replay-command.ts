/** `reprise replay`: computes a run's lineage again elsewhere and compares with what was stored. */
import { formatCount, formatNumber } from '../format.js';
import type { Replay, ReplayEngine } from '../lineage/replay.js';
import { findRun } from '../runs/read-run.js';
import { EXIT } from './exit-codes.js';
import { interruptible } from './interrupt.js';
import { runsFolder } from './settings.js';
import { createTerminal, writeData } from './terminal.js';

export interface ReplayCommandOptions {
  readonly engine: ReplayEngine;
  readonly output?: string;
  readonly step?: string;
  readonly json?: boolean;
}

/** Answers the exit code: 0, or 4 when the values differ. */
export async function replayCommand(run: string, options: ReplayCommandOptions): Promise<number> {
  const folder = await findRun(run, runsFolder(options.output));
  const { engine, step } = options;
  const replay = await interruptible(
    async (signal) => {
      const { replayRun } = await import('../lineage/replay.js');
      return replayRun(folder, { engine, signal, ...(step === undefined ? {} : { step }) });
    },
    () => createTerminal({ quiet: false }).note('stopping; press Ctrl-C again to stop at once'),
  );
  await writeData(options.json ? `${JSON.stringify(replay)}\n` : replayText(replay));
  return replay.agrees ? EXIT.done : EXIT.replayDiffers;
}

function replayText({ run, engine, values, compared, tolerance, note, agrees }: Replay): string {
  const lines = [`${run} on ${engine}, nothing reused`];
  for (const { name, rows, cols, sum } of values) {
    lines.push(`  ${name}: ${rows}x${cols}, sum ${formatNumber(sum)}`);
  }
  for (const { what, count, difference, where, agrees: same } of compared) {
    const verdict = same ? 'agree' : `differ, most at ${where}`;
    lines.push(
      `${what}: ${formatCount(count)} compared, ${verdict} (largest difference ${difference === 0 ? '0' : difference.toExponential(1)})`,
    );
  }
  const limit = `the tolerance of ${tolerance.toExponential(0)}, relative to max(1, stored)`;
  if (compared.length === 0) lines.push('the run stored no value of this step to compare with');
  else lines.push(agrees ? `all within ${limit}` : `beyond ${limit}`);
  if (note !== null) lines.push(`note: ${note}`);
  return `${lines.join('\n')}\n`;
}
