/** Data larger than Spark's memory, and parallel jobs, with little storage memory. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DenseMatrix, Handle } from '../../driver/ir/value.js';
import {
  createSparkBackend,
  type EmbeddedSpark,
  type SparkBackend,
  startEmbeddedSpark,
} from '../../spark-bridge/index.js';
import { make, random, segment } from '../support/segments.js';
import { sparkMissing } from '../support/spark.js';

interface JobTimes {
  readonly start: number;
  end: number;
}

/** Start and end of every Spark job in an event log. @units ms */
function jobTimes(folder: string): JobTimes[] {
  const jobs = new Map<number, JobTimes>();
  for (const name of readdirSync(folder)) {
    for (const line of readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean)) {
      const event = JSON.parse(line) as Record<string, unknown>;
      const id = event['Job ID'] as number;
      if (event.Event === 'SparkListenerJobStart') {
        jobs.set(id, { start: event['Submission Time'] as number, end: Infinity });
      } else if (event.Event === 'SparkListenerJobEnd') {
        jobs.get(id)!.end = event['Completion Time'] as number;
      }
    }
  }
  return [...jobs.values()];
}

describe('embedded Spark with little memory', () => {
  let events: string;
  let embedded: EmbeddedSpark;
  let spark: SparkBackend;

  before(async function () {
    this.timeout(600_000);
    const missing = sparkMissing();
    if (missing !== undefined) {
      console.warn(`SKIPPED embedded Spark with little memory: ${missing}`);
      this.skip();
    }
    events = mkdtempSync(join(tmpdir(), 'reprise-events-'));
    embedded = await startEmbeddedSpark({
      memoryBytes: 1024 ** 3,
      cores: 2,
      conf: {
        'spark.memory.fraction': '0.04',
        'spark.eventLog.enabled': 'true',
        // One file, as Spark 4 does not write by itself.
        'spark.eventLog.rolling.enabled': 'false',
        'spark.eventLog.compress': 'false',
        'spark.eventLog.dir': `file://${events}`,
      },
    });
    spark = await createSparkBackend({ channel: embedded.channel });
  });
  after(async () => {
    await embedded?.close();
    if (events !== undefined) rmSync(events, { recursive: true, force: true });
  });

  it('keeps more than its memory holds, and reads it again', async () => {
    const x = random(1_000_000, 16, 4);
    const sums = make('colSums', [x]);
    const gram = make('tsmm', [x]);
    const first = await spark.run(segment([x, sums], { outputs: [sums], persist: [x] }), {});
    const handle = first.values.get(x) as Handle;
    const { result } = await embedded.channel.call('status', {});
    const memory = result.executors.reduce((total, one) => total + one.storageMemoryBytes, 0);
    const held = result.handles.find((one) => one.handle === handle.id);
    assert.ok(memory < 64 * 1024 ** 2, `storage memory is ${memory} bytes`);
    assert.ok(held!.storedBytes > 2 * memory, `${held!.storedBytes} bytes stored`);
    const second = await spark.run(
      segment([gram], { inputs: new Map([[x, handle]]), outputs: [gram] }),
      {},
    );
    assert.deepEqual([second.passes, second.sparkJobs], [1, 1]);
    const fresh = await spark.run(segment([x, gram], { outputs: [gram] }), {});
    const [again, anew] = [second, fresh].map((run) => (run.values.get(gram) as DenseMatrix).data);
    assert.deepEqual(again, anew);
    spark.release(handle);
  });

  it('ends the other passes of a program when one fails, and reports that one', async () => {
    const long = make('sum', [random(20_000_000, 30, 10)]);
    const groups = random(2000, 1, 11);
    const gram = make('groupGram', [groups, random(2000, 2, 12)], { groups: 2, center: true });
    const nodes = [long.inputs[0]!, long, ...gram.inputs, gram];
    await assert.rejects(
      spark.run(segment(nodes, { outputs: [long, gram] }), {}),
      /group column: expected whole numbers/,
    );
    assert.deepEqual((await embedded.channel.call('status', {})).result.runs, []);
  });

  it('runs passes over unlike data at the same time', async () => {
    const sums = [300_000, 300_001].map((rows) => make('sum', [random(rows, 40, rows)]));
    const nodes = sums.flatMap((sum) => [sum.inputs[0]!, sum]);
    const { values, ...counts } = await spark.run(segment(nodes, { outputs: sums }), {});
    assert.deepEqual(counts, { kernels: 4, passes: 1, sparkJobs: 2 });
    for (const sum of sums) {
      const mean = (values.get(sum) as DenseMatrix).data[0]! / (sum.inputs[0]!.rows * 40);
      assert.ok(Math.abs(mean - 0.5) < 1e-3, `mean ${mean}`);
    }
    await spark.close();
    await embedded.close();
    const [one, other] = jobTimes(events).slice(-2);
    assert.ok(one!.start < other!.end && other!.start < one!.end, 'the jobs overlap');
  });
});
