/** Embedded Spark that ends for want of memory. Drivers that are killed: `driver-kills`. */
import assert from 'node:assert/strict';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import { ResourceError } from '../../driver/errors.js';
import { rand } from '../../driver/matrix/create.js';
import { Session } from '../../driver/runtime/session.js';
import { createSparkBackend } from '../../spark-bridge/index.js';
import { sparkMissing } from '../support/spark.js';

describe('a Spark driver out of memory', function () {
  this.timeout(300_000);

  it('is told as that, with advice, and its work is not tried again', async function () {
    if (sparkMissing() !== undefined) this.skip();
    let starts = 0;
    const spark = await createSparkBackend({
      memoryBytes: 512 * 1024 ** 2,
      cores: 1,
      onStart: () => {
        starts++;
      },
    });
    try {
      const session = new Session({
        local: createReferenceBackend(),
        blocks: spark,
        placement: 'blocks',
      });
      const all = rand(session, 30_000, 2000, { seed: 1 }).mul(2);
      await assert.rejects(all.value(), (error) => {
        assert.ok(error instanceof ResourceError, String(error));
        return /memory|heap/i.test(error.message);
      });
      assert.equal(starts, 1);
    } finally {
      await spark.close();
    }
  });
});
