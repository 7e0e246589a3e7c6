/**
 * Kernels of the local CPU backend on operands large enough for their parallel, gathered and
 * blocked paths, which the conformance cases are too small to reach. Every check runs on the native
 * BLAS and on the JavaScript routines.
 */
import assert from 'node:assert/strict';
import type { Expr } from '../../../../driver/ir/expr.js';
import { type DenseMatrix, dense } from '../../../../driver/ir/value.js';
import { ops } from '../../../../driver/operators/index.js';
import type { CpuBackend } from '../../../../gpu-executor/cpu/backend.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { assertClose } from '../../../support/close.js';
import {
  evaluated,
  groupColumn,
  leaf,
  node,
  referenceOf,
  runNodes,
  uniform,
} from '../../../support/cpu-segments.js';

const settings = [
  { name: 'native BLAS', options: {} },
  { name: 'JavaScript routines', options: { blas: 'none' } },
];

const layouts: readonly (readonly [string, (row: number) => number])[] = [
  ['contiguous groups', (i) => Math.floor(i / 1500)],
  ['scattered groups', (i) => (i * 7919) % 4],
  ['rows left out and an empty group', (i) => (i < 700 ? -1 : (i * 31) % 3)],
  ['runs with gaps', (i) => (Math.floor(i / 900) % 2 === 0 ? Math.floor(i / 1800) : 9)],
];

