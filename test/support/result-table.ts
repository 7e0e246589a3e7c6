/** Reads a run's `results.csv` and compares two of them number by number. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Cells of the score columns, row by row, with the header. */
export function scoreTable(runFolder: string): { columns: string[]; rows: number[][] } {
  const [head = '', ...lines] = readFileSync(join(runFolder, 'results.csv'), 'utf8')
    .trim()
    .split('\n');
  const columns = head.split(',');
  const kept = columns.map((name, i) => ({ name, i })).filter(({ name }) => /_test_/.test(name));
  return {
    columns: kept.map(({ name }) => name),
    rows: lines.map((line) => {
      // Candidates of several parameters have commas in `params`.
      const cells = line.replace(/"(?:[^"]|"")*"/g, 'quoted').split(',');
      return kept.map(({ i }) => Number(cells[i]));
    }),
  };
}

/** Fails unless both runs have the same columns and scores within a relative `tolerance`. */
export function assertSameScores(actual: string, expected: string, tolerance: number): void {
  const got = scoreTable(actual);
  const want = scoreTable(expected);
  assert.deepEqual(got.columns, want.columns);
  assert.equal(got.rows.length, want.rows.length);
  assert.ok(want.rows.length > 0 && want.columns.length > 4, 'there are scores to compare');
  want.rows.forEach((row, r) => {
    row.forEach((value, c) => {
      const difference = Math.abs(got.rows[r]![c]! - value);
      assert.ok(
        difference <= tolerance * Math.max(1, Math.abs(value)),
        `${want.columns[c]} of row ${r}: expected ${value}, got ${got.rows[r]![c]}`,
      );
    });
  });
}
