/**
 * What a pipeline's steps left, run after run: a folder for their outputs and a line for each step
 * that was done. Invariants: a record stands there before anyone is told of it, and only after its
 * outputs; one that can't be read costs running its step again, and nothing else.
 */
import { createHash } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../../driver/support/make-folder.js';
import { readOwnFile } from '../../driver/support/plain-file.js';
import { type Dated, parseRecords, RecordWriter } from '../runs/record-lines.js';
import { slug } from '../runs/run-id.js';
import { makeProject, type StorePlace } from '../store-place.js';
import type { Pipeline } from './pipeline.js';
import type { StepRecord } from './step-record.js';

/** Lines a file may have for each step before it is written anew. */
const MOST_LINES_A_STEP = 50;

/** The folder that a pipeline's steps are kept in; undefined where nothing outlives a run. */
export function stepsFolder({ name, folder, store }: Pipeline): string | undefined {
  if (store === null) return undefined;
  const plain = slug(name);
  const mark = createHash('sha256').update(name).digest('hex').slice(0, 8);
  return join(projectFolder(folder, store), 'steps', plain === name ? plain : `${plain}-${mark}`);
}

/** Makes the folder that `stepsFolder` names, in a project of ours. @throws the file system's error */
export async function makeStepsFolder(pipeline: Pipeline, folder: string): Promise<void> {
  const { store } = pipeline;
  if (store !== null) await makeProject(projectFolder(pipeline.folder, store));
  await makeFolder(folder);
}

/** Beside the pipeline file, unless the project's store is elsewhere. */
function projectFolder(folder: string, { project }: StorePlace): string {
  return project ?? join(folder, '.reprise');
}

const recordsPath = (folder: string): string => join(folder, 'records.jsonl');

/** The last record of each step. Lines that can't be read are passed over. */
export async function readStepRecords(folder: string): Promise<Map<string, Dated<StepRecord>>> {
  return (await readLines(folder)).records;
}

async function readLines(
  folder: string,
): Promise<{ readonly records: Map<string, Dated<StepRecord>>; readonly lines: number }> {
  const text = await readOwnFile(recordsPath(folder)).catch(() => '');
  const lines = parseRecords<StepRecord>(text);
  const records = new Map<string, Dated<StepRecord>>();
  for (const { record } of lines) {
    if (record === undefined) continue;
    // The latest stands last, for who reads the steps in the order in which they were done.
    records.delete(record.step);
    records.set(record.step, record);
  }
  return { records, lines: lines.length };
}

/** The records of a pipeline, open for those of this run. */
export class StepRecords {
  readonly folder: string;
  readonly #known: Map<string, StepRecord>;
  readonly #writer: RecordWriter<StepRecord>;

  private constructor(
    folder: string,
    known: Map<string, StepRecord>,
    writer: RecordWriter<StepRecord>,
  ) {
    this.folder = folder;
    this.#known = known;
    this.#writer = writer;
  }

  /** @param folder as `makeStepsFolder` made it @throws the file system's error */
  static async open(folder: string): Promise<StepRecords> {
    const { records, lines } = await readLines(folder);
    const isLong = lines > MOST_LINES_A_STEP * Math.max(8, records.size);
    const path = recordsPath(folder);
    const writer = await RecordWriter.open<StepRecord>(
      isLong ? `${path}.next` : path,
      '`reprise resume` the run',
    );
    if (isLong) {
      for (const { at: _, ...record } of records.values()) await writer.append(record);
      await rename(`${path}.next`, path);
      writer.moved(path);
    }
    return new StepRecords(folder, records, writer);
  }

  get(step: string): StepRecord | undefined {
    return this.#known.get(step);
  }

  /** Resolves once it is on the disk. @throws ResourceError when it can't be */
  async add(record: StepRecord): Promise<void> {
    await this.#writer.append(record);
    this.#known.set(record.step, record);
  }

  close(): Promise<void> {
    return this.#writer.close();
  }
}

/** Where a step's output is kept that names no place. */
export function ownOutputPath(folder: string, step: string, file: string): string {
  return join(folder, step, file);
}
