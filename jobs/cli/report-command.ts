/** `reprise report`: writes a run's report again from its folder, and prints where it is. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { env } from '../../driver/support/env.js';
import { replaceFile } from '../../driver/support/replace-file.js';
import { findRun, readPipelineResult, readRun } from '../runs/read-run.js';
import { EXIT } from './exit-codes.js';
import { runsFolder } from './settings.js';
import { writeData } from './terminal.js';

export interface ReportCommandOptions {
  readonly output?: string;
  readonly open?: boolean;
}

export async function reportCommand(run: string, options: ReportCommandOptions): Promise<number> {
  const folder = await findRun(run, runsFolder(options.output));
  const { renderPipelineReport, renderReport } = await import('../report/index.js');
  const pipeline = await readPipelineResult(folder);
  const report =
    pipeline === undefined ? renderReport(await readRun(folder)) : renderPipelineReport(pipeline);
  const path = join(folder, 'report.html');
  await replaceFile(path, report);
  if (options.open) openInBrowser(path);
  await writeData(`${path}\n`);
  return EXIT.done;
}

/** Best effort: on a machine without a browser the printed path is enough. */
function openInBrowser(path: string): void {
  const openers: Partial<Record<NodeJS.Platform, string>> = { darwin: 'open', win32: 'explorer' };
  const child = spawn(openers[process.platform] ?? 'xdg-open', [path], {
    detached: true,
    stdio: 'ignore',
    env: env.forChild(),
  });
  child.on('error', () => undefined);
  child.unref();
}
