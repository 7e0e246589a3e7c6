/** A folder with a pipeline and its data, run in this process as often as a test likes. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Pipeline } from '../../jobs/pipeline/pipeline.js';
import type { PipelineEvent } from '../../jobs/pipeline/pipeline-events.js';
import { PipelineJournal } from '../../jobs/pipeline/pipeline-journal.js';
import { type PipelinePlan, planPipeline } from '../../jobs/pipeline/plan-pipeline.js';
import { parsePipeline } from '../../jobs/pipeline/read-pipeline.js';
import type { PipelineResult, StepSummary } from '../../jobs/pipeline/result.js';
import { openPipelineResume } from '../../jobs/pipeline/resume-pipeline.js';
import { runPipeline } from '../../jobs/pipeline/run-pipeline.js';
import { renderPipelineReport } from '../../jobs/report/index.js';
import { projectStore } from '../../jobs/store-place.js';
import { JobFolder } from './job-folder.js';

export interface PipelineRun {
  readonly result: PipelineResult;
  readonly events: readonly PipelineEvent[];
  /** Steps that were begun, in order. */
  readonly begun: readonly string[];
  /** How steps ended, by name. */
  readonly states: Readonly<Record<string, StepSummary['state']>>;
  readonly whys: Readonly<Record<string, string>>;
}

interface RunOptions {
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: PipelineEvent) => void;
  /** False: nothing is kept for later runs. */
  readonly store?: boolean;
}

export class PipelineFolder extends JobFolder {
  /** Steps by name, and other keys of the pipeline. */
  async pipeline(
    steps: Readonly<Record<string, object>>,
    keys: object = {},
    store = true,
  ): Promise<Pipeline> {
    const text = stringify({ kind: 'pipeline', ...keys, steps });
    this.write('nightly.yaml', text);
    const pipeline = await parsePipeline(this.file('nightly.yaml'), text, {
      output: this.file('runs'),
    });
    // Tests keep nothing unless they say so.
    return { ...pipeline, store: store ? projectStore(this.path) : null };
  }

  async runSteps(
    steps: Readonly<Record<string, object>>,
    keys: object = {},
    options: RunOptions = {},
  ): Promise<PipelineRun> {
    const pipeline = await this.pipeline(steps, keys, options.store);
    return this.#run(pipeline, await PipelineJournal.begin(pipeline, 'local'), options);
  }

  async resume(run: string, options: RunOptions = {}): Promise<PipelineRun> {
    const { pipeline, begin } = await openPipelineResume(join(this.file('runs'), run));
    const store = options.store === false ? null : projectStore(this.path);
    return this.#run({ ...pipeline, store }, await begin(), options);
  }

  async plan(steps: Readonly<Record<string, object>>): Promise<PipelinePlan> {
    const { signal } = new AbortController();
    return planPipeline(await this.pipeline(steps), { engine: 'local', signal });
  }

  read(name: string): string {
    return readFileSync(this.file(name), 'utf8');
  }

  has(name: string): boolean {
    return existsSync(this.file(name));
  }

  async #run(
    pipeline: Pipeline,
    journal: PipelineJournal,
    { signal = new AbortController().signal, onEvent }: RunOptions,
  ): Promise<PipelineRun> {
    const events: PipelineEvent[] = [];
    const result = await runPipeline(pipeline, {
      journal,
      engine: 'local',
      signal,
      renderReport: renderPipelineReport,
      onEvent: (event) => {
        events.push(event);
        onEvent?.(event);
      },
    });
    const begun = events.flatMap((event) =>
      event.kind === 'step' && event.state === 'running' ? [event.step] : [],
    );
    const { steps } = result;
    return {
      result,
      events,
      begun,
      states: Object.fromEntries(steps.map(({ step, state }) => [step, state])),
      whys: Object.fromEntries(steps.map(({ step, why }) => [step, why])),
    };
  }
}
