/** Sums over folds that a program cuts out of one matrix, asked for one after another. */
import assert from 'node:assert/strict';
import { type Evaluator, type Matrix, rand, Session } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { assertClose } from '../../../support/close.js';

const [ROWS, COLUMNS, FOLDS] = [16_000, 40, 8];

/** All folds but one, as a script binds them. */
function train(s: Evaluator, left: number): Matrix {
  const X = rand(s, ROWS, COLUMNS, { seed: 7 });
  const at = (fold: number): number => (fold * ROWS) / FOLDS;
  const others = Array.from({ length: FOLDS }, (_, fold) => fold).filter((fold) => fold !== left);
  const [first, ...rest] = others.map((fold) => X.slice([at(fold), at(fold + 1)]));
  return first!.rbind(...rest);
}

describe('sums over folds cut out of one matrix', () => {
  it('are one sum a fold, though neighbours among them are one range', async () => {
    const local = await createCpuBackend();
    const [session, cold] = [new Session({ local }), new Session({ local, reuse: 'off' })];
    await session.persist([rand(session, ROWS, COLUMNS, { seed: 7 }).expr]);
    const run = session.run();
    for (let fold = 0; fold < FOLDS; fold++) {
      const got = await train(run, fold).tsmm().value();
      assertClose(got, await train(cold, fold).tsmm().value(), 1e-9, `without ${fold}`);
    }
    const sums = run.statistics.plans.flatMap(({ nodes }) =>
      nodes.filter(({ expr }) => expr.op.name === 'tsmm'),
    );
    assert.equal(sums.length, FOLDS);
    await local.close();
  });
});
