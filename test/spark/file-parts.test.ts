/** Programs over many files on Spark: one job for all at first, later only new data are read. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type ReuseSetting, Session } from '../../driver/index.js';
import { DurableStore } from '../../driver/reuse/store/durable-store.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { assertClose } from '../support/close.js';
import { writeDay } from '../support/daily-files.js';
import {
  everySum,
  type FileProgram,
  type ProgramRun,
  runOverFiles,
} from '../support/file-programs.js';
import { temporaryHome } from '../support/frame-data.js';
import { SMALL_CHUNKS } from '../support/spark.js';
import { SharedSpark } from '../support/spark-session.js';

const ROWS = 20_000;
/** Results by row are made as fast as read from a store. */
const sums: FileProgram = (...given) => everySum(...given).slice(0, -1);

describe('programs over many files on Spark', () => {
  let shared: SharedSpark | undefined;
  let home: Awaited<ReturnType<typeof temporaryHome>>;
  let data: string;
  before(async function () {
    this.timeout(600_000);
    const started = await SharedSpark.start({ conf: SMALL_CHUNKS });
    if (typeof started === 'string') {
      console.warn(`SKIPPED programs over many files on Spark: ${started}`);
      this.skip();
    } else shared = started;
  });
  after(async () => {
    await shared?.close();
  });
  beforeEach(async () => {
    home = await temporaryHome();
    data = join(home.folder, 'data');
    for (const day of [0, 1, 2, 3]) await write(day);
  });
  afterEach(() => home.remove());

  const write = (day: number): Promise<string> => writeDay(data, day, { rows: ROWS + 11 * day });

  async function onSpark(options: { store?: string; reuse?: ReuseSetting } = {}): Promise<Session> {
    const store =
      options.store === undefined ? {} : { store: await DurableStore.open(options.store) };
    const blocks = await shared!.backend();
    const local = await createCpuBackend();
    const reuse = options.reuse ?? 'full';
    return new Session({ local, blocks, placement: 'blocks', spill: false, reuse, ...store });
  }

  /** A process of its own, as far as reuse goes. */
  async function run(
    options: { store?: string; reuse?: ReuseSetting } = {},
    program: FileProgram = sums,
  ): Promise<ProgramRun> {
    const session = await onSpark(options);
    try {
      return await runOverFiles(session, session.blocks.frames!, data, program);
    } finally {
      await session.close();
    }
  }

  function assertSame(got: ProgramRun, cold: ProgramRun): void {
    got.values.forEach((value, i) => {
      assertClose(value, cold.values[i]!, 1e-12, `result ${i}`);
    });
  }

  it('read all files in one job, as without reuse', async () => {
    const first = await run();
    const plain = await run({ reuse: 'off' });
    const rows = 4 * ROWS + 11 * 6;
    for (const one of [first, plain]) {
      assert.deepEqual([one.sparkJobs, one.passes, one.rowsRead], [1, 1, rows]);
    }
    assertSame(first, plain);
  });

  it('read the new file only, in one job, from another process', async () => {
    const store = join(home.folder, 'store');
    await run({ store });
    await write(4);
    const more = await run({ store });
    assert.deepEqual([more.sparkJobs, more.rowsRead], [1, ROWS + 44]);
    assertSame(more, await run());
    await rm(join(data, 'day-001.parquet'));
    const fewer = await run({ store });
    assert.deepEqual([fewer.sparkJobs, fewer.rowsRead], [0, 0]);
    assertSame(fewer, await run({ reuse: 'off' }));
  });

  it('keep files apart over row blocks that stay in the cluster', async () => {
    const session = await onSpark();
    const program: FileProgram = (X, y) => [X.t().matmul(X), X.t().matmul(y)];
    const again: FileProgram = (X) => [X.colSums(), X.colSumSqs()];
    try {
      const frames = session.blocks.frames!;
      await runOverFiles(session, frames, data, program);
      // The rows have come up twice, and stay: these are read from the cluster, by file
      // nevertheless.
      for (const one of [again, (X) => [X.colMins()], (X) => [X.colMaxs()]] as FileProgram[]) {
        await runOverFiles(session, frames, data, one);
      }
      await write(4);
      const more = await runOverFiles(session, frames, data, (...given) => [
        ...program(...given),
        ...again(...given),
        given[0].colMins(),
        given[0].colMaxs(),
      ]);
      assert.deepEqual([more.sparkJobs, more.rowsRead], [1, ROWS + 44]);
      const cold = await run({ reuse: 'off' }, (...given) => [
        ...program(...given),
        ...again(...given),
        given[0].colMins(),
        given[0].colMaxs(),
      ]);
      assertSame(more, cold);
    } finally {
      await session.close();
    }
  });
});
