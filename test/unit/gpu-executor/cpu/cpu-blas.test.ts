/** Finding a BLAS, and JavaScript routines against native ones on views with leading dimensions. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../../driver/errors.js';
import type { Blas } from '../../../../gpu-executor/cpu/native/blas.js';
import { findBlas } from '../../../../gpu-executor/cpu/native/find-blas.js';
import { describeBlas, loadBlas } from '../../../../gpu-executor/cpu/native/load-blas.js';
import { uniform } from '../../../support/cpu-segments.js';

const cells = (count: number, seed: number): Float64Array => uniform(1, count, seed).data;

function assertSame(got: Float64Array, want: Float64Array): void {
  for (let i = 0; i < want.length; i++) {
    const error = Math.abs(got[i]! - want[i]!);
    assert.ok(
      error <= 1e-11 * Math.max(1, Math.abs(want[i]!)),
      `cell ${i}: ${got[i]} for ${want[i]}`,
    );
  }
}

describe('finding a BLAS', () => {
  it('takes `none` for the JavaScript routines and says so', () => {
    assert.deepEqual(findBlas('none').kind, 'none');
    const { native, text } = describeBlas({ blas: 'none' });
    assert.equal(native, false);
    assert.match(text, /JavaScript kernels.*REPRISE_BLAS=none/);
  });

  it('refuses a named file that is not there or is no library', () => {
    assert.throws(() => loadBlas({ blas: '/nowhere/libblas.so' }), ConfigError);
    const folder = mkdtempSync(join(tmpdir(), 'reprise-blas-'));
    const path = join(folder, 'libfake.so');
    writeFileSync(path, 'no library');
    assert.throws(() => loadBlas({ blas: path }), /expected a library with CBLAS and LAPACK/);
    assert.match(describeBlas({ blas: path }).text, /libfake\.so/);
    rmSync(folder, { recursive: true });
  });

  it('refuses a thread count that is not a positive whole number', () => {
    assert.throws(() => loadBlas({ blas: 'none', threads: 0 }), ConfigError);
    assert.throws(() => loadBlas({ blas: 'none', threads: 1.5 }), ConfigError);
  });
});

describe('JavaScript routines equal the native ones', () => {
  let native: Blas;
  const plain = loadBlas({ blas: 'none' });
  before(function () {
    native = loadBlas();
    if (native.kind !== 'native') {
      console.warn(`SKIPPED comparison with a native BLAS: ${native.description}`);
      this.skip();
    }
  });

  for (const [m, n, k] of [
    [1, 1, 1],
    [5, 3, 7],
    [8, 16, 33],
    [17, 2, 300],
  ] as const) {
    for (const transA of [false, true]) {
      for (const transB of [false, true]) {
        it(`gemm ${m}x${n}x${k}${transA ? ", A'" : ''}${transB ? ", B'" : ''}`, async () => {
          const lda = (transA ? m : k) + 2;
          const ldb = (transB ? k : n) + 1;
          const a = cells((transA ? k : m) * lda, 1);
          const b = cells((transB ? n : k) * ldb, 2);
          for (const beta of [0, 1, 0.5]) {
            const c = cells(m * (n + 3), 3);
            const want = c.slice();
            native.gemm(transA, transB, m, n, k, 1.5, a, lda, b, ldb, beta, want, n + 3);
            const again = c.slice();
            await native.gemmAsync(
              transA,
              transB,
              m,
              n,
              k,
              1.5,
              a,
              lda,
              b,
              ldb,
              beta,
              again,
              n + 3,
            );
            assert.deepEqual(again, want);
            plain.gemm(transA, transB, m, n, k, 1.5, a, lda, b, ldb, beta, c, n + 3);
            assertSame(c, want);
          }
        });
      }
    }
  }

  it('gemm with beta 0 does not read what was there', () => {
    for (const blas of [native, plain]) {
      const c = new Float64Array(4).fill(Number.NaN);
      blas.gemm(false, false, 2, 2, 2, 1, cells(4, 1), 2, cells(4, 2), 2, 0, c, 2);
      assert.ok(c.every(Number.isFinite));
    }
  });

  it('syrk touches the upper triangle only', () => {
    for (const [n, k] of [
      [1, 1],
      [7, 3],
      [13, 700],
    ] as const) {
      const a = cells(k * (n + 2), 4);
      const want = cells(n * (n + 1), 5);
      const got = want.slice();
      const before = want.slice();
      native.syrk(n, k, a, n + 2, 1, want, n + 1);
      plain.syrk(n, k, a, n + 2, 1, got, n + 1);
      assertSame(got, want);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < i; j++) assert.equal(got[i * (n + 1) + j], before[i * (n + 1) + j]);
      }
      // The same rows, held as columns.
      const columns = new Float64Array(n * (k + 1));
      for (let i = 0; i < k; i++) {
        for (let j = 0; j < n; j++) columns[j * (k + 1) + i] = a[i * (n + 2) + j]!;
      }
      for (const blas of [native, plain]) {
        const turned = before.slice();
        blas.syrk(n, k, columns, k + 1, 1, turned, n + 1, true);
        assertSame(turned, want);
      }
    }
  });

  it('inverts by solving for the identity, and leaves the diagonal of the factor', async () => {
    const n = 37;
    const half = cells(n * n, 12);
    const a = new Float64Array(n * n);
    native.gemm(true, false, n, n, n, 1, half, n, half, n, 0, a, n);
    const unit = Float64Array.from(a, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
    const solved = async (solve: Blas['solveSpdAsync']): Promise<Float64Array[]> => {
      const [factor, columns] = [a.slice(), unit.slice()];
      for (let i = 0; i < n; i++) factor[i * (n + 1)]! += 1;
      assert.equal(await solve(n, n, factor, columns), 0);
      return [columns, factor.filter((_, i) => i % (n + 1) === 0)];
    };
    const want = await solved((...args) => plain.solveSpdAsync(...args));
    const got = await solved((...args) => native.solveSpdAsync(...args));
    for (const [i, value] of got.entries()) assertSame(value, want[i]!);
    assert.deepEqual(await solved(async (...args) => native.solveSpd(...args)), got);
    const singular = new Float64Array(4).fill(1);
    assert.equal(native.solveSpd(2, 2, singular, Float64Array.of(1, 0, 0, 1)), 2);
  });

  it('gemv, with a stride between the results', () => {
    for (const transposed of [false, true]) {
      const a = cells(9 * 6, 6);
      const x = cells(9, 7);
      const want = cells(27, 8);
      const got = want.slice();
      native.gemv(transposed, 9, 5, 2, a, 6, x, 1, want, 3);
      plain.gemv(transposed, 9, 5, 2, a, 6, x, 1, got, 3);
      assertSame(got, want);
    }
  });

  it('factors and solves alike, and reports the same failing pivot', () => {
    const n = 30;
    const a = cells(n * n, 9);
    const b = cells(n * 3, 10);
    const wantFactors = a.slice();
    const wantX = b.slice();
    const gotFactors = a.slice();
    const gotX = b.slice();
    assert.equal(native.solveGeneral(n, 3, wantFactors, wantX), 0);
    assert.equal(plain.solveGeneral(n, 3, gotFactors, gotX), 0);
    for (let i = 0; i < wantX.length; i++) assert.ok(Math.abs(gotX[i]! - wantX[i]!) < 1e-9);
    const spd = new Float64Array(n * n);
    plain.syrk(n, n, a, n, 0, spd, n);
    for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) spd[i * n + j] = spd[j * n + i]!;
    spd[5 * n + 5] = -1;
    assert.equal(native.cholesky(n, spd.slice()), 6);
    assert.equal(plain.cholesky(n, spd.slice()), 6);
  });

  it('factors a 1,000 x 1,000 system asynchronously', async () => {
    const n = 1000;
    const a = cells(n * n, 11);
    const x = cells(n, 12);
    const b = new Float64Array(n);
    // Column-major A: A x is the transpose's product in row-major terms.
    native.gemv(true, n, n, 1, a, n, x, 0, b, 1);
    assert.equal(await native.solveGeneralAsync(n, 1, a.slice(), b), 0);
    for (let i = 0; i < n; i++) assert.ok(Math.abs(b[i]! - x[i]!) < 1e-7);
  });
});
