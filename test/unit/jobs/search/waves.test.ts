/** Waves: a search that goes on from kept ones ends as one that was never stopped. */
import assert from 'node:assert/strict';
import { matrix, Session } from '../../../../driver/index.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { estimators } from '../../../../jobs/estimators/index.js';
import { gridSearch } from '../../../../jobs/search/grid-search.js';
import type { GridSearchOptions } from '../../../../jobs/search/prepare.js';
import type { SearchResult } from '../../../../jobs/search/result.js';
import type { WaveLog } from '../../../../jobs/search/wave-log.js';
import { MemoryLog } from '../../../support/memory-log.js';
import { cells } from '../../../support/plan.js';

const logistic = estimators.find(({ name }) => name === 'logistic')!;
const ROWS = 120;

describe('waves of a search', () => {
  const search = async (
    waves: WaveLog,
    more: Partial<GridSearchOptions> = {},
  ): Promise<SearchResult> => {
    const session = new Session({ local: await createCpuBackend() });
    const X = matrix(session, cells(ROWS, 3));
    const y = X.col(0)
      .add(X.col(1).mul(X.col(2)))
      .gt(0);
    try {
      return await gridSearch(session.run(more.signal ? { signal: more.signal } : {}), {
        X,
        y,
        classes: ['no', 'yes'],
        estimator: logistic,
        cv: { folds: 3 },
        grid: { C: [0.1, 1], penalty: ['l2', 'l1'], max_iter: [2, 40] },
        scoring: ['roc_auc', 'precision'],
        reportClasses: true,
        waves,
        ...more,
      });
    } finally {
      await session.close();
    }
  };

  it('are the stacks that train together', async () => {
    const log = new MemoryLog();
    await search(log);
    assert.deepEqual(log.waves, [
      [0, 4],
      [1, 5],
      [2, 6],
      [3, 7],
    ]);
    assert.deepEqual(log.begun, [0, 1, 2, 3]);
  });

  it('that are kept are not trained again, and give the same bits', async () => {
    const log = new MemoryLog();
    const whole = await search(log);
    assert.ok(whole.classReport && whole.model && whole.warnings!.length > 0);
    for (const kept of [[0], [0, 1, 2], [3, 1], [0, 1, 2, 3]]) {
      const resumed = new MemoryLog();
      for (const wave of kept) resumed.kept.set(wave, log.kept.get(wave)!);
      assert.deepEqual(await search(resumed), whole, `with ${kept}`);
      assert.deepEqual(
        resumed.begun,
        [0, 1, 2, 3].filter((wave) => !kept.includes(wave)),
      );
    }
  });

  it('are all there is of a search that was stopped', async () => {
    const controller = new AbortController();
    const log = new MemoryLog();
    log.onEnd = (wave) => wave === 1 && controller.abort(new Error('stopped'));
    const told: number[] = [];
    const { signal } = controller;
    const part = await search(log, { signal, onTrials: ({ done }) => told.push(done) });
    assert.deepEqual(part.partial, { of: 8, candidates: [0, 1, 4, 5], why: 'it was stopped' });
    assert.deepEqual(
      part.trials.map(({ params }) => params),
      [
        { C: 0.1, max_iter: 2, penalty: 'l2' },
        { C: 0.1, max_iter: 2, penalty: 'l1' },
        { C: 1, max_iter: 2, penalty: 'l2' },
        { C: 1, max_iter: 2, penalty: 'l1' },
      ],
    );
    assert.deepEqual([told, part.model, part.classReport], [[2, 4], null, undefined]);
    assert.ok(part.bestIndex !== null);
  });

  it('that are none end a stopped search with its error', async () => {
    const signal = AbortSignal.abort(new Error('stopped'));
    await assert.rejects(search(new MemoryLog(), { signal }), /stopped/);
  });

  it('that are set aside have the error score, and stop a search that may not fail', async () => {
    const log = new MemoryLog();
    log.aside = 1;
    const whole = await search(log, { errorScore: -1 });
    const failed = whole.trials.filter(({ errors }) => errors !== undefined);
    assert.deepEqual(log.begun, [0, 2, 3]);
    assert.deepEqual(
      failed.map(({ splitScores, errors }) => [splitScores.roc_auc, errors?.[2]]),
      [
        [[-1, -1, -1], 'set aside'],
        [[-1, -1, -1], 'set aside'],
      ],
    );
    for (const [maxFailures, done] of [
      [1, 4],
      [2, 8],
    ] as const) {
      const limited = new MemoryLog();
      limited.aside = 1;
      const { trials, partial } = await search(limited, { maxFailures });
      assert.equal(trials.length, done);
      assert.equal(partial?.why, done === 8 ? undefined : '2 failed, of which 1 may');
    }
  });
});
