/** Files are known by content, and by digest only while nothing about the file has moved. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError } from '../../../../driver/errors.js';
import { identifyFiles, verifyUnchanged } from '../../../../driver/frame/identity.js';
import type { FrameSource } from '../../../../driver/ir/frame-engine.js';
import { temporaryHome } from '../../../support/frame-data.js';

const sha = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('file identity', () => {
  let home: Awaited<ReturnType<typeof temporaryHome>>;
  const store = (): string => join(home.folder, 'home', 'identity.json');

  /** Writes the store as a process that hashed the file long ago would have left it. */
  async function remember(path: string, digest: string): Promise<void> {
    const s = await stat(path, { bigint: true });
    const stamp = `${s.size}:${s.mtimeNs}:${s.ctimeNs}:${s.dev}:${s.ino}`;
    const files = [[path, { stamp, digest, usedAt: Date.now() }]];
    await mkdir(join(home.folder, 'home'), { recursive: true });
    await writeFile(store(), JSON.stringify({ version: 1, files }));
  }

  beforeEach(async () => {
    home = await temporaryHome();
  });
  afterEach(() => home.remove());

  it('is the SHA-256 of the content, wherever the file lies', async () => {
    const a = join(home.folder, 'a.csv');
    const b = join(home.folder, 'b.csv');
    await writeFile(a, 'x\n1\n');
    await writeFile(b, 'x\n1\n');
    const [first, second] = await identifyFiles([a, b]);
    assert.equal(first?.digest, sha('x\n1\n'));
    assert.equal(second?.digest, first?.digest);
    assert.equal(first?.bytes, 4);
  });

  it('trusts the store while size, times and inode stand', async () => {
    const path = join(home.folder, 'a.csv');
    await writeFile(path, 'x\n1\n');
    await remember(path, sha('told by the store'));
    assert.equal((await identifyFiles([path]))[0]?.digest, sha('told by the store'));
  });

  it('hashes again when content changed under the same size and a restored mtime', async () => {
    const path = join(home.folder, 'a.csv');
    await writeFile(path, 'x\n1\n');
    // A whole second, as `utimes` can't set the nanoseconds a write leaves.
    const then = new Date(1e12);
    await utimes(path, then, then);
    await remember(path, sha('x\n1\n'));
    await writeFile(path, 'x\n2\n');
    await utimes(path, then, then);
    assert.equal((await stat(path)).mtimeMs, 1e12);
    assert.equal((await identifyFiles([path]))[0]?.digest, sha('x\n2\n'));
  });

  it('hashes again when another file of the same size and times takes the name', async () => {
    const path = join(home.folder, 'a.csv');
    const other = join(home.folder, 'b.csv');
    await writeFile(path, 'x\n1\n');
    await writeFile(other, 'x\n2\n');
    const { atime, mtime } = await stat(path);
    await utimes(other, atime, mtime);
    await remember(path, sha('x\n1\n'));
    await rename(other, path);
    assert.equal((await identifyFiles([path]))[0]?.digest, sha('x\n2\n'));
  });

  it('does not remember a file written a moment ago, whose times may not move on the next write', async () => {
    const path = join(home.folder, 'a.csv');
    await writeFile(path, 'x\n1\n');
    await identifyFiles([path]);
    await assert.rejects(readFile(store()), { code: 'ENOENT' });
  });

  it('works with a damaged store and with one of another version', async () => {
    const path = join(home.folder, 'a.csv');
    await writeFile(path, 'x\n1\n');
    await mkdir(join(home.folder, 'home'), { recursive: true });
    const lies = [
      '{"version":1,"files":[["',
      '[]',
      'null',
      '{"version":2,"files":[]}',
      JSON.stringify({ version: 1, files: [[path, { stamp: 5 }], null, 7, [path]] }),
    ];
    for (const text of lies) {
      await writeFile(store(), text);
      assert.equal((await identifyFiles([path]))[0]?.digest, sha('x\n1\n'), text);
    }
  });

  it('says which file is missing', async () => {
    const path = join(home.folder, 'none.csv');
    await assert.rejects(identifyFiles([path]), (error: Error) => {
      assert.ok(error instanceof DataError);
      assert.match(error.message, /expected a readable file at .*none\.csv, found nothing there/);
      return true;
    });
  });

  describe('of a source being read', () => {
    async function source(path: string): Promise<FrameSource> {
      const [identity] = await identifyFiles([path]);
      return { format: 'csv', files: [{ ...identity!, rows: 1 }] };
    }

    it('passes while the content stands, even if the file was touched', async () => {
      const path = join(home.folder, 'a.csv');
      await writeFile(path, 'x\n1\n');
      const opened = await source(path);
      await verifyUnchanged(opened);
      await utimes(path, new Date(), new Date(0));
      await verifyUnchanged(opened);
    });

    it('ends with a DataError when the content changed, grew, or went away', async () => {
      const path = join(home.folder, 'a.csv');
      await writeFile(path, 'x\n1\n');
      const opened = await source(path);
      await writeFile(path, 'x\n2\n');
      await assert.rejects(
        verifyUnchanged(opened),
        /a\.csv to stay as it was, it changed while being read/,
      );
      await writeFile(path, 'x\n1\n2\n');
      await assert.rejects(verifyUnchanged(opened), /changed while being read \(6 bytes after 4\)/);
      await rename(path, `${path}.old`);
      await assert.rejects(verifyUnchanged(opened), /it is gone/);
    });
  });
});
