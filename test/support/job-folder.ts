/** A folder of its own for a test, with data files and job files made to order. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { stringify } from 'yaml';
import { reprise } from './cli.js';

export class JobFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'reprise-e2e-'));

  file(name: string): string {
    return join(this.path, name);
  }

  write(name: string, content: string | Uint8Array): string {
    writeFileSync(this.file(name), content);
    return this.file(name);
  }

  /** Writes `job.yaml`: the fields given, over a small ridge search on `data.csv`. */
  job(fields: Readonly<Record<string, unknown>> = {}): string {
    const job = {
      kind: 'grid-search',
      data: { path: 'data.csv', target: 'y' },
      model: { type: 'ridge' },
      search: { grid: { lambda: [0.01, 1, 100] } },
      cv: { folds: 4 },
      scoring: ['neg_mean_squared_error', 'r2'],
      ...fields,
    };
    return this.write('job.yaml', stringify(job));
  }

  /** What `reprise` prints in this folder, with a store of its own. It must succeed. */
  async call(...args: readonly string[]): Promise<string> {
    const env = { REPRISE_STORE: this.file('store') };
    const { code, stdout, stderr } = await reprise(args, { cwd: this.path, env });
    assert.equal(code, 0, stderr);
    return stdout;
  }

  /** The answer of running `job.yaml` on this machine, as by `call`. */
  async run(...overrides: readonly string[]) {
    const answer = await this.call('run', 'job.yaml', '--engine', 'local', '--json', ...overrides);
    return JSON.parse(answer);
  }

  /** Names of the run folders left in `runs`, hidden ones included. */
  runs(): string[] {
    const runs = this.file('runs');
    return existsSync(runs) ? readdirSync(runs) : [];
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** CSV of `rows` rows: y = 3 a - 2 b + 1 + noise, by a fixed linear congruential generator. */
export function linearCsv(rows: number, noise = 0.1): string {
  let state = 12345;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const lines = ['a,b,y'];
  for (let i = 0; i < rows; i++) {
    const [a, b] = [next(), next()];
    lines.push(`${a},${b},${3 * a - 2 * b + 1 + noise * next()}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Runs SQL in a fresh in-memory DuckDB, to make data files. */
export async function duckdb(sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:');
  try {
    const connection = await instance.connect();
    await connection.run(sql);
    connection.closeSync();
  } finally {
    instance.closeSync();
  }
}
