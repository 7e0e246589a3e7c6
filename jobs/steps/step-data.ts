/** The data of a step's inputs and where its results go, as engines take them. */
import { extname } from 'node:path';
import { withoutFileScheme } from '../../driver/frame/files.js';
import { isRemote } from '../../driver/frame/identity.js';
import { DataError, type FrameEngine } from '../../driver/index.js';
import type { FrameDescription } from '../../driver/ir/frame-engine.js';
import type { CsvWriteOptions, QueryFormat } from '../../gpu-executor/cpu/index.js';
import { dataBytes } from '../data-bytes.js';
import { chooseEngine } from '../engines.js';
import type { Job } from '../job-file/job.js';
import type { ResolvedInput, StepPlanContext } from './step-kind.js';

/**
 * An input's files on an engine.
 * @throws DataError when they are not, or no longer, what the step's key was made of
 */
export async function describeInput(
  frames: FrameEngine,
  { name, path, read, files }: ResolvedInput,
): Promise<FrameDescription> {
  const description = await frames.describe(path, read);
  const now = description.source.files.map(({ digest }) => digest);
  if (now.join() !== files.map(({ digest }) => digest).join()) {
    throw new DataError(
      `input ${name}: expected ${path} to stay as it was when the step began, it changed; run again once it is written`,
      { path },
    );
  }
  return description;
}

/** The engine for an input's data, by the engine that is asked for, their place and their size. */
export async function engineByData(
  context: StepPlanContext,
  input: string,
  dialect: Job['data']['dialect'],
): Promise<'local' | 'spark'> {
  const { path } = context.input(input);
  return (await chooseEngine(context.engine, path, dataBytes, dialect)).engine;
}

/** What a place is written as. */
export type PlaceKind = 'parquet' | 'csv' | 'folder' | 'table' | 'remote';

/** By how a place is written; undefined for a file of another kind. */
export function placeKind(place: string): PlaceKind | undefined {
  if (/^table:\/\//i.test(place)) return 'table';
  if (isRemote(place) && !/^file:/i.test(place)) return 'remote';
  const path = withoutFileScheme(place);
  if (path.endsWith('/') || extname(path) === '') return 'folder';
  if (/\.(parquet|pq)$/i.test(path)) return 'parquet';
  return /\.csv(\.gz)?$/i.test(path) ? 'csv' : undefined;
}

/** A CSV file of this name: compressed where it ends in `.gz`. */
export function csvFormat(place: string, csv: CsvWriteOptions = {}): QueryFormat {
  const compression = /\.gz$/i.test(place) ? { compression: 'gzip' as const } : {};
  return { format: 'csv', csv: { ...csv, ...compression } };
}

/** Whether data at a path are read by Spark only. */
export function isOfSpark(path: string): boolean {
  return isSparkPlace(placeKind(path));
}

export function isSparkPlace(kind: PlaceKind | undefined): boolean {
  return kind === 'table' || kind === 'remote';
}
