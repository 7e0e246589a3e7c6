/** Numbers and tables for people, and the set-up lock. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatBytes } from '../../../../driver/support/size.js';
import { displayWidth, formatCount, formatNumber, formatTable } from '../../../../jobs/format.js';
import { LockedError, withLock } from '../../../../jobs/setup/lock.js';

describe('formats', () => {
  it('show six significant digits', () => {
    assert.deepEqual(
      [0.1 + 0.2, -1234567.89, 1e-12, Number.NaN, -Infinity].map((v) => formatNumber(v)),
      ['0.3', '-1.23457e6', '1e-12', 'NaN', '-inf'],
    );
    const numbers = [3_000_000, 0, 999, 1000, -12_345.4, 1e15, 0.4];
    const texts = ['3,000,000', '0', '999', '1,000', '-12,345', '1,000,000,000,000,000', '0'];
    assert.deepEqual(numbers.map(formatCount), texts);
    assert.equal(formatBytes(1536), '1.5 KiB');
  });

  it('line columns up, numbers to the right', () => {
    const table = formatTable([
      ['name', 'score'],
      ['a', '10.5'],
      ['bcd', '-2'],
    ]);
    assert.equal(table, ['name  score', 'a      10.5', 'bcd      -2'].join('\n'));
  });

  it('line columns up by the cells of a terminal, which characters of East Asia take two of', () => {
    const words = {
      東京: 4,
      サクラ: 6,
      ｻｸﾗ: 3,
      서울: 4,
      'cafe\u0301': 4,
      '🙂': 2,
      Ａ: 2,
      ñ: 1,
      'a\u200bb': 2,
    };
    for (const [word, width] of Object.entries(words))
      assert.equal(displayWidth(word), width, word);
    const table = formatTable([
      ['city', 'n'],
      ['東京', '10'],
      ['Rome', '2'],
    ]);
    assert.equal(table, ['city   n', '東京  10', 'Rome   2'].join('\n'));
  });
});

describe('the set-up lock', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'reprise-lock-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('lets one in at a time', async () => {
    const path = join(folder, 'lock');
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await sleep(20);
      inside--;
    };
    await Promise.all([1, 2, 3].map(() => withLock(path, {}, work)));
    assert.equal(most, 1);
  });

  it('is taken from a holder that died', async () => {
    const path = join(folder, 'lock');
    mkdirSync(path);
    // No process has an id beyond Linux's limit of 2^22.
    writeFileSync(join(path, 'holder'), '4194999');
    assert.equal(await withLock(path, {}, async () => 'in'), 'in');
  });

  it('says who holds it when it stays held', async () => {
    const path = join(folder, 'lock');
    mkdirSync(path);
    writeFileSync(join(path, 'holder'), String(process.ppid));
    const waited: number[] = [];
    const options = { waitMs: 300, onWait: (holder: number) => waited.push(holder) };
    await assert.rejects(
      withLock(path, options, async () => undefined),
      (error) => error instanceof LockedError && error.message.includes(String(process.ppid)),
    );
    assert.deepEqual(waited, [process.ppid]);
  });

  it('is let go when the work fails', async () => {
    const path = join(folder, 'lock');
    const failing = withLock(path, {}, async () => {
      throw new Error('broken');
    });
    await assert.rejects(failing, /broken/);
    assert.equal(await withLock(path, { waitMs: 1000 }, async () => 1), 1);
  });
});
