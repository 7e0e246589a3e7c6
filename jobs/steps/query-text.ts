/** Reads the texts of queries before anything runs; one DuckDB for all pipelines of this process. */
import type { DuckDbEngine } from '../../gpu-executor/cpu/index.js';
import type { KeyPath } from '../job-file/yaml-source.js';
import type { StepPlace } from './step-kind.js';

interface Reader {
  readonly engine: DuckDbEngine;
  readonly version: string;
}

let shared: Promise<Reader> | undefined;

function reader(): Promise<Reader> {
  shared ??= import('../../gpu-executor/cpu/index.js').then((cpu) => ({
    engine: cpu.createDuckDbEngine({ memoryBytes: 64e6, threads: 1 }),
    version: cpu.duckDbVersion(),
  }));
  return shared;
}

/** Passes a query over tables of these names. @throws ConfigError saying where it is none */
export async function requireQueryText(
  sql: string,
  tables: readonly string[],
  at: KeyPath,
  place: StepPlace,
): Promise<void> {
  const { engine } = await reader();
  const problem = await engine.queryProblem(sql, tables);
  if (problem !== undefined) place.fail(at, problem);
}

/** What DuckDB's answers depend on besides data and text. */
export async function duckDbFact(): Promise<string> {
  return (await reader()).version;
}
