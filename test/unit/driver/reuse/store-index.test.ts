/** The index of the durable store: no line is lost while the file is replaced. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeFileSystem } from '../../../../driver/reuse/store/file-system.js';
import { recordOf } from '../../../../driver/reuse/store/index-record.js';
import { StoreIndex } from '../../../../driver/reuse/store/store-index.js';
import { key, meta, tapped, temporaryFolder } from '../../../support/store-files.js';

describe('the index of the store', () => {
  it('loses no line that a slow reader of the old index saw after all lines were carried over', async () => {
    const home = await temporaryFolder();
    const path = join(home.path, 'index');
    await writeFile(path, `reprise-index 1 ${'0'.repeat(16)} ${'0'.repeat(13)}\n`);
    const record = recordOf(
      { key: key('late'), kind: 'dense', rows: 1, cols: 1, ...meta(), dtype: 'float64' },
      8,
      0,
    );
    const gates = { write: gate(), read: gate(), sync: gate() };
    let isReadHeld = false;
    const slow = tapped(async (name) => {
      if (name === 'read' && isReadHeld) await gates.read.passed();
      if (name === 'write') await gates.write.passed();
      if (name === 'sync') void gates.sync.passed();
    });
    const index = new StoreIndex(slow, path, 0o600);
    const other = new StoreIndex(nodeFileSystem, path, 0o600);
    const added = index.add(key('late'), record);
    await gates.write.reached;
    isReadHeld = true;
    const looked = index.refresh();
    await gates.read.reached;
    await other.replace(`${path}.new`, (records) => [...records]);
    gates.write.open();
    // Its look at the index waits for the one before, so the write itself has to be waited for.
    await gates.sync.reached;
    isReadHeld = false;
    gates.read.open();
    await Promise.all([looked, added]);
    const fresh = new StoreIndex(nodeFileSystem, path, 0o600);
    await fresh.refresh();
    assert.ok(fresh.has(key('late')));
    await home.remove();
  });
});

/** Stops whoever comes by until it is opened. */
function gate(): { reached: Promise<void>; passed(): Promise<void>; open(): void } {
  let reach = (): void => {};
  let open = (): void => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    reached,
    passed: () => {
      reach();
      return opened;
    },
    open: () => open(),
  };
}