function kernelTests(backendOf: () => CpuBackend): void {
  for (const [what, groupOf] of layouts) {
    for (const center of [false, true]) {
      it(`groupGram ${center ? 'centred' : 'plain'}: ${what}`, async () => {
        const rows = 6000;
        const g = leaf(groupColumn(rows, groupOf));
        const inputs = [g, leaf(uniform(rows, 30, 1)), leaf(uniform(rows, 2, 2))];
        const expr = node(ops.groupGram, inputs, { groups: 4, center });
        assertClose(await evaluated(backendOf(), expr), referenceOf(expr), 1e-11, 'groupGram');
        const attrs = { groups: 4, center, weighted: true };
        const weighted = node(ops.groupGram, [...inputs, leaf(uniform(rows, 1, 4))], attrs);
        const expected = referenceOf(weighted);
        assertClose(await evaluated(backendOf(), weighted), expected, 1e-11, 'weighted');
      });
    }
    it(`groupLoss: ${what}`, async () => {
      const rows = 6000;
      const inputs = [
        leaf(groupColumn(rows, groupOf)),
        leaf(uniform(rows, 30, 1)),
        leaf(uniform(rows, 1, 2)),
        leaf(uniform(31, 4 * 7, 3)),
      ];
      const attrs = { groups: 4, losses: ['squared', 'absolute'] };
      const expr = node(ops.groupLoss, inputs, attrs);
      assertClose(await evaluated(backendOf(), expr), referenceOf(expr), 1e-11, 'groupLoss');
    });
    it(`heldOut, groupSums and takeRows: ${what}`, async () => {
      const g = leaf(groupColumn(6000, groupOf));
      const x = leaf(uniform(6000, 150, 1));
      const models = leaf(uniform(151, 4 * 7, 3));
      const held = node(ops.heldOut, [g, x, models], { groups: 4 });
      const sums = node(ops.groupSums, [g, x], { groups: 4 });
      const rows = node(ops.takeRows, [g, leaf(uniform(4, 9, 3))]);
      for (const expr of [held, sums, rows]) {
        assertClose(await evaluated(backendOf(), expr), referenceOf(expr), 1e-11, expr.op.name);
      }
    });
  }

  for (const cells of ['quotient', 'residual']) {
    for (const side of ['left', 'right']) {
      it(`wdivmm: ${cells}, ${side}, of more work than the event loop waits for`, async () => {
        const inputs = [uniform(400, 150, 1), uniform(400, 20, 2), uniform(150, 20, 3)].map(leaf);
        const expr = node(ops.wdivmm, inputs, { cells, side });
        assertClose(await evaluated(backendOf(), expr), referenceOf(expr), 1e-11, 'wdivmm');
      });
    }
  }

  for (const [what, models, shift] of [
    ['few models, model by model', 3, 0],
    ['negative weights, model by model', 3, -0.5],
    ['many models, by pairs', 17, -0.5],
  ] as const) {
    it(`weightedGram: ${what}`, async () => {
      const weights = uniform(9000, models, 2);
      const shifted = dense(
        9000,
        models,
        weights.data.map((w) => w + shift),
      );
      const expr = node(ops.weightedGram, [leaf(uniform(9000, 24, 1)), leaf(shifted)]);
      assertClose(await evaluated(backendOf(), expr), referenceOf(expr), 1e-11, 'weightedGram');
    });
  }

  it('products, systems and factors of a stack, long and short ones', async () => {
    for (const [n, models] of [
      [20, 40],
      [260, 3],
    ] as const) {
      const x = leaf(uniform(300, n, 1));
      const grams = node(ops.weightedGram, [x, leaf(uniform(300, models, 2))]);
      const value = leaf(await evaluated(backendOf(), grams));
      const sides = leaf(uniform(n, models, 3));
      for (const expr of [
        node(ops.stackSolve, [value, sides], { models, assume: 'spd' }),
        node(ops.stackSolve, [value, sides], { models }),
        node(ops.stackCholesky, [value]),
        node(ops.stackProduct, [value, sides], { models }),
        node(ops.stackProduct, [value, value], { models, b: 'stack', out: 'stack' }),
      ]) {
        assertClose(await evaluated(backendOf(), expr), referenceOf(expr), 1e-8, expr.op.name);
      }
    }
  });

  it('products of tall columns of a stack', async () => {
    const a = leaf(uniform(9000, 15, 1));
    for (const transposeA of [true, false]) {
      const b = leaf(uniform(transposeA ? 9000 : 3, 10, 2));
      const expr = node(ops.stackProduct, [a, b], { models: 5, a: 'columns', transposeA });
      assertClose(await evaluated(backendOf(), expr), referenceOf(expr), 1e-11, 'stackProduct');
    }
  });

  it('groupGram keeps 12 digits when means are a million times the spread', async () => {
    const rows = 20_000;
    const cells = uniform(rows, 20, 5).data.map((cell, i) => 1e6 * ((i % 20) + 1) + cell);
    for (const groupOf of [(i: number) => i % 3, (i: number) => Math.floor(i / 7000)]) {
      const inputs = [leaf(groupColumn(rows, groupOf)), leaf(dense(rows, 20, cells))];
      const expr = node(ops.groupGram, inputs, { groups: 3, center: true });
      const got = await evaluated(backendOf(), expr);
      // The cells themselves are rounded to 1e-16 of the mean, 2e-9 of the spread; the oracle sees
      // the same cells.
      assertBlocksClose(got, referenceOf(expr), 21, 1e-12);
    }
  });

  it('groupGram keeps its digits when the mean drifts away from the first rows', async () => {
    const rows = 20_000;
    const cells = uniform(rows, 12, 6).data.map(
      (cell, i) => cell + 1e5 * Math.floor(i / 12 / 2000),
    );
    const inputs = [leaf(groupColumn(rows, (i) => i % 2)), leaf(dense(rows, 12, cells))];
    const expr = node(ops.groupGram, inputs, { groups: 2, center: true });
    assertBlocksClose(await evaluated(backendOf(), expr), referenceOf(expr), 13, 1e-12);
  });

  for (const center of [false, true]) {
    it(`groupGram ${center ? 'centred' : 'plain'} of rows that are mostly zero`, async () => {
      const rows = 9000;
      const cols = 60;
      const cells = new Float64Array(rows * cols);
      for (let i = 0; i < rows; i++) {
        // Far from zero, with zeros among its cells; then two one-hot features.
        cells[i * cols] = i % 11 === 0 ? 0 : 1e5 + (i % 97);
        cells[i * cols + 1 + ((i * 7) % 20)] = 1;
        cells[i * cols + 21 + ((i * 13) % 39)] = 1;
      }
      const g = leaf(groupColumn(rows, (i) => (i % 13 === 0 ? -1 : (i * 31) % 5)));
      const inputs = [g, leaf(dense(rows, cols, cells)), leaf(uniform(rows, 1, 2))];
      const expr = node(ops.groupGram, inputs, { groups: 6, center });
      assertBlocksClose(await evaluated(backendOf(), expr), referenceOf(expr), 62, 1e-12);
      const attrs = { groups: 6, center, weighted: true };
      const weighted = node(ops.groupGram, [...inputs, leaf(uniform(rows, 1, 4))], attrs);
      assertBlocksClose(await evaluated(backendOf(), weighted), referenceOf(weighted), 62, 1e-12);
    });
  }

  it('groupGram of constant columns has no negative variance', async () => {
    const rows = 5000;
    const cells = uniform(rows, 12, 7).data.map((cell, i) => (i % 12 === 3 ? 0.1 : cell));
    const inputs = [leaf(groupColumn(rows, (i) => i % 2)), leaf(dense(rows, 12, cells))];
    const expr = node(ops.groupGram, inputs, { groups: 2, center: true });
    const got = await evaluated(backendOf(), expr);
    for (const group of [0, 1]) {
      const variance = got.data[group * 169 + 4 * 13 + 4]!;
      assert.ok(variance >= 0 && variance < 1e-20, `constant column has scatter ${variance}`);
    }
  });

  const products: readonly (readonly [string, () => Expr])[] = [
    ['tall matmul', () => node(ops.matmul, [leaf(uniform(3000, 40, 1)), leaf(uniform(40, 30, 2))])],
    ['wide matmul', () => node(ops.matmul, [leaf(uniform(30, 40, 1)), leaf(uniform(40, 3000, 2))])],
    [
      't(A) %*% B',
      () =>
        node(ops.matmul, [leaf(uniform(3000, 30, 1)), leaf(uniform(3000, 40, 2))], {
          transposeA: true,
        }),
    ],
    [
      't(A) %*% t(B)',
      () =>
        node(ops.matmul, [leaf(uniform(50, 300, 1)), leaf(uniform(200, 50, 2))], {
          transposeA: true,
          transposeB: true,
        }),
    ],
    [
      'A %*% t(B)',
      () =>
        node(ops.matmul, [leaf(uniform(300, 50, 1)), leaf(uniform(200, 50, 2))], {
          transposeB: true,
        }),
    ],
    ['tsmm', () => node(ops.tsmm, [leaf(uniform(20_000, 21, 1))])],
    [
      'weighted mmchain',
      () =>
        node(ops.mmchain, [
          leaf(uniform(20_000, 21, 1)),
          leaf(uniform(21, 3, 2)),
          leaf(uniform(20_000, 1, 3)),
        ]),
    ],
    [
      'general solve',
      () => node(ops.solve, [leaf(uniform(200, 200, 1)), leaf(uniform(200, 5, 2))]),
    ],
  ];
  for (const [what, make] of products) {
    it(`${what} beyond the synchronous size equals the reference`, async () => {
      const expr = make();
      const tolerance = expr.op === ops.solve ? 1e-8 : 1e-11;
      assertClose(await evaluated(backendOf(), expr), referenceOf(expr), tolerance, what);
    });
  }

  it('says which sizes it runs at once', () => {
    const small = node(ops.tsmm, [leaf(uniform(50, 5, 1))]);
    const large = node(ops.tsmm, [leaf(uniform(50_000, 20, 1))]);
    const inputsOf = (expr: Expr): DenseMatrix[] => [expr.inputs[0]!.payload as DenseMatrix];
    assert.ok(backendOf().runSync(small, inputsOf(small)));
    assert.equal(backendOf().runSync(large, inputsOf(large)), undefined);
  });

  it('gives the same bits however often a reduction runs', async () => {
    const rows = 30_000;
    const inputs = [leaf(groupColumn(rows, (i) => (i * 17) % 5)), leaf(uniform(rows, 25, 1))];
    const expr = node(ops.groupGram, inputs, { groups: 5, center: true });
    const first = await evaluated(backendOf(), expr);
    for (let run = 0; run < 3; run++) {
      assert.deepEqual((await evaluated(backendOf(), expr)).data, first.data);
    }
  });

  it('runs two segments at once without sharing buffers', async () => {
    const rows = 30_000;
    const exprs = [1, 2, 3].map((seed) => {
      const inputs = [
        leaf(groupColumn(rows, (i) => (i * seed) % 4)),
        leaf(uniform(rows, 25, seed)),
      ];
      return node(ops.groupGram, inputs, { groups: 4, center: true });
    });
    const alone: DenseMatrix[] = [];
    for (const expr of exprs) alone.push(await evaluated(backendOf(), expr));
    const together = await Promise.all(exprs.map((expr) => evaluated(backendOf(), expr)));
    for (const [i, value] of together.entries()) assert.deepEqual(value.data, alone[i]!.data);
  });

  it('counts one pass for reductions that walk the same data together', async () => {
    const x = leaf(uniform(20_000, 10, 1));
    const sums = [node(ops.colSums, [x]), node(ops.tsmm, [x]), node(ops.colMaxs, [x])];
    const result = await runNodes(backendOf(), sums, sums);
    assert.equal(result.passes, 1);
    assert.equal(result.kernels, 3);
  });
}

