/**
 * Predicts for the rows of new data: opens them, computes decision values on the engine and writes
 * what was asked for, in the order of the rows. Invariants: a file of predictions appears whole or
 * not at all; local memory is bounded by a block, and what is to be written spills to disk.
 */
import { stat } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { withoutFileScheme } from '../../driver/frame/files.js';
import { isRemote, verifyUnchanged } from '../../driver/frame/identity.js';
import { subSource } from '../../driver/frame/parts.js';
import { ConfigError, type FrameSource, type ReuseSetting } from '../../driver/index.js';
import type { FrameDescription } from '../../driver/ir/frame-engine.js';
import type {
  NumberTable,
  NumberTableOptions,
  WrittenFormat,
} from '../../gpu-executor/cpu/index.js';
import { dataBytes } from '../data-bytes.js';
import { chooseEngine, DIALECT_ENGINES, type OpenSession, openSession } from '../engines.js';
import { type ModelEncoding, modelEncoding } from '../model/encoding.js';
import type { FoundModel } from '../model/read-model.js';
import { localPath } from '../npm-data.js';
import { openNetworks } from '../prepare/stored-network.js';
import { networksIn } from '../prepare/stored-stages.js';
import type { RunOptions } from '../runs/run-events.js';
import { describeFor } from './check-data.js';
import {
  type DecisionBlock,
  decisionMatrix,
  infiniteIn,
  isDear,
  localDecisions,
  sparkDecisions,
} from './decisions.js';
import type { OutputName } from './output-names.js';
import { modelFor, type OutputColumn, outputColumns, valueSql } from './outputs.js';
import { RowCache } from './row-cache.js';
import { ScoredFolder } from './scored-folder.js';
import { writeWhole } from './whole-file.js';

export interface PredictOptions extends RunOptions {
  /** A `.parquet` or `.csv` file, or a folder for a file each. Absent: the first rows as a table. */
  readonly out?: string;
  /** Default: predictions, or components of a decomposition. */
  readonly outputs?: readonly OutputName[];
  /** Columns of the data to write before them. */
  readonly keep?: readonly string[];
  /** Most decision values to bring here from Spark at a time. @units bytes, default 64 MiB */
  readonly collectedBytes?: number;
  /** What is reused: predictions, of files and of equal rows, or not. Default: as the session has it. */
  readonly reuse?: ReuseSetting;
  /** An open session to predict in. Default: a new one. */
  readonly open?: OpenSession;
}

export interface PredictSummary {
  /** Of the data; read this time: those of files that were not scored yet. */
  readonly rows: number;
  readonly rowsRead: number;
  /** Of those read, what the model decided on; the others are equal to these. */
  readonly rowsComputed: number;
  readonly files: number;
  readonly filesScored: number;
  /** Predictions removed as their files are gone. */
  readonly filesRemoved: number;
  readonly engine: 'local' | 'spark';
  readonly sparkJobs: number;
  readonly seconds: number;
  /** Absolute; null for none. */
  readonly out: string | null;
}

export interface Predicted {
  readonly summary: PredictSummary;
  /** The first rows below the names, when nothing was written. */
  readonly table?: readonly (readonly string[])[];
}

/** Rows of a printed table. */
const SHOWN_ROWS = 20;

/**
 * Scores data by a model.
 * @throws ConfigError, DataError for what the model, the data or the options are not;
 *   ResourceError, ExecutionError from engines and the disk
 */
