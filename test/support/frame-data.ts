/** Makes real data files with DuckDB in a temporary folder, and reads them by the tested engine. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { FrameDescription, RawColumn } from '../../driver/ir/frame-engine.js';
import { createDuckDbEngine, type DuckDbEngine } from '../../gpu-executor/cpu/duckdb/index.js';

/** A temporary folder that is also `REPRISE_HOME`, so that tests share no cache with the user. */
export async function temporaryHome(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'reprise-test-'));
  const before = process.env.REPRISE_HOME;
  process.env.REPRISE_HOME = join(folder, 'home');
  return {
    folder,
    remove: async () => {
      if (before === undefined) delete process.env.REPRISE_HOME;
      else process.env.REPRISE_HOME = before;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface EngineInFolder {
  readonly engine: DuckDbEngine;
  /** Of `a.parquet`, where a query was given. */
  readonly description: FrameDescription;
  /** A path in the folder. */
  readonly at: (...names: string[]) => string;
}

/** An engine and a folder for a suite, from its first `before` on; `query` makes `a.parquet`. */
export function engineInFolder(query?: string): EngineInFolder {
  let home: Awaited<ReturnType<typeof temporaryHome>>;
  const made: { -readonly [K in keyof EngineInFolder]?: EngineInFolder[K] } = {
    at: (...names) => join(home.folder, ...names),
  };
  before(async () => {
    home = await temporaryHome();
    made.engine = createDuckDbEngine({ memoryBytes: 200e6 });
    if (query === undefined) return;
    await copyTo(join(home.folder, 'a.parquet'), query);
    made.description = await made.engine.describe(join(home.folder, 'a.parquet'));
  });
  after(async () => {
    made.engine?.close();
    await home.remove();
  });
  return made as EngineInFolder;
}

/** Runs SQL in a DuckDB of its own and returns the rows. */
export async function duckdb(sql: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  try {
    await connection.run(`SET TimeZone = 'UTC'`);
    return (await connection.runAndReadAll(sql)).getRowsJS() as unknown[][];
  } finally {
    connection.disconnectSync();
    instance.closeSync();
  }
}

/** `copy (query) to path`, with options such as `format parquet, codec 'zstd'`. */
export async function copyTo(path: string, query: string, options = ''): Promise<void> {
  await duckdb(`COPY (${query}) TO '${path}'${options ? ` (${options})` : ''}`);
}

/** All rows of the columns, and the sizes of the chunks they came in. */
export async function readAll(
  engine: DuckDbEngine,
  description: FrameDescription,
  columns: readonly RawColumn[],
  rowsPerChunk = 1000,
): Promise<{ columns: number[][]; chunks: number[] }> {
  const out: number[][] = columns.map(() => []);
  const chunks: number[] = [];
  for await (const chunk of engine.read(description.source, columns, { rowsPerChunk })) {
    chunks.push(chunk.rows);
    for (const [j, column] of chunk.columns.entries()) {
      for (let i = 0; i < chunk.rows; i++) out[j]!.push(column[i]!);
    }
  }
  return { columns: out, chunks };
}
