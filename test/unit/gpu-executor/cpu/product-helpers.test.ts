/** Helper threads for products: the bits of one thread, whoever computes which, and without helpers. */
import assert from 'node:assert/strict';
import { type Cells, converted, dense } from '../../../../driver/ir/value.js';
import {
  bindBlas,
  noTrans,
  rowMajor,
  trans,
} from '../../../../gpu-executor/cpu/native/bindings.js';
import { findBlas } from '../../../../gpu-executor/cpu/native/find-blas.js';
import {
  type NativeGemm,
  ProductHelpers,
} from '../../../../gpu-executor/cpu/native/product-helpers.js';

const [M, N, K] = [64, 24, 40] as const;

describe('helpers for products', () => {
  for (const dtype of ['float64', 'float32'] as const) {
    it(`compute what they are handed, and the asking thread the rest, ${dtype}`, async function () {
      const search = findBlas();
      if (search.kind === 'none') {
        console.warn(`SKIPPED helpers for products: ${search.reason}`);
        this.skip();
      }
      const [candidate] = search.candidates as [(typeof search.candidates)[0]];
      const native = bindBlas(candidate);
      const { gemm } = native.routines[dtype];
      const cells = (count: number, seed = 0): Cells => {
        const all = Float64Array.from({ length: count }, (_, i) => Math.sin(seed + 1.7 * i));
        return converted(dense(1, count, all), dtype).data;
      };
      // t(A) %*% B by rows.
      const [a, b] = [cells(K * M, 1), cells(K * N, 2)];
      const callsTo = (out: Cells): NativeGemm[] =>
        [
          [0, 20],
          [20, 21],
          [41, 1],
          [42, 22],
        ].map(([from, rows]) => [
          ...([rowMajor, trans, noTrans, rows!, N, K, 1, a.subarray(from), M] as const),
          ...([b, N, 0, out.subarray(from! * N), N] as const),
        ]);
      const expected = cells(M * N);
      for (const call of callsTo(expected)) gemm(...call);
      const run = (helpers: ProductHelpers): void => {
        const out = cells(M * N);
        helpers.run(gemm, callsTo(out), dtype === 'float64', 3);
        assert.deepEqual(out, expected);
      };
      // Their thread has to begin first.
      const helpers = new ProductHelpers(native, candidate, 0);
      for (let rounds = 0; helpers.helped < 5; rounds++) {
        run(helpers);
        if (rounds === 0) assert.equal(helpers.helped, 0);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      // A library that is not there ends their threads.
      const broken = new ProductHelpers(native, { ...candidate, path: '/nowhere/libblas.so' }, 0);
      for (let rounds = 0; rounds < 5; rounds++) {
        run(broken);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assert.equal(broken.helped, 0);
    });
  }
});
