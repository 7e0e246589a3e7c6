/** Random matrices: published answers, independence of position and partitions, moments. */
import assert from 'node:assert/strict';
import { ops } from '../../../../driver/operators/index.js';
import { inverseNormal, strictLog } from '../../../../driver/operators/inverse-normal.js';
import { mulHigh, philox } from '../../../../driver/operators/philox.js';
import { randomRows } from '../../../../driver/operators/rand.js';

const hex = (words: Uint32Array): string =>
  [...words].map((word) => word.toString(16).padStart(8, '0')).join(' ');

describe('Philox4x32-10', () => {
  // Known answers of Random123 1.14, tests/kat_vectors.
  const known: readonly (readonly [number[], [number, number], string])[] = [
    [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      '408f276d 41c83b0e a20bc7c6 6d5451fd',
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      'd16cfe09 94fdcceb 5001e420 24126ea1',
    ],
  ];
  for (const [counter, [key0, key1], answer] of known) {
    it(`gives ${answer}`, () => {
      const words = Uint32Array.from(counter);
      philox(words, key0, key1);
      assert.equal(hex(words), answer);
    });
  }

  it('multiplies 32-bit words exactly', () => {
    for (const a of [0, 1, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xdeadbeef, 0xffffffff]) {
      for (const b of [0, 1, 0xffff, 0x10001, 0x80000001, 0xcafebabe, 0xffffffff]) {
        assert.equal(mulHigh(a, b), Number((BigInt(a) * BigInt(b)) >> 32n), `${a} * ${b}`);
      }
    }
  });
});

describe('the inverse normal distribution function', () => {
  // Wichura's own checks (AS 241, table of PPND16) and values from NumPy's float128 erfinv.
  const known: readonly (readonly [number, number])[] = [
    [0.25, -0.6744897501960817],
    [0.001, -3.090232306167813],
    [1e-20, -9.26234008979841],
    [0.975, 1.959963984540054],
    [0.5, 0],
  ];
  for (const [p, z] of known) {
    it(`at ${p} is ${z}`, () => {
      assert.ok(Math.abs(inverseNormal(p) - z) <= 2e-15 * Math.max(1, Math.abs(z)));
    });
  }

  it('is odd about one half and increases', () => {
    let last = -Infinity;
    for (let i = 1; i < 1000; i++) {
      const z = inverseNormal(i / 1000);
      assert.ok(z > last);
      assert.ok(Math.abs(z + inverseNormal(1 - i / 1000)) < 1e-12);
      last = z;
    }
  });

  it('uses a logarithm that is within one unit in the last place everywhere', () => {
    for (let exponent = -52; exponent <= 2; exponent++) {
      for (const mantissa of [1, 1 + 2 ** -52, 1 + 2 ** -21, 1.25, 1.4143, 1.7, 1.9999999]) {
        const x = mantissa * 2 ** exponent;
        const want = Math.log(x);
        assert.ok(Math.abs(strictLog(x) - want) <= Math.abs(want) * 2 ** -52, `log ${x}`);
      }
    }
  });
});

describe('rand', () => {
  const uniform = { rows: 50, cols: 7, seed: 3, distribution: 'uniform', min: 0, max: 1 } as const;
  const normal = {
    rows: 20_000,
    cols: 3,
    seed: 9,
    distribution: 'normal',
    mean: 2,
    std: 3,
  } as const;

  it('pins the bits: these cells may never change', () => {
    // Computed by an independent implementation in Python: big integers,
    // statistics.NormalDist.inv_cdf.
    assert.deepEqual(
      [...randomRows({ ...uniform, cols: 3 }, 0, 2)],
      [
        0.8166550034048078, 0.6560504642518658, 0.2682240422929314, 0.2046446720560967,
        0.8645020227144673, 0.9669781302162707,
      ],
    );
    assert.deepEqual(
      [...randomRows({ ...normal, seed: 2 ** 33 + 1 }, 2 ** 32 + 5, 1)],
      [1.5590988201812794, -1.1049044492482336, 4.774080404884445],
    );
  });

  it('gives a cell the same bits whatever else is drawn', () => {
    const whole = randomRows(uniform, 0, 50);
    assert.deepEqual(randomRows(uniform, 20, 5), whole.slice(20 * 7, 25 * 7));
    const wider = randomRows({ ...uniform, cols: 8 }, 0, 50);
    for (let j = 0; j < 7; j++) assert.equal(wider[8 * 11 + j], whole[7 * 11 + j]);
  });

  it('gives other cells for another seed, also above 32 bits', () => {
    const draws = [3, 4, 3 + 2 ** 32].map((seed) => randomRows({ ...uniform, seed }, 0, 1));
    assert.notDeepEqual(draws[0], draws[1]);
    assert.notDeepEqual(draws[0], draws[2]);
  });

  it('has the moments it should', () => {
    const n = normal.rows * normal.cols;
    const z = randomRows(normal, 0, normal.rows).map((x) => (x - 2) / 3);
    const moment = (k: number): number => z.reduce((sum, x) => sum + x ** k, 0) / n;
    // Bounds are five standard errors.
    assert.ok(Math.abs(moment(1)) < 5 / Math.sqrt(n));
    assert.ok(Math.abs(moment(2) - 1) < 5 * Math.sqrt(2 / n));
    assert.ok(Math.abs(moment(4) - 3) < 5 * Math.sqrt(96 / n));
    const u = randomRows({ ...uniform, rows: 20_000 }, 0, 20_000);
    const mean = u.reduce((sum, x) => sum + x, 0) / u.length;
    assert.ok(Math.abs(mean - 0.5) < 5 / Math.sqrt(12 * u.length));
    assert.ok(u.every((x) => x >= 0 && x < 1));
  });

  it('keeps about the share of cells that sparsity says, and only drops cells', () => {
    const full = randomRows(normal, 0, normal.rows);
    const sparse = randomRows({ ...normal, sparsity: 0.2 }, 0, normal.rows);
    let kept = 0;
    sparse.forEach((x, i) => {
      if (x === 0) return;
      kept++;
      assert.equal(x, full[i]);
    });
    assert.ok(Math.abs(kept / full.length - 0.2) < 5 * Math.sqrt(0.16 / full.length));
    assert.equal(ops.rand.infer([], { ...normal, sparsity: 0.2 }).nnz, full.length * 0.2);
  });

  for (const [what, attrs, message] of [
    ['a negative seed', { ...uniform, seed: -1 }, /rand: expected seed as a whole number/],
    ['a fraction of a row', { ...uniform, rows: 2.5 }, /rand: expected rows as a whole number/],
    ['an unknown distribution', { ...uniform, distribution: 'cauchy' }, /uniform or normal/],
    ['an infinite bound', { ...uniform, max: Infinity }, /rand: expected a finite max/],
    ['no sparsity at all', { ...uniform, sparsity: 0 }, /sparsity above 0/],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => ops.rand.infer([], attrs), message);
    });
  }
});
