/** Damaged files of the durable store: never a wrong value, always put aside and stored again. */
import assert from 'node:assert/strict';
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { contentDigest } from '../../driver/ir/lineage-key.js';
import { DurableStore } from '../../driver/reuse/store/durable-store.js';
import {
  entryPath,
  failure,
  filesIn,
  key,
  listening,
  meta,
  tapped,
  temporaryFolder,
  value,
} from '../support/store-files.js';

const X = key('x');

describe('damage to the durable store', () => {
  let home: Awaited<ReturnType<typeof temporaryFolder>>;
  let whole: Buffer;
  beforeEach(async () => {
    home = await temporaryFolder();
    await (await DurableStore.open(home.path)).put(X, value(1), meta());
    whole = await readFile(entryPath(home.path, X));
  });
  afterEach(() => home.remove());

  /** Reads the damaged entry in its own store: a miss, put aside, counted, said, stored again. */
  async function assertPutAside(damaged: Uint8Array, what: string): Promise<void> {
    await writeFile(entryPath(home.path, X), damaged);
    const before = (await filesIn(home.path, 'quarantine')).length;
    const { options, warnings } = listening();
    const store = await DurableStore.open(home.path, options);
    assert.equal(await store.get(X), undefined, what);
    assert.equal(store.has(X), false, what);
    assert.equal(store.counters.damaged, 1, what);
    assert.equal(warnings.length, 1, what);
    assert.match(warnings[0]!, /is damaged \(.+\) and is computed again/);
    assert.equal((await filesIn(home.path, 'quarantine')).length, before + 1, what);
    assert.equal(await store.put(X, value(1), meta()), true, what);
    await assertSound(store);
  }

  async function assertSound(store: DurableStore): Promise<void> {
    const found = await store.get(X);
    assert.ok(found?.value.kind === 'dense');
    assert.equal(contentDigest(found.value), contentDigest(value(1)));
  }

  it('by one flipped bit anywhere is found', async () => {
    const { options } = listening();
    const store = await DurableStore.open(home.path, options);
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const flipped = Buffer.from(whole);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      await writeFile(entryPath(home.path, X), flipped);
      const before = store.counters.damaged;
      assert.equal(await store.get(X), undefined, `bit ${bit}`);
      // A digit of the version that became another digit is taken for that version, and left alone.
      const isOtherVersion = /^RPRSv\d\n\0/.test(flipped.toString('latin1', 0, 8));
      if (bit >> 3 === 5 && isOtherVersion) continue;
      assert.equal(store.counters.damaged, before + 1, `bit ${bit}`);
    }
    await writeFile(entryPath(home.path, X), whole);
    await assertSound(store);
  }).timeout(120_000);

  it('by a flipped bit is put aside, said and mended', async () => {
    for (const byte of [0, 9, 40, whole.length - 200, whole.length - 1]) {
      const flipped = Buffer.from(whole);
      flipped[byte]! ^= 16;
      await assertPutAside(flipped, `byte ${byte}`);
    }
  });

  it('by cutting or lengthening is found', async () => {
    const lengths = [0, 1, 11, 12, 40, whole.length >> 1, whole.length - 32, whole.length - 1];
    for (const length of lengths) await assertPutAside(whole.subarray(0, length), `cut ${length}`);
    for (const more of [1, 8, 32, 5000]) {
      await assertPutAside(Buffer.concat([whole, Buffer.alloc(more)]), `${more} more`);
    }
    await assertPutAside(Buffer.concat([whole, whole]), 'twice');
  });

  it('by a header that asks for more memory than the file has bytes is found before memory is taken', async () => {
    const greedy = Buffer.from(
      whole.toString('latin1').replace('"rows":6', '"rows":9e9'),
      'latin1',
    );
    await assertPutAside(greedy, 'rows');
    const long = Buffer.from(whole);
    long.writeUInt32LE(0xffffffff, 8);
    await assertPutAside(long, 'header length');
  });

  it('by swapping two sound files is found in both', async () => {
    const store = await DurableStore.open(home.path, listening().options);
    const Y = key('y');
    await store.put(Y, value(2), meta());
    await writeFile(entryPath(home.path, X), await readFile(entryPath(home.path, Y)));
    await writeFile(entryPath(home.path, Y), whole);
    assert.deepEqual([await store.get(X), await store.get(Y)], [undefined, undefined]);
    assert.equal(store.counters.damaged, 2);
  });

  it('that can not be put aside is told apart, and never returned', async () => {
    await writeFile(entryPath(home.path, X), whole.subarray(1));
    const fileSystem = tapped((name) => {
      if (name === 'rename') throw failure('EROFS');
    });
    const store = await DurableStore.open(home.path, listening({ fileSystem }).options);
    assert.deepEqual(await store.verify(), { good: 0, damaged: [], stuck: [X], refused: 0 });
    assert.equal(await store.get(X), undefined);
  });

  it('noticed late does not put aside what another process has stored since', async () => {
    await writeFile(entryPath(home.path, X), whole.subarray(1));
    let isReading = false;
    let isReplaced = false;
    const fileSystem = tapped(async (name) => {
      if (name !== 'close' || !isReading) return;
      isReading = false;
      const other = await DurableStore.open(home.path, listening().options);
      isReplaced = (await other.get(X)) === undefined && (await other.put(X, value(1), meta()));
    });
    const store = await DurableStore.open(home.path, listening().options);
    const late = await DurableStore.open(home.path, listening({ fileSystem }).options);
    isReading = true;
    assert.equal(await late.get(X), undefined);
    assert.equal(isReplaced, true);
    await assertSound(store);
  });

  it('or absence noticed late leaves what another process stored since in the index', async () => {
    const store = await DurableStore.open(home.path, listening().options);
    for (const damage of [
      () => rm(entryPath(home.path, X)),
      () => writeFile(entryPath(home.path, X), 'x'),
    ]) {
      await damage();
      let isStored = false;
      // The other process stores it again between the failed read and the look at what others
      // wrote.
      const fileSystem = tapped(async (name) => {
        if (name !== 'stat' || isStored || !isReading) return;
        isStored = true;
        await rm(entryPath(home.path, X), { force: true });
        const other = await DurableStore.open(home.path);
        assert.equal(await other.put(X, value(1), meta()), true);
      });
      let isReading = false;
      const late = await DurableStore.open(home.path, listening({ fileSystem }).options);
      isReading = true;
      assert.equal(await late.get(X), undefined);
      assert.equal(isStored, true);
      for (const each of [late, store, await DurableStore.open(home.path)]) {
        await each.refresh();
        assert.equal(each.has(X), true);
        await assertSound(each);
      }
    }
  });

  describe('in its index', () => {
    const index = (): string => join(home.path, 'v1/index');
    const damages: readonly (readonly [string, () => Promise<void>])[] = [
      ['deleted', () => rm(index())],
      ['empty', () => writeFile(index(), '')],
      ['nonsense', () => writeFile(index(), 'x'.repeat(5000))],
      ['a folder', () => rm(index()).then(() => mkdir(index()))],
      ['cut in a line', async () => writeFile(index(), (await readFile(index())).subarray(0, -9))],
      [
        'cut after the head',
        async () => writeFile(index(), (await readFile(index())).subarray(0, 47)),
      ],
      ['torn at its end', () => appendFile(index(), '+ 00ff')],
      ['lengthened', () => appendFile(index(), 'what is this?\n\n- \nu u\n')],
      [
        'changed',
        async () =>
          writeFile(index(), (await readFile(index(), 'latin1')).replaceAll(' 1 ', ' 2 ')),
      ],
    ];
    for (const [what, damage] of damages) {
      it(`(${what}) loses no entry, and is mended`, async () => {
        const open = await DurableStore.open(home.path);
        for (let i = 0; i < 9; i++) await open.put(key(i), value(i), meta());
        await damage();
        const { options, warnings } = listening();
        const store = await DurableStore.open(home.path, options);
        for (let i = 0; i < 9; i++) assert.ok(await store.get(key(i)), `${what}: ${i}`);
        await assertSound(store);
        if (what !== 'a folder') {
          assert.equal(await store.put(key('new'), value(1), meta()), true);
          assert.equal(await open.put(key('newer'), value(1), meta()), true);
          await store.gc();
          await open.refresh();
          const fresh = await DurableStore.open(home.path);
          assert.equal((await fresh.entries()).length, 12);
          assert.ok(open.has(key('new')) && store.has(key('newer')));
          assert.deepEqual(warnings, []);
        }
        assert.equal((await filesIn(home.path, 'quarantine')).length, 0);
      });
    }

    it('by every single flipped bit gives no wrong value and no error', async () => {
      const sound = await readFile(index());
      for (let bit = 0; bit < sound.length * 8; bit += 3) {
        const flipped = Buffer.from(sound);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        await writeFile(index(), flipped);
        const { options, warnings } = listening();
        const store = await DurableStore.open(home.path, options);
        await assertSound(store);
        assert.deepEqual(warnings, [], `bit ${bit}`);
      }
    }).timeout(120_000);
  });
});
