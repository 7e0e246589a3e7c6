/**
 * The report in a real headless Chromium with the network off: what only a browser can tell.
 * Skipped, loudly, where there is no Chromium; CHROME_PATH names one that is elsewhere.
 */
import assert from 'node:assert/strict';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { renderReport } from '../../jobs/report/index.js';
import type { RunRecord } from '../../jobs/runs/record.js';
import { bestTrial } from '../../jobs/search/result.js';
import { linearModel } from '../support/run-records.js';
import { sampleRecord } from '../support/sample-record.js';
import { eventually } from '../support/spark-session.js';

const HOSTILE = `</script><script>window.injected = true</script><img src="https://example.invalid/x.png" onerror="window.injected = true">`;

function findChromium(): string | undefined {
  const candidates = [
    process.env.CHROME_PATH,
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
    '/usr/bin/google-chrome-stable',
    '/snap/bin/chromium',
    '/opt/google/chrome/chrome',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  ];
  return candidates.find((path) => {
    if (!path) return false;
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** An open page, its logged warnings and errors, and what it asked for beside itself. */
interface Opened {
  readonly page: Page;
  readonly complaints: string[];
  readonly requests: string[];
}

describe('report in a browser', function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), 'reprise-report-'));
  let browser: Browser | undefined;

  before(async function () {
    const executablePath = findChromium();
    if (executablePath === undefined) {
      console.warn(
        'SKIPPED: the report in a browser. Expected Chromium at CHROME_PATH or /usr/bin/chromium, found none; install it to run these tests.',
      );
      this.skip();
    }
    browser = await chromium.launch({
      executablePath,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
    });
  });

  after(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open(
    record: RunRecord,
    options: { width?: number; colorScheme?: 'light' | 'dark'; javaScriptEnabled?: boolean } = {},
  ): Promise<Opened> {
    assert.ok(browser);
    const file = join(folder, 'report.html');
    writeFileSync(file, renderReport(record));
    const { width = 1280, ...rest } = options;
    const context = await browser.newContext({
      viewport: { width, height: 900 },
      offline: true,
      ...rest,
    });
    const page = await context.newPage();
    const complaints: string[] = [];
    const requests: string[] = [];
    const own = pathToFileURL(file).href;
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      if (request.url() !== own && request.url() !== 'data:,') requests.push(request.url());
    });
    await page.goto(own);
    return { page, complaints, requests };
  }

  async function column(page: Page, index: number): Promise<string[]> {
    return page.locator(`#results tbody tr td:nth-child(${index})`).allTextContents();
  }

  it('opens with no network, no console message and no request', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, complaints, requests } = await open(sampleRecord(), { colorScheme });
      assert.equal(await page.title(), 'flights delay: Reprise report');
      assert.deepEqual(complaints, []);
      assert.deepEqual(requests, []);
      await page.context().close();
    }
  });

  it('enforces its policy: foreign script and inline handlers do not run', async () => {
    const { page } = await open(sampleRecord({ lambdas: 3, folds: 2 }));
    const ran = await page.evaluate(async () => {
      const scope = globalThis as unknown as {
        document: {
          createElement(name: string): { textContent: string };
          body: { append(e: unknown): void };
        };
        injected?: boolean;
      };
      const script = scope.document.createElement('script');
      script.textContent = 'globalThis.injected = true';
      scope.document.body.append(script);
      return scope.injected === true;
    });
    assert.equal(ran, false);
    await page.context().close();
  });

  it('sorts by click, numbers as numbers, and turns the order on the second click', async () => {
    const { page, complaints } = await open(sampleRecord());
    assert.deepEqual((await column(page, 1)).slice(0, 3), ['1', '2', '3']);
    const button = page.getByRole('button', { name: 'lambda', exact: true });
    await button.click();
    const rising = (await column(page, 2)).map(Number);
    assert.equal(rising.length, 40);
    assert.deepEqual(
      rising,
      [...rising].sort((a, b) => a - b),
    );
    const head = page.locator('#results th', { has: page.getByText('lambda', { exact: true }) });
    assert.equal(await head.getAttribute('aria-sort'), 'ascending');
    assert.equal(await page.locator('#results [aria-sort]').count(), 1);
    await page.getByRole('button', { name: 'lambda', exact: true }).click();
    assert.deepEqual((await column(page, 2)).map(Number), rising.toReversed());
    assert.equal(await head.getAttribute('aria-sort'), 'descending');
    assert.match(
      (await page.locator('#table-status').textContent()) ?? '',
      /sorted by lambda, largest first/,
    );
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  it('sorts by keyboard and keeps the focus on the heading', async () => {
    const { page } = await open(sampleRecord());
    await page.getByRole('button', { name: 'mean r2' }).focus();
    await page.keyboard.press('Enter');
    const scores = (await column(page, 5)).map(Number);
    assert.deepEqual(
      scores,
      [...scores].sort((a, b) => b - a),
    );
    await page.waitForFunction('document.activeElement?.textContent === "mean r2"');
    await page.keyboard.press('Space');
    assert.deepEqual((await column(page, 5)).map(Number), scores.toReversed());
    await page.context().close();
  });

  it('sorts scores that do not exist last in both directions', async () => {
    const { page } = await open(sampleRecord({ lambdas: 12, folds: 3, failed: 2 }));
    for (let press = 0; press < 2; press++) {
      await page.getByRole('button', { name: 'mean r2' }).click();
      assert.deepEqual((await column(page, 5)).slice(-2), ['NaN', 'NaN']);
    }
    await page.context().close();
  });

  it('shows the score on every fold when asked to', async () => {
    const record = sampleRecord({ lambdas: 5, folds: 4 });
    const { page } = await open(record);
    await page.getByLabel('Show the score on every fold').check();
    assert.equal(await page.locator('#results th').count(), 6 + 2 * 4);
    const cell = await page.locator('#results tr.best td').nth(6).textContent();
    const best = bestTrial(record.search);
    const expected = best?.splitScores.neg_mean_squared_error?.[0] ?? Number.NaN;
    assert.ok(Math.abs(Number(cell) - expected) < 0.1, `${cell} is not ${expected}`);
    await page.getByLabel('Show the score on every fold').uncheck();
    assert.equal(await page.locator('#results th').count(), 6);
    await page.context().close();
  });

  it('switches the metric by mouse and by keyboard', async () => {
    const { page } = await open(sampleRecord());
    const mse = page.locator('figure[data-metric="neg_mean_squared_error"]');
    const r2 = page.locator('figure[data-metric="r2"]');
    assert.deepEqual([await mse.isVisible(), await r2.isVisible()], [true, false]);
    await page.getByLabel('r2', { exact: true }).check();
    assert.deepEqual([await mse.isVisible(), await r2.isVisible()], [false, true]);
    await page.keyboard.press('ArrowLeft');
    assert.deepEqual([await mse.isVisible(), await r2.isVisible()], [true, false]);
    const inked = (): Promise<number> => page.evaluate(`(${INK})('neg_mean_squared_error')`);
    const withFolds = await inked();
    await page.getByLabel('Mean only').check();
    await eventually('less to be drawn', async () => (await inked()) < withFolds);
    assert.ok((await inked()) > 100, 'the mean is still drawn');
    await page.context().close();
  });

  it('tells the value under the mouse and of the next one by key', async () => {
    const { page, complaints } = await open(sampleRecord());
    const figure = page.locator('figure[data-metric="neg_mean_squared_error"]');
    const tip = figure.locator('.tip');
    assert.match((await tip.textContent()) ?? '', /\(best\)$/);
    const box = await figure.locator('.u-over').boundingBox();
    assert.ok(box);
    await page.mouse.move(box.x + 2, box.y + 50);
    const first = await tip.textContent();
    assert.match(first ?? '', /^lambda 0\.01: neg_mean_squared_error -/);
    await figure.locator('.chart').press('ArrowRight');
    const second = await tip.textContent();
    assert.notEqual(second, first);
    await figure.locator('.chart').press('ArrowLeft');
    assert.equal(await tip.textContent(), first);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  it('shows 100 of 10,000 trials at first, all when asked, and still sorts them', async () => {
    const { page } = await open(sampleRecord({ lambdas: 10_000, folds: 2, columns: 3 }));
    assert.equal(await page.locator('#results tbody tr').count(), 100);
    await page.getByRole('button', { name: 'lambda', exact: true }).click();
    assert.deepEqual((await column(page, 2)).slice(0, 1), ['0.01']);
    assert.equal(await page.locator('#results tbody tr').count(), 100);
    await page.getByRole('button', { name: 'Show all 10,000 rows' }).click();
    assert.equal(await page.locator('#results tbody tr').count(), 10_000);
    await page.context().close();
  });

  it('shows all coefficients when asked, and fewer again', async () => {
    const { page } = await open(sampleRecord());
    const visible = page.locator('#coefficients tbody tr:visible');
    assert.equal(await visible.count(), 20);
    await page.getByRole('button', { name: 'Show all 148' }).click();
    assert.equal(await visible.count(), 148);
    await page.getByRole('button', { name: 'Show fewer' }).click();
    assert.equal(await visible.count(), 20);
    await page.context().close();
  });

  it('zooms the lineage graph', async () => {
    const { page } = await open(sampleRecord());
    const width = async (): Promise<number> =>
      Number(await page.locator('#lineage-drawing').getAttribute('width'));
    const before = await width();
    await page.getByRole('button', { name: 'Zoom in' }).click();
    assert.ok((await width()) > before);
    await page.getByRole('button', { name: 'Fit' }).click();
    const frame = (await page.locator('.graph').boundingBox())?.width ?? 0;
    assert.ok((await width()) <= frame);
    await page.context().close();
  });

  it('keeps hostile names text', async () => {
    const sample = sampleRecord({ lambdas: 4, folds: 2, columns: 3, failed: 1 });
    const { page, requests } = await open({
      ...sample,
      name: HOSTILE,
      plan: HOSTILE,
      job: { name: HOSTILE },
      timeline: [{ lane: HOSTILE, name: HOSTILE, start: 0, end: 9 }],
      lineage: sample.lineage.map((node) => ({ ...node, op: HOSTILE, label: HOSTILE })),
      search: {
        ...sample.search,
        paramNames: [HOSTILE],
        trials: sample.search.trials.map((trial, i) => ({
          ...trial,
          params: { [HOSTILE]: `${HOSTILE}${i}` },
          errors: { 0: HOSTILE },
        })),
        model: linearModel([HOSTILE], [1], 0),
      },
    });
    assert.equal(await page.locator('h1').textContent(), HOSTILE);
    await page.locator('#results th button').nth(1).click();
    assert.equal((await column(page, 2))[0], `${HOSTILE}0`);
    assert.equal(await page.evaluate('globalThis.injected === undefined'), true);
    assert.equal(await page.locator('img').count(), 0);
    assert.deepEqual(requests, []);
    await page.context().close();
  });

  it('fits a phone: nothing makes the page scroll sideways', async () => {
    const { page } = await open(sampleRecord({ failed: 2 }), { width: 400 });
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 400);
    assert.ok(((await page.locator('figure canvas:visible').boundingBox())?.width ?? 999) < 400);
    await page.context().close();
  });

  it('is readable with scripts switched off', async () => {
    const { page } = await open(sampleRecord(), { javaScriptEnabled: false });
    assert.equal(await page.locator('#results tbody tr').count(), 40);
    assert.ok(await page.locator('#lineage-drawing').isVisible());
    assert.equal(await page.getByRole('button', { name: 'Show all' }).count(), 0);
    await page.context().close();
  });

  it('keeps text at 4.5:1 on its background in both colour schemes', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page } = await open(sampleRecord({ failed: 1 }), { colorScheme });
      const weak = await page.evaluate(WEAK_TEXT);
      assert.deepEqual(weak, [], colorScheme);
      await page.context().close();
    }
  });
});

