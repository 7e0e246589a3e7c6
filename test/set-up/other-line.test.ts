/** Set-up of the other line of Spark, beside tests that need none; what runs on it waits for this. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { OTHER_LINE, otherLine } from '../support/other-line.js';
import { sparkMissing } from '../support/spark.js';

describe(`set-up of Spark ${OTHER_LINE}`, () => {
  it('brings its jars and builds a shim for it', async function () {
    if (process.env.SPARK_HOME || sparkMissing() !== undefined) this.skip();
    const { spark, shim } = await otherLine();
    assert.ok(existsSync(spark.jars) && existsSync(shim));
  }).timeout(1_800_000);
});