export async function predict(
  found: FoundModel,
  data: string,
  options: PredictOptions,
): Promise<Predicted> {
  const { model } = found;
  const { engine: wanted, signal, onEvent, reuse } = options;
  const start = performance.now();
  const bringing = { signal, onBring: (what: string) => onEvent?.({ kind: 'data', what }) };
  const path = await localPath(data, bringing);
  await openNetworks(networksIn(model.prepare ?? []), found.path, bringing);
  const columns = outputColumns(model, options.outputs);
  const place = await placeOf(options.out);
  const dialect = model.features.find((feature) => feature.dialect !== undefined)?.dialect;
  const { engine, reason, placement } =
    options.open === undefined
      ? await chooseEngine(wanted, path, dataBytes, dialect)
      : { engine: options.open.engine, reason: 'the open session', placement: undefined };
  requireDialect(dialect, engine);
  if (place?.isOfCluster && engine !== 'spark') {
    const remedy = '; run with --engine spark';
    throw flagError('--out', 'a path of this machine on engine local', place.path, remedy);
  }
  onEvent?.({ kind: 'engine', engine, reason });
  const warn = (message: string): void => onEvent?.({ kind: 'warning', message });
  const onSetup = (what: string): void => onEvent?.({ kind: 'setup', what });
  const open =
    options.open ??
    (await openSession(engine, warn, signal, placement, undefined, {
      onSetup,
      ...(reuse === undefined ? {} : { reuse }),
    }));
  try {
    const scorer = new Scorer(open, found, columns, options);
    const description = await scorer.describe(path);
    for (const message of description.warnings ?? []) warn(message);
    const written =
      place === undefined
        ? await scorer.show(description)
        : place.isOfCluster
          ? await scorer.writeThere(description, place.path)
          : place.format === undefined
            ? await scorer.writeFolder(description, place.path, path)
            : await scorer.writeFile(description, place.path, place.format);
    const { files } = description.source;
    const { table, ...counts } = { filesScored: files.length, filesRemoved: 0, ...written };
    const summary = {
      rows: description.rows,
      rowsRead: scorer.rowsRead,
      // Of a block of which the first rows alone are shown, all are.
      rowsComputed: Math.min(scorer.rowsComputed, scorer.rowsRead),
      files: files.length,
      ...counts,
      engine,
      sparkJobs: scorer.run.statistics.sparkJobs,
      seconds: (performance.now() - start) / 1000,
      out: place?.path ?? null,
    };
    return { summary, ...(table ? { table } : {}) };
  } finally {
    if (options.open === undefined) await open.session.close();
  }
}

interface Written {
  readonly table?: readonly (readonly string[])[];
  readonly filesScored?: number;
  readonly filesRemoved?: number;
}

class Scorer {
  readonly run;
  rowsRead = 0;
  rowsComputed = 0;
  /** There where looking an equal row up is quicker than deciding on it. */
  readonly #cache: RowCache | undefined;
  readonly #open: OpenSession;
  readonly #found: FoundModel;
  readonly #encoding: ModelEncoding;
  readonly #columns: readonly OutputColumn[];
  readonly #options: PredictOptions;
  readonly #table: NumberTableOptions;