/** Each group's block: means to the tolerance, centred moments relative to columns' scatters. */
function assertBlocksClose(
  got: DenseMatrix,
  expected: DenseMatrix,
  side: number,
  tolerance: number,
): void {
  for (let base = 0; base < got.data.length; base += side * side) {
    for (let i = 0; i < side; i++) {
      for (let j = 0; j < side; j++) {
        const want = expected.data[base + i * side + j]!;
        const scale =
          i === 0 || j === 0
            ? Math.abs(want)
            : Math.sqrt(
                expected.data[base + i * (side + 1)]! * expected.data[base + j * (side + 1)]!,
              );
        const error = Math.abs(got.data[base + i * side + j]! - want);
        assert.ok(
          error <= tolerance * Math.max(scale, 1),
          `(${i}, ${j}): off by ${error / scale} relative`,
        );
      }
    }
  }
}

for (const { name, options } of settings) {
  describe(`CPU kernels with ${name}`, () => {
    let backend: CpuBackend;
    before(async function () {
      backend = await createCpuBackend(options);
      if (name === 'native BLAS' && backend.blas.kind !== 'native') {
        console.warn(`SKIPPED CPU kernels with ${name}: ${backend.blas.description}`);
        this.skip();
      }
    });
    after(() => backend.close());
    kernelTests(() => backend);
  });
}
