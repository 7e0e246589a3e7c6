/**
 * Cleaning steps against scikit-learn's `Pipeline` on the same folds (fixtures by prepare.py): the
 * prepared rows, and the errors of ridge regressions on rows held out, which are solved from moments.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createReferenceBackend } from '../../../../driver/backend/reference-backend.js';
import { type DenseMatrix, type Matrix, matrix, Session } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { ridge } from '../../../../jobs/estimators/ridge.js';
import { chosenStep } from '../../../../jobs/prepare/chosen-steps.js';
import { joinedSteps, Preparation } from '../../../../jobs/prepare/preparation.js';
import { preparedDesign } from '../../../../jobs/prepare/prepared-design.js';
import { cellRows } from '../../../../jobs/prepare/rows.js';
import {
  applyStages,
  applyToRows,
  type StoredStage,
} from '../../../../jobs/prepare/stored-stages.js';
import { sklearnFolder } from '../../../support/sklearn-fixtures.js';

interface Fixture {
  readonly folds: number;
  readonly shown: readonly number[];
  readonly x: readonly (readonly (number | null)[])[];
  readonly y: readonly number[];
  readonly k: readonly number[];
  readonly scenarios: readonly {
    readonly name: string;
    readonly steps: readonly { readonly step: string }[];
    readonly classes: boolean;
    readonly folds: readonly { readonly rows: readonly number[][]; readonly error: number }[];
  }[];
}

const fixture = JSON.parse(readFileSync(join(sklearnFolder, 'prepare.json'), 'utf8')) as Fixture;

describe('cleaning steps as scikit-learn has them', () => {
  for (const [backend, open] of [
    ['reference', async () => createReferenceBackend()],
    ['cpu', () => createCpuBackend()],
  ] as const) {
    for (const scenario of fixture.scenarios) {
      it(`${scenario.name}, ${backend}`, async () => {
        const session = new Session({ local: await open() });
        await agrees(session, scenario);
        await session.close();
      });
    }
  }
});

describe('products of several candidates', () => {
  it('are columns of the largest, which is made once', () => {
    const session = new Session({ local: createReferenceBackend() });
    const [X, y] = [matrix(session, [[1, 2], [3, 4], [5, 7]]), matrix(session, [[1], [0], [2]])]; // biome-ignore format: rows
    const split = { groupOf: y.mul(0), groups: 1, train: [0] };
    const context = { y, classes: 0, hasTarget: true };
    const preparation = new Preparation(cellRows(X, [], ['a', 'b']), [split], context);
    const chains = [1, 2, 3].map((degree) => [chosenStep({ step: 'polynomial', degree })]);
    const joined = joinedSteps(chains);
    const made = chains.map((steps) => preparation.after(joined(steps))[0]!);
    assert.deepEqual(made.map(({ width }) => width), [2, 5, 9]); // biome-ignore format: a call
    assert.equal(new Set(made.map(({ rows }) => rows.cells.expr)).size, 1);
    // Whether others share the columns changes nothing of what later steps may say.
    assert.deepEqual(made.map(({ map }) => map.names), [undefined, undefined, undefined]); // biome-ignore format: a call
    const apart = joinedSteps(chains.slice(0, 1))(chains[0]!);
    assert.equal(preparation.after(apart)[0]!.rows.width, 2);
  });
});

describe('stages of a kept model', () => {
  it('mix columns, of which a missing cell is missing in those it has a share of', async () => {
    const session = new Session({ local: createReferenceBackend() });
    const stage: StoredStage = { kind: 'columns', columns: ['a', 'b'], matrix: [[2, 0], [0, 3], [1, 0]], shift: [1, 0] }; // biome-ignore format: rows
    const rows = [[1, 2, 3], [NaN, 2, 3], [1, NaN, 3]]; // biome-ignore format: rows
    const expected = [[6, 6], [NaN, 6], [6, NaN]]; // biome-ignore format: rows
    assert.deepEqual(await applyStages(matrix(session, rows), [stage]).toArray(), expected);
    assert.deepEqual([...applyToRows(Float64Array.from(rows.flat()), 3, [stage])], expected.flat());
    await session.close();
  });
});

async function agrees(session: Session, scenario: Fixture['scenarios'][number]): Promise<void> {
  const { x, folds, shown } = fixture;
  const X = matrix(
    session,
    x.map((row) => row.map((cell) => cell ?? Number.NaN)),
  );
  const column = (cells: readonly number[]): Matrix =>
    matrix(session, cells.length, 1, Float64Array.from(cells));
  const y = column(fixture.y);
  const groupOf = column(x.map((_, i) => Math.floor((i * folds) / x.length)));
  const numbers = Array.from({ length: folds }, (_, fold) => fold);
  const splits = numbers.map((fold) => ({ groupOf, groups: folds, train: numbers.filter((g) => g !== fold) })); // biome-ignore format: a list
  const names = x[0]!.map((_, j) => `x${j}`);
  const source = cellRows(X, [0, 1, 2, 3, 5], names);
  const context = { y: scenario.classes ? column(fixture.k) : y, classes: scenario.classes ? 3 : 0, hasTarget: true }; // biome-ignore format: a record
  const steps = scenario.steps.map(chosenStep);
  const prepared = new Preparation(source, splits, context).after(steps);
  for (const [fold, { rows, error }] of scenario.folds.entries()) {
    const { X: Z, training } = preparedDesign(prepared[fold]!, { test: [fold], y, standardize: false, isSolved: true }); // biome-ignore format: a call
    const { weights } = ridge.fit({ ...training, train: [0] }, { lambda: 1, intercept: true });
    const left = Z.cbind(Z.col(0).mul(0).add(1)).matmul(weights).sub(y);
    const sum = groupOf.eq(fold).mul(left.square()).sum().asMatrix();
    const { leftOut } = prepared[fold]!.map;
    const out = leftOut ?? Z.row(0).mul(0);
    const asked = [Z, sum, out].map(({ expr }) => expr);
    const [cells, found, isOut] = (await session.evaluate(asked)) as DenseMatrix[];
    near(found!.data[0]!, error, `error of fold ${fold}`);
    // Columns that are left out are 0 in every row here, and not there at scikit-learn's.
    const kept = [...isOut!.data.keys()].filter((j) => isOut!.data[j] === 0);
    for (const [r, row] of rows.entries()) {
      const own = kept.map((j) => cells!.data[shown[r]! * cells!.cols + j]!);
      assert.equal(own.length, row.length, `columns of fold ${fold}`);
      for (const [j, cell] of row.entries()) near(own[j]!, cell, `row ${r}, column ${j}`);
    }
  }
}

function near(got: number, expected: number, what: string): void {
  const scale = Math.max(1, Math.abs(expected));
  assert.ok(Math.abs(got - expected) <= 1e-8 * scale, `${what}: ${got}, not ${expected}`);
}
