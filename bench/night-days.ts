/**
 * The daily files of bench `nights`, written by a process of their own so that what they take is
 * not counted as memory of the session that is measured. Invariant: a day's rows follow from its
 * number alone.
 */
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';

export interface Days {
  readonly format: 'csv' | 'parquet';
  /** Of each. */
  readonly rows: number;
  readonly from: number;
  readonly to: number;
}

const KINDS = 60;

/** Where a day's file is in a folder. */
export function dayFile(folder: string, day: number, format: Days['format']): string {
  return join(folder, `day-${String(day).padStart(4, '0')}.${format}`);
}

/** Writes the days `from` to `to` (without) into a folder. */
export function writeDays(folder: string, days: Days): void {
  const program = fileURLToPath(import.meta.url);
  execFileSync(process.execPath, [program, folder, JSON.stringify(days)], { stdio: 'inherit' });
}

/** The kinds that are frequent drift by one in three days. */
function rowsOf(day: number, rows: number): string {
  const random = randomOf(day + 1);
  const lines = ['distance,temperature,carrier,delay'];
  for (let row = 0; row < rows; row++) {
    const near = Math.floor((random() + random() + random() - 1.5) * 40);
    const kind = (((Math.floor(day / 3) + near) % KINDS) + KINDS) % KINDS;
    const distance = 50 + Math.floor(random() * 3000);
    const temperature = random() * 40 - 10;
    const delay = distance / 100 + kind * 0.3 + random() * 20;
    lines.push(`${distance},${temperature.toFixed(3)},K${kind},${delay.toFixed(3)}`);
  }
  return `${lines.join('\n')}\n`;
}

export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

async function write(folder: string, { format, rows, from, to }: Days): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  for (let day = from; day < to; day++) {
    const csv = dayFile(folder, day, 'csv');
    const path = dayFile(folder, day, format);
    writeFileSync(csv, rowsOf(day, rows));
    if (format === 'parquet') {
      await connection.run(`COPY (FROM '${csv}') TO '${path}' (FORMAT parquet)`);
      rmSync(csv);
    }
  }
  connection.disconnectSync();
  instance.closeSync();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , folder, days] = process.argv;
  await write(folder!, JSON.parse(days!) as Days);
}
