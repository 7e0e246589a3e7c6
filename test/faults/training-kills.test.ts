/** A training killed amid its epochs goes on where it was last kept, to the bits of an undisturbed one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DurableStore } from '../../driver/index.js';
import { packageRoot } from '../../driver/support/package-root.js';
import { temporaryFolder } from '../support/store-files.js';
import { EPOCHS, trainOn } from '../support/training-process.js';

const SCRIPT = join(packageRoot(), 'dist/test/support/training-process.js');

describe('a training killed amid its epochs', function () {
  this.timeout(120_000);
  it('goes on with fewer iterations, to the same bits', async () => {
    const folder = await temporaryFolder();
    const killed = spawnSync(process.execPath, [SCRIPT, folder.path], { encoding: 'utf8' });
    assert.equal(killed.signal, 'SIGKILL', killed.stdout + killed.stderr);
    const cold = await trainOn();
    const resumed = await trainOn(await DurableStore.open(folder.path));
    assert.deepEqual([resumed.model, resumed.scores], [cold.model, cold.scores]);
    // Two folds, and all rows.
    assert.ok(resumed.iterations > 0 && resumed.iterations < 3 * EPOCHS, `${resumed.iterations}`);
    assert.ok(resumed.kernels < cold.kernels, `${resumed.kernels}, ${cold.kernels}`);
    await folder.remove();
  });
});