  constructor(
    open: OpenSession,
    found: FoundModel,
    columns: readonly OutputColumn[],
    options: PredictOptions,
  ) {
    const { signal, keep = [] } = options;
    const clash = columns.find(({ name }) => keep.includes(name))?.name;
    if (clash !== undefined) throw flagError('--keep', 'names other than the outputs', clash);
    this.#open = open;
    this.#found = found;
    this.#encoding = modelEncoding(modelFor(found.model, options.outputs));
    this.#columns = columns;
    this.#options = options;
    this.run = open.session.run(signal ? { signal } : {});
    this.#cache = this.run.reuse.predictions && isDear(this.#encoding) ? new RowCache() : undefined;
    this.#table = {
      width: columns.length,
      columns: columns.map((column, c) => {
        return { name: column.name, sql: valueSql(column, 'local', `numbers.c${c}`) };
      }),
      keep,
    };
  }

  async describe(path: string): Promise<FrameDescription> {
    const { keep = [] } = this.#options;
    if (keep.length > 0 && (isRemote(path) || path.startsWith('table://'))) {
      throw flagError('--keep', 'data that this machine can read', `data of Spark's (${path})`);
    }
    return describeFor(this.#found.model, this.#open.frames, path, keep);
  }

  /** The first rows, of which no more are read than it takes. */
  async show(description: FrameDescription): Promise<Written> {
    return this.#withTable(async (table) => {
      await this.#add(table, description, description.source, SHOWN_ROWS);
      return { table: [this.#names(), ...(await table.texts())] };
    });
  }

  async writeFile(
    description: FrameDescription,
    path: string,
    format: WrittenFormat,
  ): Promise<Written> {
    await writeWhole(path, (temporary) =>
      this.#withTable(async (table) => {
        await this.#add(table, description, description.source);
        await table.copyTo(temporary, format);
        await this.#settle(description.source);
      }),
    );
    return {};
  }

  /** All rows, by Spark: to storage of the cluster's, or a table. */
  async writeThere(description: FrameDescription, place: string): Promise<Written> {
    const { keep = [] } = this.#options;
    if (keep.length > 0)
      throw flagError('--keep', 'a file or folder of this machine as --out', place);
    const { session, spark } = this.#open;
    if (spark === undefined) throw flagError('--out', 'a path of this machine', place);
    const { source } = description;
    const all = decisionMatrix(this.run, description, source, this.#encoding, this.#found.model);
    await this.run.persist([all.expr]);
    const sums = all.mul(0).colSums();
    if (!(await sums.value()).data.every((sum) => sum === 0)) {
      throw infiniteIn(source.files[0]!.path);
    }
    const [first, ...others] = this.#columns.map(({ column }) => column(all));
    const { writeMatrix } = await import('../../spark-bridge/index.js');
    await this.#settle(source);
    const written = await writeMatrix(session, spark, first!.cbind(...others), place, {
      run: this.run,
      select: this.#columns.map((column, c) => {
        return { name: column.name, sql: valueSql(column, 'spark', `c${c}`) };
      }),
      ...(this.#options.signal ? { signal: this.#options.signal } : {}),
    });
    this.run.statistics.sparkJobs += written.sparkJobs;
    this.rowsRead += description.rows;
    this.rowsComputed += description.rows;
    return {};
  }

  /** A file for each file of the data that is not scored yet. */
  async writeFolder(description: FrameDescription, folder: string, data: string): Promise<Written> {
    const { source } = description;
    const { keep = [] } = this.#options;
    const outputs = this.#columns.map(({ name }) => name);
    const identity = { model: this.#found.digest, outputs, keep };
    const scored = await ScoredFolder.open(folder, data, identity);
    const files = source.files.filter((file) => file.rows > 0);
    let filesScored = 0;
    for (const file of files) {
      if (this.run.reuse.predictions && (await scored.has(file, source))) continue;
      const own = subSource(source, [file]);
      await this.writeFile(
        { ...description, source: own, rows: file.rows },
        scored.pathOf(file),
        'parquet',
      );
      await scored.add(file, source);
      filesScored++;
    }
    return { filesScored, filesRemoved: await scored.keepOnly(files) };
  }

  /** Before what was read counts: it must be what it was named by. */
  async #settle(source: FrameSource): Promise<void> {
    await verifyUnchanged(source);
    this.#options.signal?.throwIfAborted();
  }

  async #add(
    table: NumberTable,
    description: FrameDescription,
    source: FrameSource,
    limit?: number,
  ): Promise<void> {
    this.rowsRead += await table.add(source, this.#blocks(description, source), limit);
  }

  /** Output columns of the rows of a source. */
  async *#blocks(
    description: FrameDescription,
    source: FrameSource,
  ): AsyncGenerator<readonly Float64Array[]> {
    for await (const { z, rows, computed } of this.#decisions(description, source)) {
      this.rowsComputed += computed;
      yield this.#columns.map(({ compute }) => compute(z, rows));
    }
  }

  #decisions(description: FrameDescription, source: FrameSource): AsyncIterable<DecisionBlock> {
    const { model } = this.#found;
    const { engine, duckdb } = this.#open;
    return engine === 'local'
      ? localDecisions(duckdb!, source, this.#encoding, model, {
          cache: this.#cache,
          run: this.run,
          signal: this.#options.signal,
        })
      : sparkDecisions(
          this.run,
          description,
          source,
          this.#encoding,
          model,
          this.#options.collectedBytes,
        );
  }

  async #withTable<T>(work: (table: NumberTable) => Promise<T>): Promise<T> {
    const table = await this.#open.duckdb!.numberTable(this.#table);
    try {
      return await work(table);
    } finally {
      table.close();
    }
  }

  #names(): string[] {
    return [...this.#table.keep, ...this.#columns.map(({ name }) => name)];
  }
}

interface Place {
  readonly path: string;
  /** Absent for a folder. */
  readonly format?: WrittenFormat;
  /** Storage that Spark writes to, or `table://NAME` of its catalog. */
  readonly isOfCluster?: true;
}

/** What `--out` names: a file of a format, or a folder. */
async function placeOf(out: string | undefined): Promise<Place | undefined> {
  if (out === undefined) return undefined;
  if (isRemote(out) && !/^file:/i.test(out)) return { path: out, isOfCluster: true };
  const path = resolve(withoutFileScheme(out));
  const isFolder = out.endsWith('/') || (await stat(path).catch(() => undefined))?.isDirectory();
  const extension = extname(path);
  if (isFolder || extension === '') return { path };
  if (extension === '.parquet') return { path, format: 'parquet' };
  if (extension === '.csv') return { path, format: 'csv' };
  throw flagError('--out', 'a name that ends in .parquet or .csv, or a folder', out);
}

function requireDialect(dialect: 'duckdb' | 'spark' | undefined, engine: 'local' | 'spark'): void {
  if (dialect === undefined || DIALECT_ENGINES[dialect] === engine) return;
  const own = DIALECT_ENGINES[dialect];
  throw new ConfigError(
    `--engine: expected ${own}, as the model's expressions are of dialect ${dialect}, got ${engine}`,
    { key: '--engine', value: engine, source: 'flag' },
  );
}

function flagError(
  flag: '--out' | '--keep',
  expected: string,
  got: string,
  remedy = '',
): ConfigError {
  return new ConfigError(`${flag}: expected ${expected}, got ${got}${remedy}`, {
    key: flag,
    value: got,
    source: 'flag',
  });
}
