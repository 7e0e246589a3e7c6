/**
 * Leaves a run's folder behind. Invariant: the folder appears whole or not at all: files are
 * written and flushed into a hidden folder beside it, which is renamed at the end and removed on
 * any failure, exit included.
 */
import { rmSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { ResourceError } from '../../driver/errors.js';
import { makeOwnFolder, sweepLeftovers } from '../../driver/support/leftovers.js';
import { makeFolder } from '../../driver/support/make-folder.js';
import type { RunRecord } from './record.js';
import { resultsCsv } from './results-csv.js';
import { summarize } from './summary.js';

export interface WriteRunOptions {
  /** Folder that holds run folders; made when it is not there. */
  readonly output: string;
  /** The report's HTML. */
  readonly renderReport: (record: RunRecord) => string;
  /** Checked before the folder appears. */
  readonly signal?: AbortSignal;
}

/**
 * Writes the run folder and returns its path.
 * @throws ResourceError when the folder can't be written; nothing is left behind then
 */
export async function writeRun(record: RunRecord, options: WriteRunOptions): Promise<string> {
  const path = join(options.output, record.run);
  const report = options.renderReport(record);
  let temporary: string | undefined;
  const removeNow = (): void => {
    if (temporary) rmSync(temporary, { recursive: true, force: true });
  };
  process.once('exit', removeNow);
  try {
    await makeFolder(options.output);
    await sweepLeftovers(options.output, [UNFINISHED]);
    temporary = await makeOwnFolder(options.output, UNFINISHED);
    for (const [name, content] of filesOf(record, path)) {
      await writeFlushed(join(temporary, name), content);
    }
    await writeFlushed(join(temporary, 'report.html'), report);
    await flush(temporary);
    options.signal?.throwIfAborted();
    await rename(temporary, path);
    temporary = undefined;
    await flush(options.output);
    return path;
  } catch (cause) {
    if (temporary) await rm(temporary, { recursive: true, force: true });
    if (options.signal?.aborted) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new ResourceError(
      `run folder: expected to write ${path}, got ${code ?? message}; choose another folder with --output`,
      { resource: 'disk', path },
      { cause },
    );
  } finally {
    process.off('exit', removeNow);
  }
}

/** Followed by the token of the process that writes the run. */
const UNFINISHED = '.unfinished-';

/** All but the report. */
function filesOf(record: RunRecord, path: string): [string, string][] {
  const { lineage, program, timeline, plan, reuse, model, ...rest } = record;
  const result = { ...summarize(record, path), ...rest, reuse };
  const files: [string, string][] = [
    ['results.csv', resultsCsv(record.search)],
    ['result.json', json(result)],
    ['lineage.json', json(lineage)],
    ['timeline.json', json(timeline)],
    ['plan.txt', plan.endsWith('\n') ? plan : `${plan}\n`],
    ['job.yaml', stringify(record.job)],
  ];
  if (program) files.push(['program.json', `${JSON.stringify(program)}\n`]);
  if (model) files.push(['model.json', json(model)]);
  return files;
}

/** NaN and infinities, which JSON has no word for, become null. */
function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

async function writeFlushed(path: string, content: string): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the names in a folder durable; some file systems refuse to, which does no harm. */
async function flush(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // Windows has no sync for folders.
  }
}
