/**
 * Writes the files of a run that ended, for their owner only. Invariant: a folder with `result.json`
 * holds all of them: it is written last, and each file appears whole.
 */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { ResourceError } from '../../driver/errors.js';
import { makeFolder } from '../../driver/support/make-folder.js';
import { syncFolder } from '../../driver/support/replace-file.js';
import type { RunRecord } from './record.js';
import { resultsCsv } from './results-csv.js';
import { summarize } from './summary.js';

export interface WriteRunOptions {
  /** Folder that holds run folders; made when it is not there. */
  readonly output: string;
  /** Its own folder. Default: that of its id. */
  readonly path?: string;
  /** The report's HTML. */
  readonly renderReport: (record: RunRecord) => string | Promise<string>;
  /** The run's folder is there, with a journal, and stays whatever happens. Default false. */
  readonly isJournaled?: boolean;
  /** Checked before `result.json` appears. */
  readonly signal?: AbortSignal;
}

/**
 * Writes the run folder and returns its path.
 * @throws ResourceError when the folder can't be written; without a journal none is left behind then
 */
export async function writeRun(record: RunRecord, options: WriteRunOptions): Promise<string> {
  const report = await options.renderReport(record);
  const files: [string, string][] = [...filesOf(record), ['report.html', report]];
  return writeRunFiles(record.run, files, (path) => resultOf(record, path), options);
}

/**
 * Writes files into a run's folder, `result.json` last, and returns the folder's path.
 * @throws as `writeRun`
 */
export async function writeRunFiles(
  run: string,
  files: readonly (readonly [name: string, content: string])[],
  resultIn: (path: string) => string,
  options: Omit<WriteRunOptions, 'renderReport'>,
): Promise<string> {
  const { output, path = join(output, run), isJournaled = false, signal } = options;
  let isOurs = false;
  try {
    await makeFolder(output);
    if (!isJournaled) {
      await mkdir(path, 0o700);
      isOurs = true;
    }
    for (const [name, content] of files) await put(join(path, name), content);
    signal?.throwIfAborted();
    await put(join(path, 'result.json'), resultIn(path));
    // Some file systems refuse to, which does no harm, and Windows has none for folders.
    for (const folder of [path, dirname(path)]) await syncFolder(folder).catch(() => {});
    return path;
  } catch (cause) {
    if (isOurs) await rm(path, { recursive: true, force: true });
    if (signal?.aborted) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    const remedy = isJournaled
      ? `make room, then \`reprise resume ${run}\``
      : 'choose another folder with --output';
    throw new ResourceError(
      `run folder: expected to write ${path}, got ${code ?? message}; ${remedy}`,
      { resource: 'disk', path },
      { cause },
    );
  }
}

function resultOf(record: RunRecord, path: string): string {
  const { lineage, program, timeline, plan, reuse, model, ...rest } = record;
  return json({ ...summarize(record, path), ...rest, reuse });
}

/** All but the report and the result. */
function filesOf(record: RunRecord): [string, string][] {
  const { lineage, program, timeline, plan, model } = record;
  const files: [string, string][] = [
    ['results.csv', resultsCsv(record.search)],
    ['lineage.json', json(lineage)],
    ['timeline.json', json(timeline)],
    ['plan.txt', plan.endsWith('\n') ? plan : `${plan}\n`],
    ['job.yaml', stringify(record.job)],
  ];
  if (program) files.push(['program.json', `${JSON.stringify(program)}\n`]);
  if (model) files.push(['model.json', json(model)]);
  return files;
}

/** As JSON; NaN and infinities, which it has no word for, become null. */
export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Only the process that has the run writes here, so the name beside it is free. */
async function put(path: string, content: string): Promise<void> {
  const file = await open(`${path}.tmp`, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.tmp`, path);
}
