/**
 * The other line of Spark: a short list of suites, whole, in a process of its own where Spark 3.5
 * is asked for; and what a shim says that came to another Spark than its own.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../driver/support/package-root.js';
import { requireJava } from '../../spark-bridge/embedded/locations.js';
import { OTHER_LINE, otherLine, partsOf } from '../support/other-line.js';
import { sparkMissing } from '../support/spark.js';

/** Suites that show most differences: operators, types, formats, expressions. One JVM a file. */
const FILES = [
  'conformance/conformance.test.js',
  'spark/frames.test.js',
  'spark/sql-functions.test.js',
];
/** float32 is the same code over the same kernels on each line: 4.2 has its cases. */
const TITLES =
  '^(backend spark (?!.*in float32)[a-z]|frames on Spark|SQL functions on both engines)';

describe('lines of Spark, running', function () {
  this.timeout(600_000);
  before(function () {
    const missing = process.env.SPARK_HOME ? 'SPARK_HOME is set' : sparkMissing();
    if (missing !== undefined) {
      console.warn(`SKIPPED two lines of Spark: ${missing}`);
      this.skip();
    }
  });

  it('refuses to run in another Spark than its own, before anything else', async () => {
    const [ours, other] = [await partsOf(undefined), await otherLine()];
    for (const [shim, { spark }] of [
      [ours.shim, other],
      [other.shim, ours],
    ] as const) {
      for (const entry of ['Main', 'BatchMain']) {
        const path = [shim, join(spark.jars, '*')].join(':');
        const { stderr, status } = spawnSync(
          requireJava(spark.target.line).command,
          ['-Xmx64m', '-cp', path, `reprise.shim.server.${entry}`],
          { encoding: 'utf8', input: '', env: { ...process.env, JDK_JAVA_OPTIONS: undefined } },
        );
        assert.equal(status, 2, stderr);
        assert.match(
          stderr,
          /^shim: expected Spark \S+ with Scala \S+, which this jar was built for, got Spark (\S+) with/,
        );
        assert.ok(stderr.includes(`got Spark ${spark.version} with Scala ${spark.target.scala}`));
      }
    }
  });

  it(`passes ${FILES.length} suites on Spark ${OTHER_LINE}`, async () => {
    await otherLine();
    const mocha = join(packageRoot(), 'node_modules', 'mocha', 'bin', 'mocha.js');
    const files = FILES.map((file) => join(packageRoot(), 'dist', 'test', file));
    const child = spawn(
      process.execPath,
      [mocha, '--exit', '--timeout', '300000', '--grep', TITLES, ...files],
      {
        env: { ...process.env, REPRISE_SPARK_VERSION: OTHER_LINE },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    const code = await new Promise((resolve) => child.once('close', resolve));
    assert.equal(code, 0, output);
    const passed = Number(/(\d+) passing/.exec(output)?.[1]);
    assert.ok(passed > 200, `expected some hundred tests, got ${passed}`);
    console.log(`      ${passed} tests on Spark ${OTHER_LINE}`);
  });
});
