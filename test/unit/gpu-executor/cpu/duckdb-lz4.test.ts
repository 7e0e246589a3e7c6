/** LZ4 frames as pyarrow writes them, also in Feather files; damaged ones end in an error. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createDuckDbEngine } from '../../../../gpu-executor/cpu/duckdb/index.js';
import { decodeLz4Frame } from '../../../../gpu-executor/cpu/duckdb/lz4.js';
import { readAll, temporaryHome } from '../../../support/frame-data.js';

/** Frames by pyarrow 26 (`Codec('lz4').compress`) and what they hold. */
const FRAMES: readonly (readonly [string, string, string])[] = [
  ['nothing', 'BCJNGGBAggAAAAA=', ''],
  ['a run', 'BCJNGGBAgg4AAAAfYQEA////0lBhYWFhYQAAAAA=', 'a'.repeat(1000)],
  [
    'text',
    'BCJNGGBAgiEAAAD/BXRoZSBxdWljayBicm93biBmb3ggFAD///lQeCBlbmQAAAAA',
    `${'the quick brown fox '.repeat(40)}end`,
  ],
];

/** `feather.write_feather(pa.table({'x': [7.0] * 400}))`, which compresses with LZ4 by default. */
const FEATHER = Buffer.from(
  [
    'QVJST1cxAAD/////cAAAABAAAAAAAAoADAAGAAUACAAKAAAAAAEEAAwAAAAIAAgAAAAEAAgAAAAEAAAAAQAAABQAAA',
    'AQABQACAAGAAcADAAAABAAEAAAAAAAAQMQAAAAGAAAAAQAAAAAAAAAAQAAAHgABgAIAAYABgAAAAAAAgD/////mAAA',
    'ABQAAAAAAAAADAAYAAYABQAIAAwADAAAAAADBAAcAAAAOAAAAAAAAAAAAAAADAAcABAABAAIAAwADAAAAEgAAAAcAA',
    'AAFAAAAJABAAAAAAAAAAAAAAQABAAEAAAAAgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAADYAAAAAAAAAAAAAAAEA',
    'AACQAQAAAAAAAAAAAAAAAAAAgAwAAAAAAAAEIk0YYECCHwAAABEAAQAhHEAHAA8IAP///////////////2dQAAAAHE',
    'AAAAAAAAD/////AAAAABAAAAAMABQABgAIAAwAEAAMAAAAAAAEADQAAAAkAAAABAAAAAEAAACAAAAAAAAAAKAAAAAA',
    'AAAAOAAAAAAAAAAAAAAACAAIAAAABAAIAAAABAAAAAEAAAAUAAAAEAAUAAgABgAHAAwAAAAQABAAAAAAAAEDEAAAAB',
    'gAAAAEAAAAAAAAAAEAAAB4AAYACAAGAAYAAAAAAAIAmAAAAEFSUk9XMQ==',
  ].join(''),
  'base64',
);

/** The same with 1.0 and `compression='zstd'`. */
const FEATHER_ZSTD = Buffer.from(
  [
    'QVJST1cxAAD/////cAAAABAAAAAAAAoADAAGAAUACAAKAAAAAAEEAAwAAAAIAAgAAAAEAAgAAAAEAAAAAQAAABQAAA',
    'AQABQACAAGAAcADAAAABAAEAAAAAAAAQMQAAAAGAAAAAQAAAAAAAAAAQAAAHgABgAIAAYABgAAAAAAAgD/////oAAA',
    'ABQAAAAAAAAADAAYAAYABQAIAAwADAAAAAADBAAcAAAAKAAAAAAAAAAAAAAADAAeABAABAAIAAwADAAAAFAAAAAkAA',
    'AAGAAAAJABAAAAAAAAAAAAAAAABgAIAAcABgAAAAAAAAECAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJAAAAAAA',
    'AAAAAAAAAQAAAJABAAAAAAAAAAAAAAAAAACADAAAAAAAACi1L/1ggAuVAABIAAAAAAAA8D8AAgBvXPFAAEcAAAAA//',
    '///wAAAAAQAAAADAAUAAYACAAMABAADAAAAAAABAA0AAAAJAAAAAQAAAABAAAAgAAAAAAAAACoAAAAAAAAACgAAAAA',
    'AAAAAAAAAAgACAAAAAQACAAAAAQAAAABAAAAFAAAABAAFAAIAAYABwAMAAAAEAAQAAAAAAABAxAAAAAYAAAABAAAAA',
    'AAAAABAAAAeAAGAAgABgAGAAAAAAACAJgAAABBUlJPVzE=',
  ].join(''),
  'base64',
);

const MOST = 1_000_000;

describe('lz4', () => {
  for (const [name, frame, text] of FRAMES) {
    it(`decodes ${name}`, () => {
      const decoded = decodeLz4Frame(Buffer.from(frame, 'base64'), MOST);
      assert.equal(Buffer.from(decoded).toString('latin1'), text);
    });
  }

  it('unpacks no more than it may', () => {
    const [head, length] = [Buffer.from('BCJNGGBAgg==', 'base64'), 8000];
    // One letter, repeated 255 times for each byte.
    const block = Buffer.from([0x1f, 0x61, 1, 0, ...Array(length - 5).fill(255), 0]);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(block.length);
    const bomb = Buffer.concat([head, size, block, Buffer.from([0x10, 0x61]), Buffer.alloc(4)]);
    assert.throws(() => decodeLz4Frame(bomb, MOST), /LZ4 data with more than 1000000 bytes/);
  });

  it('ends in an error, never out of bounds, on every damaged byte', () => {
    const good = Buffer.from(FRAMES[2]![1], 'base64');
    for (let size = 0; size < good.length; size++) {
      assert.throws(() => decodeLz4Frame(good.subarray(0, size), MOST), /LZ4 data with/);
    }
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bytes = Buffer.from(good);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      try {
        assert.ok(decodeLz4Frame(bytes, MOST).length < 100_000);
      } catch (error) {
        assert.match((error as Error).message, /^LZ4 data with/);
      }
    }
  });

  it('is read from a Feather file', async () => {
    const home = await temporaryHome();
    const engine = createDuckDbEngine();
    try {
      await writeFile(join(home.folder, 'a.feather'), FEATHER);
      const description = await engine.describe(join(home.folder, 'a.feather'));
      const read = await readAll(engine, description, [{ kind: 'number', sql: 'x' }]);
      assert.deepEqual(read.columns, [new Array(400).fill(7)]);
      await writeFile(join(home.folder, 'z.feather'), FEATHER_ZSTD);
      const zstd = engine.describe(join(home.folder, 'z.feather'));
      if ('zstdDecompressSync' in (await import('node:zlib'))) {
        const ones = await readAll(engine, await zstd, [{ kind: 'number', sql: 'x' }]);
        assert.deepEqual(ones.columns, [new Array(400).fill(1)]);
      } else {
        await assert.rejects(
          zstd,
          /z\.feather, got zstd, which takes Node 22\.15 or later; write it with LZ4/,
        );
      }
    } finally {
      engine.close();
      await home.remove();
    }
  });
});
