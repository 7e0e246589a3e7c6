/** `reprise predict`: scores new data by the model of a run, to a file, a folder or a table. */
import type { ReuseSetting } from '../../driver/index.js';
import { formatCount, formatNumber, formatSeconds, formatTable, plural } from '../format.js';
import type { OutputName } from '../predict/output-names.js';
import type { PredictSummary } from '../predict/predict.js';
import type { EngineName } from '../runs/run-events.js';
import { EXIT } from './exit-codes.js';
import { interruptible } from './interrupt.js';
import { runsFolder } from './settings.js';
import { createTerminal, writeData } from './terminal.js';

export interface PredictCommandOptions {
  readonly engine: EngineName;
  readonly reuse?: ReuseSetting;
  readonly out?: string;
  readonly output?: readonly OutputName[];
  readonly keep?: readonly string[];
  readonly runs?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export async function predictCommand(
  run: string,
  data: string,
  options: PredictCommandOptions,
): Promise<number> {
  const terminal = createTerminal({ quiet: options.quiet === true });
  const { readModel } = await import('../model/read-model.js');
  const found = await readModel(run, runsFolder(options.runs));
  const { engine, reuse, out, output, keep } = options;
  const { summary, table } = await interruptible(
    async (signal) => {
      const { predict } = await import('../predict/predict.js');
      return predict(found, data, {
        engine,
        signal,
        ...(reuse === undefined ? {} : { reuse }),
        ...(out === undefined ? {} : { out }),
        ...(output === undefined ? {} : { outputs: output }),
        ...(keep === undefined ? {} : { keep }),
        onEvent: (event) => {
          if (event.kind === 'engine') terminal.note(`engine: ${event.engine} (${event.reason})`);
          if (event.kind === 'data') terminal.note(`data: bringing ${event.what} through npm`);
          if (event.kind === 'setup') terminal.note(event.what);
          if (event.kind === 'warning') terminal.note(`warning: ${event.message}`);
        },
      });
    },
    () => terminal.note('stopping; press Ctrl-C again to stop at once'),
  );
  if (options.json)
    await writeData(`${JSON.stringify({ ...summary, ...(table ? { table } : {}) })}\n`);
  else if (table === undefined) await writeData(summaryText(summary, found.path));
  else {
    await writeData(`${formatTable(table.map((row) => shownRow(row, keep?.length ?? 0)))}\n`);
    const left = summary.rows - (table.length - 1);
    if (left > 0) terminal.note(`${formatCount(left)} more rows; --out FILE writes them all`);
  }
  return EXIT.done;
}

/** Columns of the data as they are; long decimals of the model's own to the digits people read. */
function shownRow(row: readonly string[], kept: number): string[] {
  return row.map((cell, c) => {
    const isLong = c >= kept && /^-?\d+\.\d{7,}(e[+-]?\d+)?$/.test(cell);
    return isLong ? formatNumber(Number(cell)) : cell;
  });
}

function summaryText(summary: PredictSummary, model: string): string {
  const { rows, rowsRead, files, filesScored, filesRemoved, seconds, engine, out } = summary;
  const kept = files - filesScored;
  const equal = rowsRead - summary.rowsComputed;
  const notes = [
    ...(equal > 0 ? [`${formatCount(equal)} equal to others, of which the model decided`] : []),
    ...(kept > 0 ? [`${plural(kept, 'file')} scored before`] : []),
    ...(filesRemoved > 0 ? [`${plural(filesRemoved, 'file')} removed`] : []),
  ];
  return `${[
    `model   ${model}`,
    `rows    ${formatCount(rows)} in ${plural(files, 'file')}, ${formatCount(rowsRead)} read on ${engine}${notes.length > 0 ? `; ${notes.join(', ')}` : ''}`,
    `time    ${formatSeconds(seconds)}`,
    `out     ${out}`,
  ].join('\n')}\n`;
}
