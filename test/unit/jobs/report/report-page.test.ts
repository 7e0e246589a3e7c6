import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Script } from 'node:vm';
import type { LinearModel } from '../../../../jobs/estimators/model.js';
import { coefficientsSection } from '../../../../jobs/report/coefficients.js';
import { renderReport } from '../../../../jobs/report/index.js';
import type { RunRecord } from '../../../../jobs/runs/record.js';
import { bestTrial } from '../../../../jobs/search/result.js';
import { linearModel } from '../../../support/run-records.js';
import { sampleRecord } from '../../../support/sample-record.js';

function between(text: string, start: string, end: string): string {
  const from = text.indexOf(start);
  assert.ok(from >= 0, `expected ${start} in the page`);
  return text.slice(from + start.length, text.indexOf(end, from + start.length));
}

/** Text of an element's HTML, tags dropped. */
function textOf(html: string): string {
  return html
    .replace(/<[^>]*>/g, ' ')
    .replace(/&(lt|gt|amp|quot|#39);/g, (_, name: string) => entities[name] ?? '')
    .replace(/\s+/g, ' ')
    .trim();
}

const entities: Readonly<Record<string, string>> = {
  lt: '<',
  gt: '>',
  amp: '&',
  quot: '"',
  '#39': "'",
};

describe('report: page', function () {
  this.timeout(60_000);
  let record: RunRecord;
  let page: string;

  before(async () => {
    record = sampleRecord();
    page = renderReport(record);
  });

  it('says the best candidate, its score with spread, and what reuse saved in one sentence', () => {
    const text = textOf(between(page, '<p class="verdict">', '</p>'));
    const best = bestTrial(record.search);
    assert.ok(best);
    assert.match(
      text,
      new RegExp(`^Best is lambda ${Number(Number(best.params.lambda).toPrecision(6))} `),
    );
    assert.match(text, /neg_mean_squared_error -\d+ ± \d+ over 10 folds; reuse answered /);
    assert.match(text, /saved an estimated 2 min 12 s ?\.$/);
  });

  it('keeps the sections in their order', () => {
    const ids = [...page.matchAll(/<section id="([a-z]+)"/g)].map(([, id]) => id);
    assert.deepEqual(ids, [
      'curve',
      'phases',
      'trials',
      'model',
      'timeline',
      'lineage',
      'job',
      'plan',
      'environment',
    ]);
  });

  it('allows exactly its own style and script', () => {
    const policy = between(page, 'http-equiv="Content-Security-Policy" content="', '"').replaceAll(
      '&#39;',
      "'",
    );
    const digest = (text: string): string =>
      `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    assert.match(policy, /^default-src 'none';/);
    assert.ok(policy.includes(`style-src ${digest(between(page, '<style>', '</style>'))}`));
    assert.ok(policy.includes(`script-src ${digest(between(page, '<script>', '</script>'))}`));
    assert.doesNotMatch(page.replace(between(page, '<style>', '</style>'), ''), / style="/);
  });

  it('refers to nothing outside itself', () => {
    const links = [...page.matchAll(/\b(?:src|href|action|xlink:href)="([^"]*)"/g)].map(
      ([, to]) => to,
    );
    assert.deepEqual(
      links.filter((link) => !link?.startsWith('#') && link !== 'data:,'),
      [],
    );
    assert.doesNotMatch(page, /url\((?!#)|@import/);
    const addresses = [...page.matchAll(/https?:\/\/[^"'\s<]+/g)].map(([address]) => address);
    // The library's licence line names where it is from.
    assert.deepEqual([...new Set(addresses)], ['https://github.com/leeoniya/uPlot']);
  });

  it('has a script that parses and data that hold every trial', () => {
    new Script(between(page, '<script>', '</script>'));
    const data = JSON.parse(between(page, 'id="results-data">', '</script>'));
    assert.equal(data.rows.length, 40);
    const at = data.columns.findIndex((column: { label: string }) => column.label === 'mean r2');
    assert.ok(at > 0);
    const best = bestTrial(record.search);
    assert.ok(Math.abs(data.rows[data.best][at] - (best?.meanScore.r2 ?? 0)) < 1e-11);
  });

  it('has the points of a curve for each metric, and a word for each', () => {
    const figures = [...page.matchAll(/<figure data-metric="([^"]+)"/g)].map(([, name]) => name);
    assert.deepEqual(figures, ['neg_mean_squared_error', 'r2']);
    const first = between(page, '<figure data-metric="r2"', '</figure>');
    const data = JSON.parse(between(first, '<script type="application/json">', '</script>'));
    assert.deepEqual([data.scale, data.kind, data.folds.length], ['log', 'curve', 10]);
    for (const list of [data.x, data.mean, data.low, data.high, data.tips, ...data.folds])
      assert.equal(list.length, 40);
    const trial = record.search.trials[7];
    const at = data.x.indexOf(trial?.params.lambda);
    assert.equal(data.mean[at], trial?.meanScore.r2);
    assert.equal(data.folds[3][at], trial?.splitScores.r2?.[3]);
    assert.match(data.tips[data.best], /^lambda .*: r2 .* ± .* \(best\)$/);
  });

  it('shows the coefficients of every class, of squares too', () => {
    const classes = ['fog', 'rain & snow', 'sun'];
    const model: LinearModel = {
      ...linearModel(['a', 'b'], [], 0),
      task: 'classification',
      link: 'softmax',
      basis: 'squares',
      classes,
      coefficients: classes.map((_, k) => [k + 0.25, -k, 10 * k, 3]),
      intercepts: [0.5, 1.5, 2.5],
    };
    const own = renderReport({ ...record, search: { ...record.search, model } });
    const text = textOf(between(own, '<section id="model"', '</section>'));
    assert.match(text, /12 coefficients of 3 outputs, largest first in each/);
    assert.match(text, /fog: intercept 0\.5 b² 3 a 0\.25 /);
    assert.match(
      text,
      /rain & snow: intercept 1\.5 a² 10 b² 3 a 1\.25 b -1 sun: intercept 2\.5 a² 20/,
    );
  });

  it('offers all coefficients only where some are hidden', () => {
    const offers = (outputs: number): boolean => {
      const model: LinearModel = {
        ...linearModel(['a', 'b', 'c', 'd'], [], 0),
        coefficients: Array.from({ length: outputs }, () => [1, 2, 3, 4]),
        intercepts: Array(outputs).fill(0),
      };
      return String(coefficientsSection(model)).includes('id="all-coefficients"');
    };
    // Of four columns: three an output are shown; all; two, which are all that there are of so many.
    assert.deepEqual([6, 5, 800].map(offers), [true, false, false]);
  });

  it('is fast and small for a search of 2,000 lineage nodes, and readable for a large one', async () => {
    const start = process.cpuUsage();
    assert.ok(Buffer.byteLength(renderReport(record)) < 1_000_000);
    const used = process.cpuUsage(start).user / 1e3;
    assert.ok(used < 3000, `${used} ms of CPU time`);
    const large = renderReport(sampleRecord({ lambdas: 1000, folds: 12, columns: 3000 }));
    assert.ok(Buffer.byteLength(large) < 3_000_000, `${Buffer.byteLength(large)} bytes`);
    assert.equal(between(large, '<tbody>', '</tbody>').length > 0, true);
    assert.match(large, /Showing 100 of 1,000 trials, best first/);
    assert.match(large, /1,000 smaller ones are in model\.json/);
  });
});

describe('report: awkward runs', function () {
  this.timeout(60_000);

  it('reports one trial with failed fits, no model, no lineage, no timeline', async () => {
    const sample = sampleRecord({ lambdas: 1, folds: 3, failed: 1, columns: 2 });
    const nothing = { neg_mean_squared_error: Number.NaN, r2: Number.NaN };
    const record: RunRecord = {
      ...sample,
      search: {
        ...sample.search,
        model: null,
        trials: sample.search.trials.map((trial) => ({
          ...trial,
          splitScores: { neg_mean_squared_error: [NaN, NaN, NaN], r2: [NaN, NaN, NaN] },
          meanScore: nothing,
          stdScore: nothing,
        })),
      },
      reuse: { hits: 0, partial: 0, misses: 4, savedSeconds: 0 },
      seconds: { total: 0.4 },
      lineage: [],
      timeline: [],
      plan: '',
      job: null,
    };
    const page = renderReport(record);
    assert.match(page, /No candidate has a finite neg_mean_squared_error/);
    assert.match(page, /1 of 3 fits failed/);
    assert.match(page, /solve: expected a positive definite matrix/);
    assert.match(page, /No model: refitting/);
    assert.match(page, /recorded no lineage/);
    assert.match(page, /recorded no timeline/);
    assert.match(page, /recorded no plan/);
    const shown = page.replace(between(page, '<script>', '</script>'), '');
    assert.doesNotMatch(shown, /undefined|\[object /);
  });

  it('draws parameters that are words, lists that hold zero, and infinite scores', async () => {
    const sample = sampleRecord({ lambdas: 5, folds: 3, columns: 4 });
    const values = ['plain', true, null, 0, 'none'] as const;
    const record: RunRecord = {
      ...sample,
      search: {
        ...sample.search,
        paramNames: ['solver', 'lambda'],
        trials: sample.search.trials.map((trial, i) => ({
          ...trial,
          params: { solver: values[i] ?? null, lambda: 0 },
          meanScore: { ...trial.meanScore, r2: i === 4 ? Number.NEGATIVE_INFINITY : i },
        })),
      },
    };
    const page = renderReport(record);
    assert.match(page, /<td class="t">plain<\/td>/);
    assert.match(page, />-inf</);
    const zeros = {
      ...sample.search,
      trials: sample.search.trials.map((trial, i) => ({
        ...trial,
        params: { lambda: i === 0 ? 0 : 10 ** i },
      })),
    };
    const figure = between(
      renderReport({ ...sample, search: zeros }),
      '<figure data-metric="r2"',
      '</figure>',
    );
    const data = JSON.parse(between(figure, '<script type="application/json">', '</script>'));
    assert.deepEqual([data.scale, data.kind], ['category', 'points']);
    assert.deepEqual(data.labels, ['0', '10', '100', '1000', '10000']);
    assert.doesNotMatch(figure, /NaN|Infinity|undefined/);
  });

  it('keeps hostile names text wherever they appear', async () => {
    const evil = `</script></title></style><img src=x onerror="alert(1)">'\u2028&`;
    const sample = sampleRecord({ lambdas: 4, folds: 2, columns: 3, failed: 1 });
    const { search } = sample;
    const renamed = <T>(scores: Readonly<Record<string, T>>): Record<string, T> => ({
      [evil]: scores.r2 as T,
    });
    const record: RunRecord = {
      ...sample,
      run: evil,
      name: evil,
      reprise: evil,
      job: { [evil]: evil },
      plan: evil,
      environment: { [evil]: evil },
      seconds: { [evil]: 1, total: 2 },
      timeline: [{ lane: evil, name: evil, start: 0, end: 1 }],
      lineage: sample.lineage.map((node) => ({ ...node, op: evil, label: evil, backend: evil })),
      search: {
        ...search,
        paramNames: [evil],
        metrics: [evil],
        refit: evil,
        model: { ...linearModel([evil], [1], 0), imputed: { [evil]: 1 } },
        trials: search.trials.map((trial, i) => ({
          params: { [evil]: `${evil}${i}` },
          splitScores: renamed(trial.splitScores),
          meanScore: renamed(trial.meanScore),
          stdScore: renamed(trial.stdScore),
          rank: renamed(trial.rank),
          errors: { 0: evil },
        })),
      },
    };
    const page = renderReport(record);
    assert.doesNotMatch(page, /<img/);
    assert.equal(page.match(/<\/script>/g)?.length, 3);
    assert.equal(page.match(/<\/style>/g)?.length, 1);
    const data = between(page, 'id="results-data">', '</script>');
    assert.ok(!data.includes('\u2028'));
    assert.equal(JSON.parse(data).columns[1].label, evil);
    const curve = JSON.parse(between(page, '<script type="application/json">', '</script>'));
    assert.equal(curve.axis, evil);
  });
});
