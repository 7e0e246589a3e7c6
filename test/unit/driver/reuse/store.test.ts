/** The durable store on a sound disk: what comes back, who sees what, limits, formats, modes. */
import assert from 'node:assert/strict';
import { chmod, chown, mkdir, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { type Cells, dense } from '../../../../driver/ir/value.js';
import {
  DurableStore,
  type DurableStoreOptions,
} from '../../../../driver/reuse/store/durable-store.js';
import type { StoredValue } from '../../../../driver/reuse/store/entry-format.js';
import { jsonText, parseJson } from '../../../../driver/reuse/store/plain-json.js';
import {
  bytesIn,
  entryPath,
  filesIn,
  key,
  listening,
  meta,
  tapped,
  temporaryFolder,
  value,
} from '../../../support/store-files.js';

describe('the durable store', () => {
  let home: Awaited<ReturnType<typeof temporaryFolder>>;
  beforeEach(async () => {
    home = await temporaryFolder();
  });
  afterEach(() => home.remove());

  it('gives back the bits it was given, with what was said of them', async () => {
    const store = await DurableStore.open(home.path);
    assert.equal(await store.put(key('x'), value(1), meta(2.5)), true);
    const found = await (await DurableStore.open(home.path)).get(key('x'));
    assert.ok(found?.value.kind === 'dense');
    assert.deepEqual(new Uint8Array(found.value.data.buffer), bytesOf(value(1)));
    assert.deepEqual(
      { ...found.header },
      { key: key('x'), kind: 'dense', rows: 6, cols: 4, dtype: 'float64', ...meta(2.5) },
    );
  });

  it('keeps matrices that take many chunks, have no cells, or lie in shared memory', async () => {
    const store = await DurableStore.open(home.path);
    const shared = new Float64Array(new SharedArrayBuffer(1.3e6 * 8));
    for (let i = 0; i < shared.length; i++) shared[i] = i * 0.1;
    const values = [dense(1300, 1000, shared), dense(0, 7), dense(3, 1, shared.subarray(5, 8))];
    for (const [i, given] of values.entries()) {
      assert.equal(await store.put(key(i), given, meta()), true);
      const found = await store.get(key(i));
      assert.ok(found?.value.kind === 'dense');
      assert.deepEqual([found.value.rows, found.value.cols], [given.rows, given.cols]);
      assert.ok(Buffer.from(found.value.data.buffer).equals(bytesOf(given)));
    }
  });

  it('keeps plain data, the numbers that JSON lacks included', () => {
    const special = fc.constantFrom(Number.NaN, -0, Number.POSITIVE_INFINITY, 2 ** 53 + 2);
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        fc.oneof(fc.string(), fc.double(), special, fc.boolean(), fc.constant(null)),
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('$', '__proto__')), tie('tree'), {
          maxKeys: 4,
          noNullPrototype: true,
        }),
      ),
    }));
    fc.assert(
      fc.property(tree, (json) => {
        assert.deepEqual(parseJson(jsonText(json as never)), json);
      }),
      { seed: 5, numRuns: 500 },
    );
  });

  it('refuses what is no plain data, and goes on', async () => {
    const { options, warnings } = listening();
    const store = await DurableStore.open(home.path, options);
    const odd = { kind: 'json', json: { f: () => 1 } } as unknown as StoredValue;
    assert.equal(await store.put(key('odd'), odd, meta()), false);
    assert.match(warnings.join('\n'), /expected plain data, got function/);
    assert.equal(await store.put(key('fine'), value(1), meta()), true);
  });

  it('shows another process what was stored and what went once it looks again, without a scan', async () => {
    const names: string[] = [];
    const fileSystem = tapped((name) => void names.push(name));
    const writer = await DurableStore.open(home.path);
    for (let i = 0; i < 20; i++) await writer.put(key(i), value(i), meta());
    const reader = await DurableStore.open(home.path, { fileSystem });
    assert.equal(reader.has(key(7)), true);
    await writer.put(key('late'), value(1), meta());
    assert.equal(reader.has(key('late')), false);
    names.length = 0;
    await reader.refresh();
    assert.equal(reader.has(key('late')), true);
    assert.ok(!names.includes('list') && names.length < 8, names.join(' '));
    names.length = 0;
    await reader.refresh();
    assert.deepEqual(names, ['stat']);
    await writer.clear();
    await reader.refresh();
    assert.equal(reader.has(key('late')), false);
  });

  it('costs a put no more calls with many entries than with few', async () => {
    const count = async (name: string): Promise<number> => {
      let calls = 0;
      const store = await DurableStore.open(home.path, { fileSystem: tapped(() => void calls++) });
      calls = 0;
      assert.equal(await store.put(key(name), value(1), meta()), true);
      return calls;
    };
    const few = await count('aa');
    const store = await DurableStore.open(home.path);
    await Promise.all(Array.from({ length: 300 }, (_, i) => store.put(key(i), value(i), meta())));
    assert.ok((await count('bb')) <= few + 2);
  });

  it('stores a key once: equal keys mean equal values', async () => {
    const [a, b] = [await DurableStore.open(home.path), await DurableStore.open(home.path)];
    const put = (store: DurableStore): Promise<boolean> => store.put(key('x'), value(1), meta());
    assert.deepEqual(await Promise.all([put(a), put(b), put(a), put(b)]), [true, true, true, true]);
    assert.equal((await filesIn(home.path, 'objects')).length, 1);
    assert.deepEqual(await filesIn(home.path, 'tmp'), []);
    const [entry] = await a.entries();
    assert.equal(entry?.bytes, await bytesIn(home.path));
    assert.equal((await a.entries()).length, 1);
  });

  it('tells what it holds', async () => {
    const store = await DurableStore.open(home.path);
    const op = `${'long name '.repeat(9)}: ü`;
    await store.put(key('x'), value(1), { ...meta(0.25), op });
    const [entry] = await (await DurableStore.open(home.path)).entries();
    assert.equal(entry?.header.op, op.slice(0, 48));
    assert.deepEqual([entry?.header.rows, entry?.header.seconds], [6, 0.25]);
    assert.equal(entry?.header.createdAt, meta().createdAt);
  });

  it('refuses a key that could name another file', async () => {
    const store = await DurableStore.open(home.path);
    for (const bad of ['', '../../etc/passwd', 'A'.repeat(64), `${key('x')}/`]) {
      assert.throws(() => void store.get(bad), /expected a key of 64 hexadecimal digits/);
      await assert.rejects(store.put(bad, value(1), meta()), /expected a key/);
    }
  });

  describe('limits', () => {
    it('by bytes and by count hold at every put, the cheapest loss first', async () => {
      const limits: DurableStoreOptions[] = [{ maxEntries: 10 }, { maxBytes: 10_000 }];
      for (const limit of limits) {
        const folder = join(home.path, Object.keys(limit)[0]!);
        const store = await DurableStore.open(folder, limit);
        await store.put(key('precious'), value(1, 80, 1), meta(1e6));
        for (let i = 0; i < 40; i++) {
          assert.equal(await store.put(key(i), value(i, 80, 1), meta(1)), true);
          const entries = await store.entries();
          assert.ok(entries.length <= (limit.maxEntries ?? 12), `${entries.length} entries`);
          assert.ok((await bytesIn(folder)) <= (limit.maxBytes ?? 20_000));
        }
        assert.ok((await store.entries()).length >= 8);
        assert.ok(await store.get(key('precious')));
        assert.ok(await store.get(key(39)));
        assert.ok(store.counters.evicted >= 30);
        assert.equal((await filesIn(folder, 'objects')).length, (await store.entries()).length);
      }
    });

    it('refuse what would never fit, and drop nothing for it', async () => {
      const { options, warnings } = listening({ maxBytes: 2000 });
      const store = await DurableStore.open(home.path, options);
      await store.put(key('small'), value(1), meta());
      assert.equal(await store.put(key('large'), value(1, 300, 1), meta()), false);
      assert.ok(await store.get(key('small')));
      assert.deepEqual(warnings, []);
      assert.deepEqual(await filesIn(home.path, 'tmp'), []);
    });

    it('by age hold at a put, and reading keeps an entry young', async () => {
      const first = await DurableStore.open(home.path);
      for (const name of ['old', 'read']) await first.put(key(name), value(1), meta());
      await makeOlder(home.path, 40 * 86_400_000);
      const store = await DurableStore.open(home.path, { maxAgeSeconds: 30 * 86_400 });
      assert.ok(await store.get(key('read')));
      await store.put(key('new'), value(1), meta());
      assert.deepEqual([store.has(key('old')), store.has(key('read'))], [false, true]);
      assert.equal((await filesIn(home.path, 'objects')).length, 2);
    });
  });

  describe('maintenance', () => {
    it('drops by the limits asked, only in words with dryRun', async () => {
      const filler = await DurableStore.open(home.path);
      for (let i = 0; i < 6; i++) await filler.put(key(i), value(i), meta(i));
      const store = await DurableStore.open(home.path, { maxEntries: 4 });
      const planned = await store.gc({ dryRun: true });
      assert.deepEqual(planned.map(({ header }) => header.key).sort(), [key(0), key(1)].sort());
      assert.equal((await store.entries()).length, 6);
      assert.deepEqual(await store.gc(), planned);
      assert.equal((await filesIn(home.path, 'objects')).length, 4);
    });

    it('clears everything, damaged files put aside too', async () => {
      const store = await DurableStore.open(home.path);
      for (let i = 0; i < 5; i++) await store.put(key(i), value(i), meta());
      await writeFile(entryPath(home.path, key(0)), 'nonsense');
      assert.equal(await store.get(key(0)), undefined);
      await writeFile(entryPath(home.path, key(1)), 'nonsense');
      assert.equal(await store.clear(), 4);
      for (const part of ['objects', 'quarantine', 'tmp', 'leases']) {
        assert.deepEqual(await filesIn(home.path, part), [], part);
      }
      assert.equal(await store.put(key(0), value(0), meta()), true);
    });

    it('verifies every file, indexed or not, and does not count that as use', async () => {
      const store = await DurableStore.open(home.path);
      for (let i = 0; i < 5; i++) await store.put(key(i), value(i), meta());
      await writeFile(entryPath(home.path, key(2)), 'nonsense');
      const moved = await readFile(entryPath(home.path, key(3)));
      const other = key('unknown to the index');
      await mkdir(join(home.path, 'v1/objects', other.slice(0, 2)), { recursive: true });
      await writeFile(entryPath(home.path, other), moved);
      const progress: number[] = [];
      const result = await store.verify({ onProgress: (done) => progress.push(done) });
      assert.equal(result.good, 4);
      assert.deepEqual([...result.damaged].sort(), [key(2), other].sort());
      assert.deepEqual(result.stuck, []);
      assert.deepEqual(progress, [1, 2, 3, 4, 5, 6]);
      assert.equal(store.counters.hits, 0);
      assert.equal((await filesIn(home.path, 'quarantine')).length, 2);
    });

    it('shortens an index of dead lines, unnoticed by others', async () => {
      const [a, b] = [await DurableStore.open(home.path), await DurableStore.open(home.path)];
      const store = await DurableStore.open(home.path, { maxEntries: 20 });
      for (let i = 0; i < 700; i++) await store.put(key(i), value(1, 1, 1), meta());
      const lines = (await readFile(join(home.path, 'v1/index'), 'latin1')).split('\n').length;
      assert.ok(lines < 1200, `${lines} lines`);
      await b.put(key('b'), value(1), meta());
      await a.refresh();
      assert.equal(a.has(key('b')) && a.has(key(699)) && !a.has(key(5)), true);
    }).timeout(60_000);
  });

  describe('formats', () => {
    it('of another version in the place of an entry are a miss, left alone until stored anew', async () => {
      const { options, warnings } = listening();
      const store = await DurableStore.open(home.path, options);
      for (const version of ['0', '1', '9']) {
        const name = key(version);
        await store.put(name, value(1), meta());
        const bytes = await readFile(entryPath(home.path, name));
        bytes.write(version, 5, 'latin1');
        await writeFile(entryPath(home.path, name), bytes);
        assert.equal(await store.get(name), undefined);
        assert.equal(store.has(name), false);
        assert.deepEqual(await readFile(entryPath(home.path, name)), bytes);
        assert.equal(await store.put(name, value(2), meta()), true);
        assert.ok(await store.get(name));
      }
      assert.deepEqual(warnings, []);
      assert.equal(store.counters.damaged, 0);
    });

    it('of another version of the folder are left alone', async () => {
      const strange = join(home.path, 'v2/objects/thing');
      await mkdir(join(home.path, 'v2/objects'), { recursive: true });
      await writeFile(strange, 'later');
      const store = await DurableStore.open(home.path);
      await store.put(key('x'), value(1), meta());
      await store.clear();
      assert.equal(await readFile(strange, 'utf8'), 'later');
    });
  });

  describe('owners', () => {
    it('alone read and write: 0700 and 0600, tightened where looser', async () => {
      await mkdir(join(home.path, 'v1'), { recursive: true });
      await chmod(join(home.path, 'v1'), 0o777);
      const store = await DurableStore.open(home.path);
      const lease = await store.lease(key('x'));
      assert.ok(typeof lease === 'object');
      await store.put(key('x'), value(1), meta(), lease);
      const mode = async (...names: string[]): Promise<number> =>
        (await stat(join(home.path, 'v1', ...names))).mode & 0o777;
      for (const names of [[], ['objects'], ['objects', key('x').slice(0, 2)], ['leases']]) {
        assert.equal(await mode(...names), 0o700, names.join('/'));
      }
      assert.equal(await mode('index'), 0o600);
      assert.equal(await mode('objects', key('x').slice(0, 2), key('x')), 0o600);
      await lease.release();
    });

    it('other than this user and root are refused, unless trusted', async () => {
      const writer = await DurableStore.open(home.path);
      await writer.put(key('x'), value(1), meta());
      // The tests may run as root, whose files all trust: here the entry's owner is another, not
      // the reader.
      const fileSystem = tapped(() => {});
      const foreign: typeof fileSystem = {
        ...fileSystem,
        open: async (path, use, mode) => {
          const file = await fileSystem.open(path, use, mode);
          const uid = path.includes('objects') ? 4242 : undefined;
          const own = file.stat;
          return { ...file, stat: async () => ({ ...(await own()), ...(uid ? { uid } : {}) }) };
        },
      };
      const { options, warnings } = listening({ fileSystem: foreign });
      const store = await DurableStore.open(home.path, options);
      assert.equal(await store.get(key('x')), undefined);
      assert.equal(store.has(key('x')), false);
      assert.match(warnings.join('\n'), /another user \(4242\) was refused/);
      const trusting = await DurableStore.open(home.path, {
        fileSystem: foreign,
        trustOtherUsers: true,
      });
      assert.ok(await trusting.get(key('x')));
    });

    it('other than this user are refused by the owner the disk says, not only by what is asked', async function () {
      if (process.getuid?.() !== 0) return this.skip();
      const store = await DurableStore.open(home.path);
      await store.put(key('x'), value(1), meta());
      await store.put(key('y'), value(2), meta());
      await chown(entryPath(home.path, key('x')), 4242, 4242);
      const reader = await DurableStore.open(home.path, listening().options);
      assert.equal(await reader.get(key('x')), undefined);
      assert.ok(await reader.get(key('y')));
      assert.deepEqual((await reader.verify()).refused, 1);
      // It does not stand in the way: the next to compute the value replaces it.
      assert.equal(await reader.put(key('x'), value(1), meta()), true);
      assert.ok(await reader.get(key('x')));
      return undefined;
    });

    it('of the whole folder other than this user get nothing written to them', async () => {
      const fileSystem = tapped(() => {});
      const { options, warnings } = listening({
        fileSystem: {
          ...fileSystem,
          stat: async (path) => ({ ...(await fileSystem.stat(path)), uid: 4242 }),
        },
      });
      const store = await DurableStore.open(home.path, options);
      assert.match(store.disabledReason ?? '', /belongs to another user \(4242\)/);
      assert.equal(await store.put(key('x'), value(1), meta()), false);
      assert.equal(warnings.length, 1);
    });
  });

  it('reads a folder that can not be written', async () => {
    await (await DurableStore.open(home.path)).put(key('x'), value(1), meta());
    const fileSystem = { ...tapped(() => {}), isWritable: async () => false };
    const { options, warnings } = listening({ fileSystem });
    const store = await DurableStore.open(home.path, options);
    assert.equal(store.disabledReason, 'the folder is read-only');
    assert.ok(store.has(key('x')) && (await store.get(key('x'))));
    assert.equal(await store.lease(key('y')), undefined);
    assert.equal(await store.put(key('y'), value(1), meta()), false);
    await assert.rejects(store.clear(), /expected a writable folder .*read-only/);
    await assert.rejects(store.gc(), /expected a writable folder/);
    assert.equal((await store.verify()).good, 1);
    assert.equal(warnings.length, 1);
    await rename(join(home.path, 'v1/index'), join(home.path, 'elsewhere'));
    const without = await DurableStore.open(home.path, options);
    assert.ok(without.has(key('x')) && (await without.get(key('x'))));
  });
});

function bytesOf(matrix: { readonly data: Cells }): Uint8Array {
  const { buffer, byteOffset, byteLength } = matrix.data;
  return new Uint8Array(buffer, byteOffset, byteLength).slice();
}

/** As if all entries were stored earlier: times of files, from which the index is made anew. */
async function makeOlder(folder: string, ms: number): Promise<void> {
  const then = new Date(Date.now() - ms);
  for (const file of await filesIn(folder, 'objects')) await utimes(file, then, then);
  await rename(join(folder, 'v1/index'), join(folder, 'index-before'));
}
