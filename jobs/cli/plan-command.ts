/** `reprise plan`: what a job would run where, reuse and cost. Runs no kernel. */
import { jobOf } from '../job-file/read-job.js';
import { isPipeline } from '../pipeline/is-pipeline.js';
import type { EngineName } from '../runs/run-events.js';
import { readDocumentOf } from '../schedule/read-schedule.js';
import { EXIT } from './exit-codes.js';
import { interruptible } from './interrupt.js';
import { runOverrides } from './options.js';
import { planPage } from './plan-page.js';
import { createTerminal, writeData } from './terminal.js';

export interface PlanCommandOptions {
  readonly engine: EngineName;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly store?: boolean;
  readonly reuse?: string;
  readonly devices?: string;
  /** The logical date or time that templates name. */
  readonly date?: string;
}

export async function planCommand(
  file: string,
  overrides: readonly string[],
  options: PlanCommandOptions,
): Promise<number> {
  const terminal = createTerminal({ quiet: options.quiet === true });
  const { date, store } = options;
  const reading = {
    overrides: [...overrides, ...runOverrides(options)],
    ...(store === false ? { store } : {}),
  };
  const document = await readDocumentOf(file, date, reading);
  if (isPipeline(document.value)) {
    const { planPipelineCommand } = await import('./pipeline-plan.js');
    return planPipelineCommand(document, reading, terminal, options);
  }
  const job = jobOf(document, reading);
  const report = await interruptible(
    async (signal) => {
      const { planJob } = await import('../plan-job.js');
      return planJob(job, {
        engine: options.engine,
        signal,
        verbose: options.verbose === true,
      });
    },
    () => terminal.note('stopping; press Ctrl-C again to stop at once'),
  );
  for (const warning of report.warnings) terminal.note(`warning: ${warning}`);
  await writeData(
    options.json ? `${JSON.stringify(report)}\n` : planPage(report, options.verbose === true),
  );
  return EXIT.done;
}
