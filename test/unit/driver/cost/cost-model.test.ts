import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { loadCostModel, saveCostModel } from '../../../../driver/cost/cost-file.js';
import { CostModel } from '../../../../driver/cost/cost-model.js';
import { ReadCounts, ReuseHistory } from '../../../../driver/cost/reuse-history.js';
import type { Expr } from '../../../../driver/ir/expr.js';
import { generated, MIB, machines } from '../../../support/placement.js';

/** Numbers in [0, 1), by the generator of Park and Miller. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

describe('cost model', () => {
  it('says what backends say while nothing was measured', () => {
    const { session, cluster } = machines({ placement: 'cost' });
    const { expr } = generated(session, MIB);
    const costs = new CostModel();
    assert.equal(costs.work(cluster, expr).seconds, cluster.estimate(expr).seconds);
    assert.equal(costs.upload(cluster, 100 * MIB).seconds, 1);
    assert.equal(costs.transferSeconds(session.local, cluster, 50 * MIB), 0.5);
  });

  it('comes within a factor of 2 of rates that are up to 8 times off, whatever the mix that is measured', () => {
    const factor = fc.double({ min: 1 / 8, max: 8, noNaN: true });
    fc.assert(
      fc.property(factor, factor, factor, fc.integer({ min: 1, max: 1e6 }), (a, b, c, seed) => {
        const costs = new CostModel();
        const next = uniform(seed);
        const truth: Readonly<Record<string, number>> = { a, b, c };
        for (let i = 0; i < 1200; i++) {
          const parts = Object.keys(truth).map((key) => {
            const size = 10 ** (4 * next() - 2);
            return { key, size, seconds: size * costs.factor(key) };
          });
          const measured = parts.reduce((sum, { key, size }) => sum + size * truth[key]!, 0);
          costs.observe(parts, measured);
        }
        for (const [key, rate] of Object.entries(truth)) {
          assert.ok(
            Math.abs(Math.log(costs.factor(key) / rate)) < Math.log(2),
            `${key}: ${costs.factor(key)} for ${rate}`,
          );
        }
      }),
      { numRuns: 30 },
    );
  });

  it('is moved little by one wild measurement, and not at all by one too short to tell', () => {
    const costs = new CostModel();
    for (let i = 0; i < 20; i++) costs.observe([{ key: 'a', seconds: costs.factor('a') }], 1);
    costs.observe([{ key: 'a', seconds: costs.factor('a') }], 1e6);
    assert.ok(costs.factor('a') <= 1.5 ** 0.2 + 1e-9, String(costs.factor('a')));
    const before = costs.factor('a');
    costs.observe([{ key: 'a', seconds: 1e-6 }], 5e-5);
    costs.observe([{ key: 'a', seconds: 1 }], Number.NaN);
    assert.equal(costs.factor('a'), before);
  });

  it('settles near the median of what was measured when a third of it met pauses', () => {
    const costs = new CostModel();
    const next = uniform(11);
    const after: number[] = [];
    for (let i = 0; i < 600; i++) {
      const pause = next() < 1 / 3 ? 2 + 20 * next() : 1;
      costs.observe([{ key: 'a', seconds: costs.factor('a') * 1e-3 }], 2e-3 * pause);
      if (i >= 100) after.push(costs.factor('a'));
    }
    const median = after.sort((a, b) => a - b)[after.length >> 1]!;
    assert.ok(median > 1.9 && median < 3, String(median));
  });

  it('takes short work in whether it was fast or slow', () => {
    const costs = new CostModel();
    for (let i = 0; i < 50; i++)
      costs.observe([{ key: 'a', seconds: 4e-4 * costs.factor('a') }], i % 2 ? 2e-3 : 8e-5);
    assert.ok(Math.abs(Math.log(costs.factor('a'))) < Math.log(1.5), String(costs.factor('a')));
  });

  it('learns of what a backend is, whatever place it goes by', () => {
    const { session, cluster } = machines({ placement: 'cost' });
    const { expr } = generated(session, MIB);
    const costs = new CostModel();
    const [one, moved] = ['opencl:0', 'opencl:1'].map((name) => ({
      ...cluster,
      ...{ name, costName: 'GPU A, 1.2', estimate: cluster.estimate.bind(cluster) },
    }));
    const other = { ...one!, costName: 'GPU B, 1.2' };
    const parts = [costs.start(one!), costs.work(one!, expr), costs.upload(one!, MIB)];
    for (const part of parts) for (let i = 0; i < 9; i++) costs.observe([part], 3 * part.seconds);
    for (const part of [costs.start(moved!), costs.work(moved!, expr), costs.upload(moved!, MIB)]) {
      assert.ok(costs.factor(part.key) > 2, part.key);
    }
    for (const part of [costs.start(other), costs.work(other, expr), costs.upload(other, MIB)]) {
      assert.equal(costs.factor(part.key), 1, part.key);
    }
  });

  it('changes where the next plan runs when what was measured says so', async () => {
    const costs = new CostModel();
    const { session, cluster } = machines({ placement: 'cost', costs });
    const { expr } = generated(session, 16 * MIB).colSums();
    assert.match(session.explain([expr]), /colSums .*\[cluster/);
    for (let i = 0; i < 30; i++) {
      costs.observe([costs.start(cluster)], 30);
      costs.observe([costs.work(cluster, expr)], 30);
    }
    assert.match(session.explain([expr]), /colSums .*\[host/);
  });
});

describe('kept costs', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'reprise-costs-'));
    path = join(folder, 'home', 'costs.json');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const taught = (machine: string, seconds: number): CostModel => {
    const costs = loadCostModel(path, machine);
    costs.observe([{ key: 'cpu/tsmm', seconds: 1 }], seconds);
    return costs;
  };

  it('start the next process where this one ended, each machine for itself', () => {
    const first = taught('one', 2);
    assert.equal(saveCostModel(first), true);
    assert.equal(saveCostModel(taught('other', 0.5)), true);
    assert.deepEqual(loadCostModel(path, 'one').learned(), first.learned());
    assert.ok(loadCostModel(path, 'other').factor('cpu/tsmm') < 1);
    assert.equal(loadCostModel(path, 'third').factor('cpu/tsmm'), 1);
    assert.deepEqual(readdirSync(join(folder, 'home')), ['costs.json']);
  });

  it('are written only when something was learned and there is a place for them', () => {
    assert.equal(saveCostModel(loadCostModel(path, 'one')), false);
    const homeless = new CostModel();
    homeless.observe([{ key: 'a', seconds: 1 }], 2);
    assert.equal(saveCostModel(homeless), false);
    writeFileSync(join(folder, 'home'), 'a file where the folder should be');
    assert.equal(saveCostModel(taught('one', 2)), false);
  });

  it('of devices by place, from earlier versions, are left out: which device that was nobody knows', () => {
    const costs = loadCostModel(path, 'one');
    const keys = ['opencl:0/matmul', 'cuda:12/up', 'opencl GPU A, 1.2/matmul'];
    for (const key of keys) costs.observe([{ key, seconds: 1 }], 3);
    saveCostModel(costs);
    assert.deepEqual(Object.keys(loadCostModel(path, 'one').learned()), keys.slice(2));
  });

  it('are as good as none when the file is damaged, of another version, or edited into nonsense', () => {
    saveCostModel(taught('one', 2));
    const whole = readFileSync(path, 'utf8');
    const broken = [
      '',
      'null',
      '{"version":3}',
      '{"version":3,"machines":{"one":7}}',
      '{"version":3,"machines":{"one":{"cpu/tsmm":{"factor":"2","samples":1}}}}',
      '{"version":3,"machines":{"one":{"cpu/tsmm":{"factor":-1,"samples":1}}}}',
      '{"version":3,"machines":{"one":{"cpu/tsmm":null}}}',
      whole.replace('"version": 3', '"version": 2'),
      whole.slice(0, whole.length / 2),
    ];
    for (const text of broken) {
      writeFileSync(path, text);
      assert.equal(loadCostModel(path, 'one').factor('cpu/tsmm'), 1, text);
      assert.equal(saveCostModel(taught('one', 2)), true, text);
      assert.ok(loadCostModel(path, 'one').factor('cpu/tsmm') > 1, text);
    }
  });
});

describe('reads of earlier sessions', () => {
  const read = (counts: ReadCounts, expr: Expr, times: number): ReuseHistory => {
    const history = new ReuseHistory(counts);
    for (let i = 0; i < times; i++) history.note([expr]);
    return history;
  };
  const value = (): Expr => generated(machines({ placement: 'cost' }).session, MIB).expr;

  it('are expected again, in another process too, and nothing is known past them', () => {
    const counts = new ReadCounts();
    const expr = value();
    assert.deepEqual(
      [0, 1, 5].map((times) => read(new ReadCounts(), expr, times).expected(expr)),
      [0, 1, 5],
    );
    read(counts, expr, 6);
    const later = (): ReadCounts => new ReadCounts(counts.toJson());
    assert.equal(new ReuseHistory(later()).expected(value()), 6);
    const again = value();
    assert.deepEqual(
      [0, 1, 5, 6, 8].map((times) => read(later(), again, times).expected(again)),
      [6, 5, 1, 0, 2],
    );
  });

  it('forget values read once, those noted longest ago, and what is no count', () => {
    const counts = new ReadCounts({ a: -1, b: 'x', c: 1.5, d: null, e: 3 });
    assert.deepEqual(counts.toJson(), { e: 3 });
    counts.note('once', 1);
    for (let i = 0; i < 600; i++) counts.note(`key ${i}`, 2);
    assert.equal(counts.size, 512);
    assert.deepEqual(
      [counts.of('e'), counts.of('key 87'), counts.of('key 88')],
      [undefined, undefined, 2],
    );
    counts.note('key 599', 1);
    assert.equal(counts.of('key 599'), 1);
  });

  it('are kept with the costs', () => {
    const folder = mkdtempSync(join(tmpdir(), 'reprise-costs-'));
    try {
      const path = join(folder, 'costs.json');
      const costs = loadCostModel(path, 'one');
      costs.observe([{ key: 'a', seconds: 1 }], 2);
      costs.reads.note('some key', 4);
      assert.equal(saveCostModel(costs), true);
      assert.equal(loadCostModel(path, 'two').reads.of('some key'), 4);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
