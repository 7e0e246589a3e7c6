/** Programs over many files: files that come, change and go cost only their own rows. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fill, Matrix, ops, type ReuseSetting, Session } from '../../../../driver/index.js';
import { DurableStore } from '../../../../driver/reuse/store/durable-store.js';
import { type CpuBackend, createCpuBackend } from '../../../../gpu-executor/cpu/index.js';
import { assertClose } from '../../../support/close.js';
import { writeDay } from '../../../support/daily-files.js';
import {
  everySum,
  type FileProgram,
  type ProgramRun,
  runOverFiles,
} from '../../../support/file-programs.js';
import { temporaryHome } from '../../../support/frame-data.js';

const ROWS = 20_000;

describe('programs over many files', () => {
  let home: Awaited<ReturnType<typeof temporaryHome>>;
  let data: string;
  let backends: CpuBackend[];
  beforeEach(async () => {
    home = await temporaryHome();
    data = join(home.folder, 'data');
    backends = [];
    for (const day of [0, 1, 2, 3]) await write(day);
  });
  afterEach(async () => {
    for (const backend of backends) await backend.close();
    await home.remove();
  });

  const write = (day: number, options: { draw?: number; rows?: number } = {}): Promise<string> =>
    writeDay(data, day, { rows: ROWS + 11 * day, ...options });

  /** A process of its own, as far as reuse goes. */
  const run = async (
    options: { store?: string; reuse?: ReuseSetting },
    program: FileProgram = everySum,
  ): Promise<ProgramRun> => {
    const local = await createCpuBackend();
    const store =
      options.store === undefined ? {} : { store: await DurableStore.open(options.store) };
    const session = new Session({ local, spill: false, reuse: options.reuse ?? 'full', ...store });
    try {
      return await runOverFiles(session, local.frames, data, program);
    } finally {
      await session.close();
    }
  };

  const assertSame = (got: ProgramRun, cold: ProgramRun): void => {
    got.values.forEach((value, i) => {
      assertClose(value, cold.values[i]!, 1e-12, `result ${i}`);
    });
  };

  it('read each file once in one pass, with and without reuse', async () => {
    const first = await run({});
    const plain = await run({ reuse: 'off' });
    const rows = 4 * ROWS + 11 * 6;
    assert.deepEqual([first.passes, first.rowsRead, first.partial], [1, rows, 0]);
    assert.deepEqual([plain.passes, plain.rowsRead], [1, rows]);
    assert.equal(first.kernels, plain.kernels);
    assertSame(first, plain);
  });

  const changes: [string, number, () => Promise<unknown>][] = [
    ['appended', ROWS + 44, () => write(4)],
    ['replaced', ROWS + 11, () => write(1, { draw: 1 })],
    ['replaced by one with other rows', 15_000, () => write(1, { draw: 1, rows: 15_000 })],
    ['removed', 0, () => rm(join(data, 'day-002.parquet'))],
  ];
  for (const [name, rows, change] of changes) {
    it(`read the new rows only, in the same session, when a file is ${name}`, async () => {
      const local = await createCpuBackend();
      const session = new Session({ local, spill: false });
      await runOverFiles(session, local.frames, data, everySum);
      await change();
      const more = await runOverFiles(session, local.frames, data, everySum);
      await session.close();
      assert.equal(more.rowsRead, rows);
      const cold = await run({});
      assert.deepEqual(more.values, cold.values);
      assertSame(more, await run({ reuse: 'off' }));
    });

    it(`read the new rows only, in another process, when a file is ${name}`, async () => {
      // Products by row are as quick made as read, and not stored.
      const sums: FileProgram = (...given) => everySum(...given).slice(0, -1);
      const store = join(home.folder, 'store');
      await run({ store }, sums);
      const again = await run({ store }, sums);
      assert.deepEqual([again.rowsRead, again.passes], [0, 0]);
      await change();
      const more = await run({ store }, sums);
      assert.equal(more.rowsRead, rows);
      assert.deepEqual(more.values, (await run({}, sums)).values);
    });
  }

  it('read the new rows only even for a sum that is quick by itself', async () => {
    const quick: FileProgram = (_X, y) => [y.sum().asMatrix()];
    const store = join(home.folder, 'store');
    await run({ store }, quick);
    await write(4);
    const more = await run({ store }, quick);
    assert.equal(more.rowsRead, ROWS + 44);
    assert.deepEqual(more.values, (await run({}, quick)).values);
  });

  it('read the new rows only for moments about means', async () => {
    const moments: FileProgram = (X, y, session) => {
      const inputs = [fill(session, X.rows, 1, 0), X, y].map(({ expr }) => expr);
      const attrs = { groups: 1, center: true };
      return [Matrix.of(session, session.intern(ops.groupGram, inputs, attrs))];
    };
    const store = join(home.folder, 'store');
    await run({ store }, moments);
    await write(4);
    const more = await run({ store }, moments);
    assert.deepEqual([more.rowsRead, more.partial], [ROWS + 44, 1]);
    assert.deepEqual(more.values, (await run({}, moments)).values);
    assertSame(more, await run({ reuse: 'off' }, moments));
  });

  it('split nothing whose other operands are computed from the files', async () => {
    const centred: FileProgram = (X) => {
      const D = X.sub(X.colMeans());
      return [D.t().matmul(D), D.square().colSums()];
    };
    const store = join(home.folder, 'store');
    await run({ store }, centred);
    await write(4);
    const more = await run({ store }, centred);
    const cold = await run({ reuse: 'off' }, centred);
    assertSame(more, cold);
    // The means come from parts; what is centred by them is new for every row.
    assert.equal(more.rowsRead, ROWS + 44 + 5 * ROWS + 110);
  });

  it('read all rows once where something else in the plan needs them all', async () => {
    const ranked: FileProgram = (X) => [X.t().matmul(X), X.topK(5, { by: 1 })];
    const store = join(home.folder, 'store');
    await run({ store }, ranked);
    await write(4);
    const more = await run({ store }, ranked);
    assert.deepEqual([more.rowsRead, more.passes], [5 * ROWS + 110, 1]);
    assertSame(more, await run({ reuse: 'off' }, ranked));
  });
});
