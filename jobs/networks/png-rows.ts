/** Pictures in PNG files as rows of a matrix, decoded by pngjs. */
import { readFile } from 'node:fs/promises';
import { PNG } from 'pngjs';
import { DataError } from '../../driver/index.js';

export interface PngRows {
  /** Row by row, channels last, from 0 to 255: [n, height * width * 3]. */
  readonly cells: Float32Array;
  readonly rows: number;
  readonly height: number;
  readonly width: number;
}

/**
 * Red, green and blue of each picture over a white ground.
 * @param shrink how many pixels in each direction become one, their mean. Default 1
 * @throws DataError for no PNG, pictures of several sizes, and sizes that `shrink` does not divide
 */
export async function pngRows(paths: readonly string[], shrink = 1): Promise<PngRows> {
  let made: PngRows | undefined;
  for (const [row, path] of paths.entries()) {
    const { width, height, data } = await decoded(path);
    made ??= {
      ...{ rows: paths.length, height: height / shrink, width: width / shrink },
      cells: new Float32Array((paths.length * (height * width * 3)) / shrink ** 2),
    };
    const isAlike = made.height * shrink === height && made.width * shrink === width;
    if (!isAlike || !Number.isInteger(made.height) || !Number.isInteger(made.width)) {
      const expected = `${made.height * shrink} x ${made.width * shrink} pixels, a multiple of ${shrink}`;
      throw refused(expected, `${height} x ${width}`, path);
    }
    const own = made.cells.subarray((row * made.cells.length) / paths.length);
    for (let at = 0; at < height * width; at++) {
      const [y, x] = [Math.floor(at / width / shrink), Math.floor((at % width) / shrink)];
      const alpha = data[at * 4 + 3]! / 255;
      for (let c = 0; c < 3; c++) {
        const cell = data[at * 4 + c]! * alpha + 255 * (1 - alpha);
        own[(y * made.width + x) * 3 + c]! += cell / shrink ** 2;
      }
    }
  }
  if (made === undefined) throw refused('pictures', 'none', '');
  return made;
}

async function decoded(path: string): Promise<PNG> {
  try {
    return PNG.sync.read(await readFile(path));
  } catch (cause) {
    throw refused('a PNG file', (cause as Error).message, path);
  }
}

function refused(expected: string, got: string, path: string): DataError {
  return new DataError(`images: expected ${expected}, got ${got}: ${path}`, { op: 'images', path });
}
