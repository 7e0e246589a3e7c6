/** A value that many change at once: no change is lost, and none is made from an old version. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VersionedState } from '../../../../driver/support/versioned-state.js';

interface Counted {
  readonly count: number;
  readonly by: readonly string[];
}

describe('a versioned state', () => {
  let folder: string;
  const open = () =>
    new VersionedState<Counted>(join(folder, 'v'), { count: 0, by: [] }, 'counted');
  const add = (name: string) => (state: Counted) => ({
    count: state.count + 1,
    by: [...state.by, name],
  });
  const versions = () => readdirSync(join(folder, 'v')).filter((name) => name.endsWith('.json'));

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'reprise-versions-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is what it was made with before the first change, and then what was written', async () => {
    assert.deepEqual(await open().read(), { count: 0, by: [] });
    assert.deepEqual(await open().update(add('a')), { count: 1, by: ['a'] });
    assert.deepEqual(await open().read(), { count: 1, by: ['a'] });
    assert.deepEqual(await open().update(() => undefined), { count: 1, by: ['a'] });
    assert.equal(versions().length, 1);
  });

  it('loses no change of sixteen writers at once', async function () {
    this.timeout(60_000);
    const writers = Array.from({ length: 16 }, (_, i) => `w${i}`);
    await Promise.all(
      writers.map(async (name) => {
        const state = open();
        for (let i = 0; i < 10; i++) await state.update(add(name));
      }),
    );
    const { count, by } = await open().read();
    assert.equal(count, 160);
    for (const name of writers) assert.equal(by.filter((one) => one === name).length, 10);
    assert.deepEqual(
      readdirSync(join(folder, 'v')).filter((name) => name.startsWith('.')),
      [],
    );
  });

  it('is not changed by a process that was stopped while others went on', async () => {
    const slow = open();
    await slow.update(add('slow'));
    const others = open();
    let isFirst = true;
    const result = await slow.update((state) => {
      if (isFirst) {
        isFirst = false;
        // Between its reading and its writing others make versions, and old ones are pruned.
        for (let n = 2; n <= 90; n++) writeVersion(n, { count: n, by: [`other-${n}`] });
        for (const n of [1, 2, 3]) rmSync(join(folder, 'v', `${String(n).padStart(12, '0')}.json`));
      }
      return add('late')(state);
    });
    assert.deepEqual(result, { count: 91, by: ['other-90', 'late'] });
    assert.deepEqual(await others.read(), result);
  });

  it('keeps a bounded number of versions', async function () {
    this.timeout(60_000);
    const state = open();
    for (let i = 0; i < 100; i++) {
      await state.update(add('a'));
      const old = new Date(Date.now() - 3_600_000);
      for (const name of versions()) utimesSync(join(folder, 'v', name), old, old);
    }
    assert.ok(versions().length < 85, `${versions().length} versions`);
    assert.equal((await open().read()).count, 100);
  });

  it('refuses a damaged version, naming it', async () => {
    await open().update(add('a'));
    writeFileSync(join(folder, 'v', '000000000002.json'), '{"count":');
    await assert.rejects(
      open().read(),
      /^DataError: counted: expected a version of the state in .*000000000002.json/,
    );
  });

  function writeVersion(n: number, value: Counted): void {
    writeFileSync(join(folder, 'v', `${String(n).padStart(12, '0')}.json`), JSON.stringify(value));
  }
});