/** Run in the page: how many pixels of a metric's curve are drawn. */
const INK = `(metric) => {
  const canvas = document.querySelector('figure[data-metric="' + metric + '"] canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let inked = 0;
  for (let at = 3; at < data.length; at += 4) if (data[at] > 0) inked++;
  return inked;
}`;

/** Run in the page: texts with a contrast under 4.5:1 to what is behind (WCAG 2.1, 1.4.3). */
const WEAK_TEXT = `(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(at).backgroundColor);
      if (a > 0.99) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const weak = new Set();
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim() !== '');
    if (!own || ['SCRIPT', 'STYLE', 'title', 'text', 'tspan'].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(style.color).slice(0, 3)), light(background(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.add(element.tagName + ' ' + element.textContent.slice(0, 30) + ' ' + ratio.toFixed(2));
  }
  // Text in drawings sits on the fill of the shape drawn before it.
  for (const text of document.querySelectorAll('.box text, .box tspan, .timeline .bar text')) {
    const shape = text.closest('g').querySelector('.body, rect');
    const [a, b] = [light(parse(getComputedStyle(text).fill)), light(parse(getComputedStyle(shape).fill))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.add('drawing ' + text.textContent.slice(0, 30) + ' ' + ratio.toFixed(2));
  }
  return [...weak];
})()`;
