/** Pictures as rows: alpha over white, pixels that become one, and what is refused. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PNG } from 'pngjs';
import { DataError } from '../../../../driver/index.js';
import { pngRows } from '../../../../jobs/networks/png-rows.js';

describe('pictures as rows', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reprise-png-'));
  });
  after(() => rm(folder, { recursive: true }));

  /** @param pixels red, green, blue, alpha each */
  async function picture(name: string, width: number, pixels: readonly number[]): Promise<string> {
    const png = new PNG({ width, height: pixels.length / 4 / width });
    png.data.set(pixels);
    const path = join(folder, name);
    await writeFile(path, PNG.sync.write(png));
    return path;
  }

  it('lie one a row, channels last, over a white ground', async () => {
    const one = await picture('one.png', 2, [1, 2, 3, 255, 10, 20, 30, 0]);
    const two = await picture('two.png', 2, [5, 105, 205, 51, 9, 9, 9, 255]);
    const { cells, ...size } = await pngRows([one, two]);
    assert.deepEqual(size, { rows: 2, height: 1, width: 2 });
    assert.deepEqual([...cells], [1, 2, 3, 255, 255, 255, 205, 225, 245, 9, 9, 9]);
  });

  it('shrink to the means of their pixels', async () => {
    const grey = [0, 40, 80, 120, 200, 240, 16, 32].flatMap((cell) => [cell, cell + 1, 0, 255]);
    const { cells, ...size } = await pngRows([await picture('grey.png', 4, grey)], 2);
    assert.deepEqual(size, { rows: 1, height: 1, width: 2 });
    assert.deepEqual([...cells], [120, 121, 0, 62, 63, 0]);
  });

  it('are refused where they are none, or of several sizes', async () => {
    const [small, large] = [
      await picture('s.png', 1, [0, 0, 0, 255]),
      await picture('l.png', 2, Array(16).fill(9)),
    ];
    const other = join(folder, 'other.png');
    await writeFile(other, 'no picture');
    for (const [paths, shrink, problem] of [
      [[small, large], 1, /expected 1 x 1 pixels, a multiple of 1, got 2 x 2: .*l.png/],
      [[small], 2, /a multiple of 2, got 1 x 1/],
      [[other], 1, /expected a PNG file/],
      [[join(folder, 'none.png')], 1, /ENOENT/],
      [[], 1, /expected pictures, got none/],
    ] as const) {
      await assert.rejects(pngRows(paths, shrink), (error: Error) => {
        assert.ok(error instanceof DataError);
        assert.match(error.message, problem);
        return true;
      });
    }
  });
});
