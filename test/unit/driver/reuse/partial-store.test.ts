/** Parts of results across processes: one builds on what another stored, however it was made. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { matrix, rand, Session } from '../../../../driver/index.js';
import { lineageKey } from '../../../../driver/ir/lineage-key.js';
import { ops } from '../../../../driver/operators/index.js';
import { DurableStore } from '../../../../driver/reuse/store/durable-store.js';
import { nodesByKey, siblingForm, siblingNode } from '../../../../driver/reuse/stored-siblings.js';
import { packageRoot } from '../../../../driver/support/package-root.js';
import { createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import type { PartialOutcome } from '../../../support/partial-process.js';
import { scenarios } from '../../../support/partial-scenarios.js';
import { cells, leaf, referenceEvaluator } from '../../../support/plan.js';
import { filesIn, key, meta, temporaryFolder, value } from '../../../support/store-files.js';

const SCRIPT = join(packageRoot(), 'dist/test/support/partial-process.js');

describe('parts in the durable store', () => {
  let home: Awaited<ReturnType<typeof temporaryFolder>>;
  beforeEach(async () => {
    home = await temporaryFolder();
  });
  afterEach(() => home.remove());

  const run = async (options: object): Promise<PartialOutcome> => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      SCRIPT,
      JSON.stringify(options),
    ]);
    return JSON.parse(stdout) as PartialOutcome;
  };

  // Of each kind of look-up one: by the first rows, by a column's operand, by a range's matrix, by
  // the groups' columns.
  for (const [name, scale] of [
    ['rowsAdded', 8],
    ['rangeWidened', 8],
    ['columnsAdded', 6],
    ['columnsTaken', 6],
    ['productColumns', 4],
    ['productWindow', 3],
    ['featureDropped', 6],
  ] as const) {
    it(`are found by a second process: ${name}`, async () => {
      const cold = await run({ name, part: 'second', scale });
      await run({ folder: home.path, name, part: 'first', scale });
      const warm = await run({ folder: home.path, name, part: 'second', scale });
      const { rule, works } = scenarios[name]!(referenceEvaluator());
      assert.ok(warm.rules.includes(rule), `${warm.rules}`);
      assert.deepEqual(warm.works, works);
      for (const [i, cell] of warm.cells.entries()) {
        const expected = cold.cells[i]!;
        const isClose = Math.abs(cell - expected) <= 1e-9 * Math.max(1, Math.abs(expected));
        assert.ok(isClose, `cell ${i}: ${cell} and ${expected}`);
      }
    }).timeout(60_000);
  }

  it('cost opening nothing, and a damaged or invented hint costs a miss', async () => {
    const name = 'columnsTaken';
    await run({ folder: home.path, name, part: 'first', scale: 6 });
    const hints = await filesIn(home.path, 'siblings');
    assert.ok(hints.length > 0);
    const [hint = ''] = hints;
    const text = await readFile(hint, 'latin1');
    // Cut, flipped, of another store, and one with a right CRC that names what is not there.
    const store = await DurableStore.open(home.path);
    await writeFile(hint, `${text.slice(0, 40)}\nnot a line\n${text.replace(/^./, 'x')}`);
    const names = hints.map((path) => path.slice(path.lastIndexOf('/') + 1));
    await store.put(key('other'), value(1), meta());
    for (const input of names) {
      await store.noteSibling(input, { key: key('other'), text: '["tsmm",1,null,["x"]]' });
      await store.noteSibling(input, { key: key('other'), text: '}' });
    }
    assert.equal((await store.siblings(names[0]!)).length, 1);
    const warm = await run({ folder: home.path, name, part: 'second', scale: 6 });
    const cold = await run({ name, part: 'second', scale: 6 });
    warm.cells.forEach((cell, i) => {
      assert.ok(Math.abs(cell - cold.cells[i]!) <= 1e-9 * Math.max(1, Math.abs(cell)));
    });
  }).timeout(60_000);

  it('are forgotten with the results: gc and clear', async () => {
    const store = await DurableStore.open(home.path);
    for (const name of ['a', 'b']) {
      await store.put(key(name), value(1), meta());
      await store.noteSibling(key(`input of ${name}`), { key: key(name), text: name });
    }
    await store.noteSibling(key('input of none'), { key: key('none'), text: 'none' });
    assert.equal((await filesIn(home.path, 'siblings')).length, 3);
    await store.gc();
    assert.equal((await filesIn(home.path, 'siblings')).length, 2);
    assert.deepEqual(await store.siblings(key('input of a')), [{ key: key('a'), text: 'a' }]);
    await store.clear();
    assert.deepEqual(await filesIn(home.path, 'siblings'), []);
    assert.deepEqual(await store.siblings(key('input of a')), []);
  });

  it('stay few under one input, the latest of them', async () => {
    const store = await DurableStore.open(home.path);
    for (let i = 0; i < 70; i++) {
      await store.put(key(`${i}`), value(1), meta());
      await store.noteSibling(key('input'), { key: key(`${i}`), text: 'x'.repeat(8_000) });
    }
    const found = await store.siblings(key('input'));
    assert.ok(found.length >= 12 && found.length <= 64, `${found.length}`);
    assert.equal(found.at(-1)!.key, key('69'));
    const [path] = await filesIn(home.path, 'siblings');
    assert.ok((await readFile(path!)).length <= 2 ** 18 + 12_000);
    assert.deepEqual(await readdir(join(home.path, 'v1/tmp')), []);
  }).timeout(60_000);

  it('are made over nodes of this process, and only under their own key', () => {
    const s = referenceEvaluator();
    const [A, B, C] = [leaf(s, 5, 2), leaf(s, 5, 3, 2), leaf(s, 4, 5, 3)];
    const original = A.cbind(B).rbind(C).tsmm().expr;
    const text = siblingForm(original)!;
    const t = referenceEvaluator();
    const [A2, C2] = [leaf(t, 5, 2), leaf(t, 4, 5, 3)];
    const known = nodesByKey([A2.expr, C2.expr]);
    const made = siblingNode(lineageKey(original), text, known, t)!;
    assert.equal(lineageKey(made), lineageKey(original));
    const [bound] = made.inputs;
    assert.equal(bound!.inputs[0]!.inputs[0], A2.expr);
    assert.equal(bound!.inputs[1], C2.expr);
    assert.equal(siblingNode(key('other'), text, known, t), undefined);
    for (const damaged of ['', '7', '["tsmm"]', '["nothing",1,null]', '["tsmm",99,null,[]]']) {
      assert.equal(siblingNode(lineageKey(original), damaged, known, t), undefined, damaged);
    }
  });

  it('are none of a step that is not deterministic: it is neither stored nor noted', async () => {
    const store = await DurableStore.open(home.path);
    const session = new Session({ local: await createCpuBackend(), store });
    const X = rand(session, 40_000, 60, { seed: 1 });
    const dice = session.intern({ ...ops.tsmm, deterministic: false }, [X.expr]);
    const [first] = await session.evaluate([dice]);
    await session.settle();
    assert.equal(first?.kind, 'dense');
    assert.deepEqual(await store.entries(), []);
    assert.equal(existsSync(join(home.path, 'v1/siblings')), false);
    const again = session.run();
    await again.evaluate([dice]);
    assert.ok(again.statistics.counters().kernels > 0);
    // Such a step without the mark is stored, so it was the mark; over other data, since these are
    // kept by now.
    await rand(session, 40_000, 60, { seed: 2 }).tsmm().value();
    await session.settle();
    assert.equal((await store.entries()).length, 1);
    await session.close();
  });

  it('are read once a plan needs them, and a plan without them is not held up', async () => {
    const store = await DurableStore.open(home.path);
    let reads = 0;
    const read = store.siblings.bind(store);
    store.siblings = (input) => {
      reads++;
      return read(input);
    };
    const session = new Session({ local: await createCpuBackend(), store });
    const small = matrix(session, cells(50, 20));
    await small.tsmm().value();
    assert.equal(reads, 0);
    await session.close();
  });
});
