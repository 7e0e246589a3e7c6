/** The programs' values: within the errors they state, and right at the ends of their ranges. */
import assert from 'node:assert/strict';
import { type CellProgram, cellOf } from '../../../../driver/ir/cell-program.js';
import * as programs from '../../../../driver/operators/cell-functions.js';

interface Case {
  readonly program: CellProgram;
  /** Right to less than one unit in the last place. */
  readonly exact: (a: number) => number;
  /** Both libraries' errors together. @units relative */
  readonly most: number;
  readonly from: number;
  readonly to: number;
}

const ULP = 2 ** -52;
const softplus = (a: number): number => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));

/** Its series below 2 (Abramowitz and Stegun, 7.1.6), a continued fraction of the rest above. */
function erf(a: number): number {
  const size = Math.abs(a);
  if (size > 2) {
    let fraction = 0;
    for (let k = 200; k > 0; k--) fraction = k / 2 / (size + fraction);
    return Math.sign(a) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (size + fraction));
  }
  let [term, sum] = [a, a];
  for (let n = 1; n < 60; n++) {
    term *= (2 * a * a) / (2 * n + 1);
    sum += term;
  }
  return Number.isNaN(a) ? a : (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * sum;
}

const cases: Readonly<Record<string, Case>> = {
  exp: { program: programs.expProgram, exact: Math.exp, most: ULP, from: -708, to: 709 },
  expm1: { program: programs.expm1Program, exact: Math.expm1, most: 2 * ULP, from: -50, to: 709 },
  log: { program: programs.logProgram, exact: Math.log, most: ULP, from: 0, to: 1e9 },
  log1p: { program: programs.log1pProgram, exact: Math.log1p, most: 2 * ULP, from: -1, to: 1e9 },
  sigmoid: {
    ...{ program: programs.sigmoidProgram, exact: (a: number) => 1 / (1 + Math.exp(-a)) },
    ...{ most: 3 * ULP, from: -708, to: 709 },
  },
  erf: { program: programs.erfProgram, exact: erf, most: 6 * ULP, from: -30, to: 30 },
  tanh: { program: programs.tanhProgram, exact: Math.tanh, most: 5 * ULP, from: -30, to: 30 },
  softplus: {
    ...{ program: programs.softplusProgram, exact: softplus },
    ...{ most: 3 * ULP, from: -708, to: 709 },
  },
};

/** Cells of every magnitude between the ends, the ends too. */
function samples(from: number, to: number): number[] {
  const cells = [from, to];
  for (let i = 0; i < 4000; i++) {
    const part = ((i * 0.6180339887498949) % 1) * 10 ** -(i % 9);
    cells.push(to * part, from * part, from + (to - from) * part);
  }
  return cells.filter((a) => a >= from && a <= to);
}

describe('functions of cells', () => {
  for (const [name, { program, exact, most, from, to }] of Object.entries(cases)) {
    const cell = cellOf(program);

    it(`${name} is right to ${most / ULP} units in the last place`, () => {
      for (const a of samples(from, to)) {
        const expected = exact(a);
        const error = Math.abs(cell(a, a, a) - expected);
        assert.ok(error <= most * Math.abs(expected) || cell(a, a, a) === expected, `at ${a}`);
      }
    });

    it(`${name} of infinities, NaN, zero and what is far outside`, () => {
      const edges = [Number.NaN, Infinity, -Infinity, 0, 1, -1, -2, 5e-324, 1e-310, 1e300, -1e300];
      for (const a of [...edges, 709.7, 710, -740, -744.5, -746, 45, -45]) {
        const expected = exact(a);
        const got = cell(a, a, a);
        if (Number.isFinite(expected) && expected !== 0) {
          assert.ok(Math.abs(got / expected - 1) <= most || got === expected, `at ${a}: ${got}`);
        } else assert.ok(got === expected || (Number.isNaN(got) && Number.isNaN(expected)), `${a}`);
      }
    });
  }
});
