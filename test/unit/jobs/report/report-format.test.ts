import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  decimalsFor,
  formatFixed,
  formatNumber,
  formatSeconds,
  formatWithSpread,
  plural,
} from '../../../../jobs/format.js';

describe('report: numbers', () => {
  it('writes durations in the unit a reader would choose', () => {
    const written = [0, 3.2e-7, 0.0004, 0.412, 0.9996, 12.34, 59.96, 131.7, 3599.6, 7325].map(
      formatSeconds,
    );
    assert.deepEqual(written, [
      '0 s',
      '0.32 µs',
      '400 µs',
      '412 ms',
      '1 s',
      '12.3 s',
      '1 min 0 s',
      '2 min 12 s',
      '1 h 0 min',
      '2 h 2 min',
    ]);
    assert.equal(formatSeconds(Number.NaN), 'n/a');
  });

  it('keeps penalties short and exact powers readable', () => {
    assert.deepEqual(
      [0.01, 0.016037187437, 203.09176, 1e6, 1e-7, 0, -0.5].map((v) => formatNumber(v)),
      ['0.01', '0.0160372', '203.092', '1e6', '1e-7', '0', '-0.5'],
    );
  });

  it('gives enough decimals to tell the best scores apart, however flat the curve', () => {
    const scores = [-1412.000131, -1412.000132, -1412.000135, -1500, -90_000];
    const decimals = decimalsFor(scores);
    const written = scores.slice(0, 3).map((score) => formatFixed(score, decimals));
    assert.equal(new Set(written).size, 3);
  });

  it('never asks toFixed for more decimals than a double holds', () => {
    fc.assert(
      fc.property(fc.array(fc.double()), (values) => {
        const decimals = decimalsFor(values);
        assert.ok(Number.isInteger(decimals) && decimals >= 0 && decimals <= 15);
        for (const value of values) assert.notEqual(formatFixed(value, decimals), '');
      }),
      { seed: 7 },
    );
  });

  it('writes missing and infinite scores as words', () => {
    assert.deepEqual(
      [null, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((value) =>
        formatFixed(value, 3),
      ),
      ['NaN', 'NaN', 'inf', '-inf'],
    );
  });

  it('rounds a score to the second digit of its spread', () => {
    assert.equal(formatWithSpread(-1413.8213, 10.87), '-1414 ± 11');
    assert.equal(formatWithSpread(0.0709312, 0.00715), '0.0709 ± 0.0072');
    assert.equal(formatWithSpread(0.25, 0), '0.25 ± 0');
    assert.equal(formatWithSpread(Number.NaN, 1), 'NaN');
    assert.equal(formatWithSpread(2, Number.NaN), '2');
  });

  it('says one fit and two fits', () => {
    assert.deepEqual(
      [plural(1, 'fit'), plural(2, 'fit'), plural(1200, 'box', 'boxes')],
      ['1 fit', '2 fits', '1,200 boxes'],
    );
  });
});
