/**
 * Looking after the durable store (gc, verify, clear, notes on shared inputs) when the file system
 * fails at any one call or from one call on, and when the process is killed at any one call: it
 * ends or says what it needed, nothing within the limits is lost but by `clear`, no value is ever
 * wrong, and the next process can do it all.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ResourceError } from '../../driver/errors.js';
import { contentDigest } from '../../driver/ir/lineage-key.js';
import { DurableStore } from '../../driver/reuse/store/durable-store.js';
import type { FileSystem } from '../../driver/reuse/store/file-system.js';
import {
  entryPath,
  failAtEachCall,
  failFromEachWrite,
  filesIn,
  key,
  killAtEachCall,
  listening,
  meta,
  temporaryFolder,
  value,
} from '../support/store-files.js';

const LEASE_MS = 60;
const NAMES = ['a', 'b', 'c'];
const INPUT = key('input');
const tasks = ['gc', 'verify', 'clear', 'siblings'] as const;
type Task = (typeof tasks)[number];

describe('looking after the durable store on a failing disk', () => {
  let home: Awaited<ReturnType<typeof temporaryFolder>>;
  let template: string;
  before(async () => {
    home = await temporaryFolder();
    template = join(home.path, 'template');
    await mkdir(template);
    const store = await DurableStore.open(template);
    for (const name of NAMES) {
      await store.put(key(name), value(1), meta());
      await store.noteSibling(INPUT, { key: key(name), text: name });
    }
    // Something for each to do: a damaged entry, one too old, a note on nothing.
    await store.put(key('damaged'), value(1), meta());
    await writeFile(entryPath(template, key('damaged')), 'not an entry');
    await store.noteSibling(key('input of none'), { key: key('none'), text: 'none' });
  });
  after(() => home.remove());

  const digest = contentDigest(value(1));

  async function perform(store: DurableStore, task: Task): Promise<void> {
    if (task === 'gc') await store.gc();
    else if (task === 'verify') await store.verify();
    else if (task === 'clear') await store.clear();
    else {
      await store.noteSibling(INPUT, { key: key('a'), text: 'again' });
      await store.noteSibling(key('new input'), { key: key('b'), text: 'b' });
      await store.siblings(INPUT);
    }
  }

  /** Runs the task over a copy; true if it ended. Fails the test on all but a ResourceError. */
  async function attempt(
    folder: string,
    task: Task,
    fileSystem: FileSystem,
    what: string,
  ): Promise<void> {
    const { options, warnings } = listening({ fileSystem, leaseMs: LEASE_MS });
    const store = await DurableStore.open(folder, options);
    try {
      await perform(store, task);
    } catch (error) {
      assert.ok(error instanceof ResourceError, `${what}: ${String(error)}`);
      assert.match(
        error.message,
        /^store (gc|verify|clear): expected (a usable folder|a writable folder|room on the disk of) /,
      );
    }
    const others = warnings.filter((text) => !text.includes('is damaged'));
    assert.ok(others.length <= 2, `${what}: ${others.join('; ')}`);
  }

  async function assertSoundAfter(folder: string, task: Task, what: string): Promise<void> {
    const { options } = listening({ leaseMs: LEASE_MS });
    const store = await DurableStore.open(folder, options);
    for (const name of NAMES) {
      const found = await store.get(key(name));
      if (found === undefined) assert.equal(task, 'clear', `${what}: ${name} is there`);
      else {
        assert.ok(found.value.kind === 'dense');
        assert.equal(contentDigest(found.value), digest, what);
      }
    }
    for (const { key: noted } of await store.siblings(INPUT)) assert.ok(store.has(noted), what);
    await store.gc();
    const { damaged, stuck } = await store.verify();
    assert.deepEqual(stuck, [], what);
    assert.ok(damaged.length <= 1, what);
    await store.clear();
    for (const part of ['objects', 'siblings', 'quarantine']) {
      assert.deepEqual(await filesIn(folder, part), [], `${what}: ${part}`);
    }
    assert.equal(await store.put(key('a'), value(1), meta()), true, what);
  }

  for (const task of tasks) {
    for (const code of ['EIO', 'ENOSPC', 'EACCES']) {
      it(`${task}: any one call fails with ${code}`, async () => {
        const calls = await failAtEachCall(template, code, async (copy) => {
          await attempt(
            copy.folder,
            task,
            copy.fileSystem,
            `${task}, ${code} at call ${copy.call}`,
          );
          const { failed } = copy;
          // An entry whose file can't be read for a moment may be put aside; it is lost, never
          // wrong.
          const mayLose = code === 'EIO' && ['read', 'fstat'].includes(failed);
          const what = `${task}, ${code} at call ${copy.call} (${failed})`;
          await assertSoundAfter(copy.folder, mayLose ? 'clear' : task, what);
        });
        assert.ok(calls > 15, `${calls} calls`);
      }).timeout(120_000);
    }

    it(`${task}: everything that writes fails from any call on, as on a full disk`, async () => {
      const calls = await failFromEachWrite(template, 'ENOSPC', async (copy) => {
        const what = `${task}, ENOSPC from writing call ${copy.call} on`;
        await attempt(copy.folder, task, copy.fileSystem, what);
        await assertSoundAfter(copy.folder, task, what);
      });
      assert.ok(calls >= 5, `${calls} calls`);
    }).timeout(120_000);
  }

  for (const task of ['gc', 'clear'] as const) {
    it(`${task}: the process is killed at any one call`, async () => {
      await killAtEachCall(template, { task }, (folder, step, call) =>
        assertSoundAfter(folder, task, `${task} killed at call ${call} (${step})`),
      );
    }).timeout(300_000);
  }
});
