/** The memory setting, its shares, and the arithmetic of forecasts. */
import assert from 'node:assert/strict';
import { ConfigError } from '../../../../driver/errors.js';
import type { Cells } from '../../../../driver/ir/value.js';
import {
  type Machine,
  MIN_MEMORY_BYTES,
  readSetting,
  sharesOf,
} from '../../../../driver/support/memory.js';
import { Workspaces } from '../../../../gpu-executor/cpu/kernels/workspaces.js';
import { forecastMemory, type RunShape } from '../../../../jobs/memory-forecast.js';

const GIB = 1024 ** 3;
const machine: Machine = { totalBytes: 16 * GIB, freeBytes: 15 * GIB, isContainer: false };
const read = (text?: string, on: Machine = machine) => readSetting(text, 'REPRISE_MEMORY', on);

const shape: RunShape = {
  rows: 1000,
  columns: 100,
  expressions: 101,
  categories: 0,
  imputations: 0,
  groups: 5,
  folds: 5,
  candidates: 10,
  standardize: true,
  isByRows: false,
  stackBytes: 0,
  cellBytes: 8,
  partCells: 0,
  isText: false,
  lanes: 2,
  engine: 'local',
};
const forecast = (over: Partial<RunShape>) => forecastMemory({ ...shape, ...over });

describe('memory', () => {
  it('follows the machine, what is free of it, or the container', () => {
    assert.equal(read().bytes, Math.floor(0.8 * 16 * GIB));
    const busy = read(undefined, { ...machine, freeBytes: 4 * GIB });
    assert.deepEqual(
      [busy.bytes, busy.from],
      [Math.floor(3.6 * GIB), '90% of the 4.0 GiB that were free'],
    );
    const full = read(undefined, { ...machine, freeBytes: 0 });
    assert.equal(full.bytes, MIN_MEMORY_BYTES, 'ordinary jobs are still let run');
    const container = read(undefined, {
      totalBytes: 2 * GIB,
      freeBytes: 2 * GIB,
      isContainer: true,
    });
    assert.equal(container.from, "80% of the container's 2.0 GiB");
  });

  it('takes sizes and shares', () => {
    assert.equal(read('8GiB').bytes, 8 * GIB);
    assert.equal(read('1.5 GB').bytes, 1.5e9);
    assert.equal(read('50%').bytes, 8 * GIB);
    for (const wrong of ['lots', '8XB', '1MiB', '-1', '0%', '150%', '50 % of it']) {
      assert.throws(
        () => read(wrong),
        (error) =>
          error instanceof ConfigError && /REPRISE_MEMORY: expected a size/.test(error.message),
        wrong,
      );
    }
  });

  it('shares out less than there is', () => {
    for (const total of [MIN_MEMORY_BYTES, GIB, 64 * GIB]) {
      const shares = sharesOf(total);
      const local =
        shares.cacheBytes + shares.duckdbBytes + shares.spillingBytes + shares.idleBytes;
      assert.ok(local <= total, `${local} of ${total}`);
      assert.ok(shares.cacheBytes + shares.heapBytes <= total);
      assert.ok(shares.partsBytes + shares.materialiseBytes <= shares.cacheBytes);
    }
  });

  it('forecasts the moments as they are made', () => {
    const wide = forecast({ columns: 9998, expressions: 9999, groups: 4, folds: 4, candidates: 2 });
    assert.equal(wide.momentBytes, 4 * 10_000 ** 2 * 8);
    // A buffer a lane and one to come, besides reading and the program.
    const rest = wide.processBytes - wide.momentBytes - 3 * 10_000 ** 2 * 8;
    assert.ok(rest > 0 && rest < 1.2e9, String(rest));
    assert.equal(
      wide.processBytes,
      wide.items.reduce((sum, { bytes }) => sum + bytes, 0),
    );
  });

  it('grows with columns, folds, fits, files and categories', () => {
    const { processBytes } = forecast({});
    for (const more of [
      { columns: 200 },
      { groups: 10, folds: 10 },
      { candidates: 1000 },
      { partCells: 1e6 },
      { categories: 1000 },
      { imputations: 5 },
    ] satisfies Partial<RunShape>[]) {
      assert.ok(forecast(more).processBytes > processBytes, JSON.stringify(more));
    }
    // Every step of a narrow fit is kept; a wide one works in one buffer.
    const [narrow, wide] = [forecast({ columns: 1023 }), forecast({ columns: 1024 })];
    assert.ok(wide.processBytes < narrow.processBytes);
  });

  it("counts Spark's tasks, or the rows that come here where moments are larger", () => {
    const tall = forecast({ engine: 'spark', columns: 2998, rows: 1e6 });
    assert.ok(tall.heapBytes! > 2 * tall.momentBytes, 'each task holds the moments');
    const flat = forecast({ engine: 'spark', columns: 2998, rows: 500 });
    assert.ok(flat.heapBytes! < 1e9 && flat.processBytes > flat.momentBytes);
    assert.equal(forecast({ engine: 'livy' }).heapBytes, null);
  });

  it('lets work wait without memory, and passes buffers on', async () => {
    const spaces = new Workspaces((cells) => new Float64Array(cells));
    const seen = new Set<Cells>();
    let running = 0;
    let most = 0;
    const work = async (buffer: Cells): Promise<void> => {
      seen.add(buffer);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
    };
    await Promise.all(Array.from({ length: 20 }, () => spaces.run(3, 10, work)));
    assert.equal(most, 3);
    assert.equal(seen.size, 3);
  });
});
