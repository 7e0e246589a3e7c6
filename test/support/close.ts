/** Compares matrices: shapes exactly, NaN with NaN, infinities by sign, cells to the largest. */
import assert from 'node:assert/strict';
import type { DenseMatrix } from '../../driver/ir/value.js';

/**
 * Fails unless every cell is within `tolerance` of the expected one, relative to the larger of its
 * own size and the largest finite expected cell (so that cancellation to near zero is judged by
 * what was cancelled). 0 asks for equality.
 */
export function assertClose(
  actual: DenseMatrix,
  expected: DenseMatrix,
  tolerance: number,
  what: string,
): void {
  assert.equal(
    `${actual.rows}x${actual.cols}`,
    `${expected.rows}x${expected.cols}`,
    `${what}: shape`,
  );
  assert.equal(actual.data.length, expected.data.length, `${what}: number of cells`);
  let scale = 0;
  for (const cell of expected.data) {
    if (Number.isFinite(cell)) scale = Math.max(scale, Math.abs(cell));
  }
  for (let i = 0; i < expected.data.length; i++) {
    const want = expected.data[i]!;
    const got = actual.data[i]!;
    const same = got === want || (Number.isNaN(got) && Number.isNaN(want));
    if (same || Math.abs(got - want) <= tolerance * scale) continue;
    const row = Math.floor(i / expected.cols);
    assert.fail(`${what}: expected ${want} at (${row}, ${i % expected.cols}), got ${got}`);
  }
}

/** Fails unless each number is within 1e-9 of the expected one, relative to its size from 1 up. */
export function assertNear(
  actual: readonly number[],
  expected: readonly number[],
  what: string,
): void {
  assert.equal(actual.length, expected.length, what);
  for (let i = 0; i < expected.length; i++) {
    const scale = Math.max(1, Math.abs(expected[i]!));
    assert.ok(
      actual[i] === expected[i] || Math.abs(actual[i]! - expected[i]!) <= 1e-9 * scale,
      `${what}: ${actual} and ${expected}`,
    );
  }
}
