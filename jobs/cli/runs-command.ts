/** `reprise runs ls`, `show`, `tag` and `rm`: runs as their folders tell, from any terminal. */
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError } from '../../driver/errors.js';
import { replaceFile } from '../../driver/support/replace-file.js';
import { formatBest, formatCount, formatSeconds, formatTable, plural } from '../format.js';
import { requireFree } from '../runs/held-run.js';
import { findRun } from '../runs/read-run.js';
import { removeRun } from '../runs/remove-run.js';
import { isRunId } from '../runs/run-id.js';
import {
  listRuns,
  lives,
  overviewOf,
  type RunOverview,
  tagsPath,
  type WaveOverview,
  waveOverviews,
} from '../runs/run-state.js';
import { EXIT } from './exit-codes.js';
import { runsFolder } from './settings.js';
import { writeData } from './terminal.js';

interface RunsOptions {
  readonly output?: string;
  readonly json?: boolean;
}

const folderOf = (run: string, { output }: RunsOptions): Promise<string> =>
  findRun(run, runsFolder(output), 'any');

export async function listCommand({ output, json }: RunsOptions): Promise<number> {
  const folder = runsFolder(output);
  const runs = await listRuns(folder);
  if (json) await writeData(`${JSON.stringify(runs)}\n`);
  else if (runs.length === 0) await writeData(`no runs in ${folder}\n`);
  else await writeData(`${listText(runs)}\n`);
  return EXIT.done;
}

function listText(runs: readonly RunOverview[]): string {
  const hasTags = runs.some(({ tags }) => tags.length > 0);
  const head = ['state', 'run', 'done', 'best', 'time', ...(hasTags ? ['tags'] : [])];
  const rows = runs.map((run) => [
    run.state,
    run.run,
    doneText(run),
    run.best === null ? '-' : formatBest(run.best),
    timeText(run),
    ...(hasTags ? [run.tags.join(' ')] : []),
  ]);
  return formatTable([head, ...rows]);
}

/** Candidates of a search, steps of a pipeline. */
function doneText(run: RunOverview): string {
  if (run.steps === undefined) return trialsText(run);
  const { done, of } = run.steps;
  return `${done} of ${plural(of, 'step')}`;
}

function trialsText({ trials: { done, of } }: RunOverview): string {
  return of === null || done === of
    ? formatCount(done)
    : `${formatCount(done)} of ${formatCount(of)}`;
}

/** From its start to its last word, or until now. */
function timeText(run: RunOverview): string {
  const end = lives(run.state) ? Date.now() : Date.parse(run.updatedAt);
  return formatSeconds(Math.max(0, Math.round((end - Date.parse(run.startedAt)) / 100) / 10));
}

const POLL_MS = 500;

export async function showCommand(
  run: string,
  options: RunsOptions & { readonly follow?: boolean },
): Promise<number> {
  const folder = await folderOf(run, options);
  let shown = await overviewOf(folder);
  if (options.follow) {
    let said = '';
    while (lives(shown.state)) {
      const line = progressText(shown);
      if (line !== said) await writeData(options.json ? `${JSON.stringify(shown)}\n` : `${line}\n`);
      said = line;
      await sleep(POLL_MS);
      shown = await overviewOf(folder);
    }
  }
  if (shown.kind === 'pipeline') {
    const { showPipeline } = await import('./pipeline-show.js');
    await showPipeline(shown, summaryLines(shown), options.json === true);
    return EXIT.done;
  }
  const waves = await waveOverviews(folder);
  await writeData(
    options.json ? `${JSON.stringify({ ...shown, waves })}\n` : `${showText(shown, waves)}\n`,
  );
  return EXIT.done;
}

function progressText(run: RunOverview): string {
  if (run.steps !== undefined) {
    const { done, of, running } = run.steps;
    const now = running.length > 0 ? `, now ${running.join(', ')}` : '';
    return `${run.state}: ${done} of ${plural(of, 'step')}${now}`;
  }
  const best = run.best === null ? '' : `, best ${formatBest(run.best)}`;
  const { done, of } = run.trials;
  const share = of === null ? 'opening the data' : `${done} of ${plural(of, 'candidate')}`;
  return `${run.state}: ${share}${best}`;
}

function showText(run: RunOverview, waves: readonly WaveOverview[]): string {
  const lines = summaryLines(run);
  if (waves.length > 1) lines.push('', wavesText(waves));
  return lines.join('\n');
}

function summaryLines(run: RunOverview): string[] {
  const { process: owner, tags, error, attempts } = run;
  const id = basename(run.path);
  const remedy = ['finished', 'running', 'stopping'].includes(run.state)
    ? ''
    : `; \`reprise resume ${id}\` goes on`;
  const where = owner ? ` in process ${owner.pid} on ${owner.host}` : '';
  return [
    `run     ${run.run}`,
    `state   ${run.state}${where}${remedy}`,
    ...(error === undefined ? [] : [`why     ${error}`]),
    ...(tags.length === 0 ? [] : [`tags    ${tags.join(' ')}`]),
    ...(run.steps
      ? [`steps   ${doneText(run)}`]
      : [
          `trials  ${trialsText(run)} candidates on ${run.engine}`,
          `best    ${run.best === null ? 'none yet' : formatBest(run.best)}`,
        ]),
    `time    ${timeText(run)}${attempts > 1 ? ` from the first of ${attempts} attempts` : ''}`,
    `folder  ${run.path}`,
  ];
}

function wavesText(waves: readonly WaveOverview[]): string {
  const rows = waves.map(({ wave, candidates, failed, state, seconds, best }) => [
    String(wave + 1),
    formatCount(candidates),
    failed === 0 ? state : `${state}, ${failed} failed`,
    seconds === null ? '' : formatSeconds(seconds),
    best === null ? '' : formatBest(best),
  ]);
  return formatTable([['wave', 'candidates', 'state', 'time', 'best'], ...rows]);
}

export async function tagCommand(
  run: string,
  changes: readonly string[],
  options: RunsOptions,
): Promise<number> {
  const folder = await folderOf(run, options);
  const tags = new Set((await overviewOf(folder)).tags);
  for (const change of changes) {
    const tag = change.replace(/^-/, '');
    if (!/^[\p{L}\p{N}][\p{L}\p{N}._:/=-]{0,99}$/u.test(tag)) {
      throw new ConfigError(
        `tag: expected a word of letters, digits and ._:/=- (up to 100), got ${JSON.stringify(change)}`,
        { key: 'tag', value: change, source: 'flag' },
      );
    }
    if (change.startsWith('-')) tags.delete(tag);
    else tags.add(tag);
  }
  await replaceFile(tagsPath(folder), `${JSON.stringify([...tags])}\n`, true);
  await writeData(`${basename(folder)}: ${[...tags].join(' ') || 'no tags'}\n`);
  return EXIT.done;
}

/** All are looked at before the first is removed. */
export async function removeCommand(
  runs: readonly string[],
  options: RunsOptions,
): Promise<number> {
  const folders = [...new Set(await Promise.all(runs.map((run) => folderOf(run, options))))];
  for (const folder of folders) {
    // One by another name has to prove that it is a run; one that is damaged has its name only.
    if (!isRunId(basename(folder))) await overviewOf(folder);
    await requireFree(folder);
  }
  for (const folder of folders) {
    await removeRun(folder);
    await writeData(`removed ${basename(folder)}\n`);
  }
  return EXIT.done;
}
