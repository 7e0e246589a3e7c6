/**
 * The durable store when the file system fails at any one call, or from one call on, and when the
 * process is killed at any one call: values are right or missing, the work goes on, and the next
 * process finds a sound store.
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { contentDigest } from '../../driver/ir/lineage-key.js';
import { DurableStore } from '../../driver/reuse/store/durable-store.js';
import type { FileSystem } from '../../driver/reuse/store/file-system.js';
import {
  bytesIn,
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

/** A lease whose release failed is waited for, since its holder lives on. */
const LEASE_MS = 60;
const FATAL = ['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES'];

describe('a failing file system under the durable store', () => {
  let home: Awaited<ReturnType<typeof temporaryFolder>>;
  let template: string;
  before(async () => {
    home = await temporaryFolder();
    template = join(home.path, 'template');
    await mkdir(template);
    const store = await DurableStore.open(template);
    for (const name of ['old', 'older']) await store.put(key(name), value(1), meta());
  });
  after(() => home.remove());

  const digest = contentDigest(value(1));

  async function assertRightOrMissing(store: DurableStore, name: string): Promise<boolean> {
    const found = await store.get(key(name));
    if (found === undefined) return false;
    assert.ok(found.value.kind === 'dense');
    assert.equal(contentDigest(found.value), digest, name);
    return true;
  }

  /** All a session does with a store. Whatever fails, only `clear` and the like may throw. */
  async function work(folder: string, fileSystem: FileSystem, warnings: string[]): Promise<void> {
    const store = await DurableStore.open(folder, {
      fileSystem,
      leaseMs: LEASE_MS,
      onWarning: (message) => warnings.push(message),
    });
    await assertRightOrMissing(store, 'old');
    await store.put(key('new'), value(1), meta());
    const lease = await store.lease(key('leased'));
    const held = typeof lease === 'object' ? lease : undefined;
    await store.put(key('leased'), value(1), meta(), held);
    await held?.release();
    await assertRightOrMissing(store, 'new');
    await store.refresh();
    await store.entries();
  }

  /** A later process, on a sound disk, finds what was there, nothing torn, and can do all. */
  async function assertSoundAfter(folder: string, what: string, mayLose: boolean): Promise<void> {
    const { options, warnings } = listening({ leaseMs: LEASE_MS });
    const store = await DurableStore.open(folder, options);
    for (const name of ['old', 'older']) {
      assert.ok((await assertRightOrMissing(store, name)) || mayLose, `${what}: ${name} is there`);
    }
    for (const name of ['new', 'leased']) {
      await assertRightOrMissing(store, name);
      const lease = await store.lease(key(name));
      assert.notEqual(lease, undefined, what);
      if (typeof lease === 'object') {
        assert.equal(await store.put(key(name), value(1), meta(), lease), true, what);
        await lease.release();
      }
      assert.ok(await assertRightOrMissing(store, name), `${what}: ${name}`);
    }
    assert.deepEqual(warnings, [], what);
    await store.gc();
    const indexed = (await store.entries()).reduce((sum, { bytes }) => sum + bytes, 0);
    assert.equal(indexed, await bytesIn(folder), `${what}: bytes in the index`);
    const { damaged, stuck } = await store.verify();
    assert.deepEqual([...damaged, ...stuck], [], what);
  }

  for (const code of ['EIO', 'EMFILE', ...FATAL]) {
    it(`at any one call with ${code} costs at most a result`, async () => {
      const calls = await failAtEachCall(template, code, async (copy) => {
        const warnings: string[] = [];
        await work(copy.folder, copy.fileSystem, warnings);
        const { failed } = copy;
        const what = `${code} at call ${copy.call} (${failed})`;
        assert.ok(warnings.length <= 1, `${what}: ${warnings.join('; ')}`);
        const mayLose = code === 'EIO' && ['read', 'fstat'].includes(failed);
        await assertSoundAfter(copy.folder, what, mayLose);
      });
      assert.ok(calls > 60, `${calls} calls`);
    }).timeout(180_000);
  }

  for (const code of FATAL) {
    it(`from any call on with ${code} for what writes gives one warning, and reading goes on`, async () => {
      const calls = await failFromEachWrite(template, code, async (copy) => {
        const { options, warnings } = listening({ fileSystem: copy.fileSystem });
        await work(copy.folder, copy.fileSystem, warnings);
        const what = `${code} from writing call ${copy.call} on`;
        assert.ok(warnings.length <= 1, `${what}: ${warnings.join('; ')}`);
        if (copy.failed !== '') {
          warnings.length = 0;
          const store = await DurableStore.open(copy.folder, options);
          assert.ok(await assertRightOrMissing(store, 'old'), `${what}: old is read`);
          assert.equal(await store.put(key('another'), value(1), meta()), false, what);
          assert.equal(store.disabledReason, code, what);
          assert.equal(warnings.length, 1, what);
          assert.match(warnings[0]!, new RegExp(`results are not kept: ${code}`));
        }
        await assertSoundAfter(copy.folder, what, false);
      });
      assert.ok(calls > 25, `${calls} calls`);
    }).timeout(180_000);
  }

  it('and a process killed at any one call leave a sound store', async () => {
    const steps = await killAtEachCall(template, {}, async (folder, step, call) => {
      const what = `killed at call ${call} (${step})`;
      const next = await DurableStore.open(folder);
      assert.ok(await assertRightOrMissing(next, 'old'), what);
      const found = await next.get(key('new'));
      if (found !== undefined) {
        assert.ok(found.value.kind === 'dense');
        assert.equal(contentDigest(found.value), contentDigest(value(2)), what);
      }
      assert.deepEqual(await filesIn(folder, 'tmp'), [], `${what}: tmp is swept`);
      assert.deepEqual(await filesIn(folder, 'leases'), [], `${what}: leases are swept`);
      await next.clear();
      assert.deepEqual(await filesIn(folder, 'objects'), [], what);
      assert.equal(await next.put(key('new'), value(1), meta()), true, what);
    });
    for (const step of [
      'create',
      'write',
      'sync',
      'append',
      'rename',
      'makeFolder',
      'syncFolder',
    ]) {
      assert.ok(steps.includes(step), `kills at ${step}: ${steps.join(' ')}`);
    }
  }).timeout(300_000);
});
