/** The embedded JVM and the direct channel: who may call, what a run costs, and cancellation. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { ConfigError } from '../../driver/errors.js';
import type { Expr } from '../../driver/ir/expr.js';
import {
  type DenseMatrix,
  dense,
  type Float64Matrix,
  type Handle,
  type Value,
} from '../../driver/ir/value.js';
import { ops } from '../../driver/operators/index.js';
import type { Channel } from '../../spark-bridge/channel/channel.js';
import type { WireStatus } from '../../spark-bridge/channel/wire.js';
import {
  createSparkBackend,
  DirectChannel,
  type EmbeddedSpark,
  type SparkBackend,
} from '../../spark-bridge/index.js';
import { assertClose } from '../support/close.js';
import { literal, make, random, segment } from '../support/segments.js';
import { borrowSpark, SMALL_CHUNKS } from '../support/spark.js';

function waves(rows: number, cols: number, step: number): Float64Matrix {
  const cells = Float64Array.from({ length: rows * cols }, (_, i) => Math.sin(i * step) + 2);
  return dense(rows, cols, cells);
}

describe('embedded Spark', () => {
  let embedded: EmbeddedSpark;
  let giveBack: (() => Promise<void>) | undefined;
  let spark: SparkBackend;

  before(async function () {
    this.timeout(600_000);
    const borrowed = await borrowSpark({ conf: SMALL_CHUNKS });
    if (typeof borrowed === 'string') {
      console.warn(`SKIPPED embedded Spark: ${borrowed}`);
      this.skip();
    }
    ({ embedded, giveBack } = borrowed);
    spark = await createSparkBackend({ channel: embedded.channel });
  });
  after(() => giveBack?.());

  const status = async (): Promise<WireStatus> =>
    (await embedded.channel.call('status', {})).result;

  it('refuses a caller without the token, and shows the token to nobody', async () => {
    const { port } = embedded;
    const url = `http://127.0.0.1:${port}/v1/call`;
    for (const headers of [
      {},
      { Authorization: 'Bearer wrong' },
      { Authorization: 'Basic eA==' },
    ]) {
      const response = await fetch(url, { method: 'POST', body: 'x', headers });
      assert.equal(response.status, 401);
    }
    const stranger = new DirectChannel({ port, token: 'no-such-token-but-long-enough-0123456789' });
    await assert.rejects(stranger.call('ping', {}), (error) => {
      assert.ok(error instanceof ConfigError, String(error));
      const shown = JSON.stringify([error.message, error.facts, String(error.cause)]);
      assert.doesNotMatch(shown, /no-such-token|Bearer|Authorization/);
      return true;
    });
    await stranger.close();
  });

  it('gives slow callers no threads and little time, and answers the one that knows the token', async () => {
    const { port, pid, channel } = embedded;
    const threads = (): number =>
      existsSync(`/proc/${pid}`) ? readdirSync(`/proc/${pid}/task`).length : 0;
    const before = threads();
    const sockets = Array.from({ length: 400 }, (_, i) => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      // Half a request line, half a header, or all but the token and a body that never comes.
      const begun = ['POST /v1', 'POST /v1/call HTTP/1.1\r\nAuthor', 'POST /v1/prove HTTP/1.1\r\n'];
      socket.write(`${begun[i % 3]}${i % 3 === 2 ? 'Content-Length: 64\r\n\r\n' : ''}`);
      return socket;
    });
    // All but the last 64 have to go at once, and those after ten seconds.
    const crowd = Promise.all(sockets.slice(0, 300).map((socket) => once(socket, 'close')));
    const began = performance.now();
    for (let i = 0; i < 20; i++) await channel.call('ping', {});
    assert.ok(performance.now() - began < 5_000, 'answered among 400 that say nothing');
    assert.ok(threads() - before <= 40, `${threads()} threads, ${before} before`);
    const fresh = new DirectChannel({ port, token: 'no-such-token-but-long-enough-0123456789' });
    await assert.rejects(fresh.call('ping', {}), /expected its token/, 'new callers get in');
    await fresh.close();
    await crowd;
    for (const socket of sockets) socket.destroy();
    await channel.call('ping', {});
  }).timeout(60_000);

  it('tells a caller without the token so, however much it sends', async () => {
    const response = await fetch(`http://127.0.0.1:${embedded.port}/v1/call`, {
      method: 'POST',
      body: Buffer.alloc(20_000_000),
    });
    assert.equal(response.status, 401);
  });

  it('expects work to take what the task slots of now give, not those it found at first', async () => {
    const { channel } = embedded;
    // As a cluster of sixteen executors answers before all but two of them end.
    const crowded: Channel = {
      kind: channel.kind,
      call: async (verb, ...rest) => {
        const reply = await channel.call(verb, ...rest);
        return verb === 'hello'
          ? { ...reply, result: { ...reply.result, parallelism: 16 } }
          : reply;
      },
      close: async () => {},
    };
    const backend = await createSparkBackend({ channel: crowded });
    const x = random(2000, 10, 3);
    const gram = make('tsmm', [x]);
    const work = (): number => {
      const { seconds, startSeconds = 0 } = backend.estimate(gram);
      return seconds - startSeconds;
    };
    const before = work();
    await backend.run(segment([x, gram], { outputs: [gram] }), {});
    assert.ok(Math.abs(work() / before - 8) < 1e-9, `${work()} after ${before}`);
  });

  it('answers what it does not understand with an error, and goes on', async () => {
    const unknown = embedded.channel.call('dance' as 'ping', {});
    await assert.rejects(unknown, /expected one of .*ping.*got `dance`/);
    const { result } = await embedded.channel.call('ping', {});
    assert.equal(result.boot, spark.description.boot);
  });

  it('runs all reductions over the same rows as one job and one pass', async () => {
    const rows = 5000;
    const [x, y] = [waves(rows, 6, 1), waves(rows, 1, 2)];
    const [X, Y] = [literal(x), literal(y)];
    const g = make('kfold', [], { rows, folds: 4, shuffle: true, seed: 3 });
    const gram = make('groupGram', [g, X, Y], { groups: 4, center: true });
    const product = make('matmul', [X, Y], { transposeA: true });
    const total = make('sum', [make('mul', [X, Y])]);
    const scaled = total.inputs[0]!;
    const outputs = [gram, product, total];
    const { values, ...counts } = await spark.run(
      segment([g, scaled, ...outputs], {
        inputs: new Map<Expr, Value>([
          [X, x],
          [Y, y],
        ]),
        outputs,
      }),
      {},
    );
    assert.deepEqual(counts, { kernels: 5, passes: 1, sparkJobs: 1 });
    const folds = ops.kfold.reference([], g.attrs, g);
    const expected = [
      ops.groupGram.reference([folds, x, y], gram.attrs, gram),
      ops.matmul.reference([x, y], product.attrs, product),
      ops.sum.reference([ops.mul.reference([x, y], {}, scaled)], {}, total),
    ];
    for (const [i, expr] of outputs.entries()) {
      assertClose(values.get(expr) as DenseMatrix, expected[i]!, 1e-10, expr.op.name);
    }
  });

  it('tells many whole operands of one pass apart', async () => {
    const x = waves(1500, 3, 4);
    const X = literal(x);
    let last = X;
    let value = x;
    const nodes: Expr[] = [];
    const inputs = new Map<Expr, Value>([[X, x]]);
    for (let i = 0; i < 24; i++) {
      const scalar = dense(1, 1, Float64Array.of(1 + ((i * 7) % 24) / 10));
      const operand = literal(scalar);
      inputs.set(operand, scalar);
      const op = i % 2 === 0 ? 'mul' : 'add';
      const node = make(op, [last, operand]);
      value = ops[op].reference([value, scalar], {}, node);
      nodes.push(node);
      last = node;
    }
    const total = make('sum', [last]);
    const { values } = await spark.run(
      segment([...nodes, total], {
        inputs,
        outputs: [total],
      }),
      {},
    );
    const expected = ops.sum.reference([value], {}, total);
    assertClose(values.get(total) as DenseMatrix, expected, 1e-12, 'sum');
  });

  it('runs a second pass where one reduction needs another', async () => {
    const x = waves(3000, 4, 3);
    const X = literal(x);
    const means = make('colSums', [X]);
    const centred = make('sub', [X, means]);
    const gram = make('tsmm', [centred]);
    const { values, passes, sparkJobs } = await spark.run(
      segment([means, centred, gram], {
        inputs: new Map([[X, x]]),
        outputs: [gram],
      }),
      {},
    );
    assert.deepEqual([passes, sparkJobs], [2, 2]);
    const sums = ops.colSums.reference([x], {}, means);
    const expected = ops.tsmm.reference([ops.sub.reference([x, sums], {}, centred)], {}, gram);
    assertClose(values.get(gram) as DenseMatrix, expected, 1e-10, 'tsmm');
  });

  it('keeps a value as row blocks, reads it again, collects it and lets it go', async () => {
    const x = waves(2500, 3, 5);
    const X = literal(x);
    const doubled = make('add', [X, X]);
    const total = make('sum', [doubled]);
    const first = await spark.run(
      segment([doubled, total], {
        inputs: new Map([[X, x]]),
        outputs: [total],
        persist: [doubled],
      }),
      {},
    );
    assert.deepEqual([first.passes, first.sparkJobs], [1, 1]);
    const handle = first.values.get(doubled) as Handle;
    assert.equal(handle.kind, 'handle');
    assert.ok(handle.bytes >= x.data.byteLength, `${handle.bytes} bytes`);
    const held = (await status()).handles.find((one) => one.handle === handle.id);
    assert.equal(held?.materialised, true);

    // Rows generated beside it are cut as it is cut.
    const folds = make('kfold', [], { rows: 2500, folds: 5, shuffle: false, seed: 0 });
    const gram = make('groupGram', [folds, doubled], { groups: 5, center: false });
    const second = await spark.run(
      segment([folds, gram], {
        inputs: new Map([[doubled, handle]]),
        outputs: [gram],
      }),
      {},
    );
    const twice = ops.add.reference([x, x], {}, doubled);
    const groups = ops.kfold.reference([], folds.attrs, folds);
    const expected = ops.groupGram.reference([groups, twice], gram.attrs, gram);
    assertClose(second.values.get(gram) as DenseMatrix, expected, 1e-10, 'groupGram');

    const collected = (await spark.collect(handle, {})) as DenseMatrix;
    assert.deepEqual(collected.data, twice.data);
    spark.release(handle);
    await waitFor(async () => !(await status()).handles.some((one) => one.handle === handle.id));
    await assert.rejects(spark.collect(handle, {}), /released/);
  });

  it('brings two values that are cut differently together', async () => {
    const x = waves(4000, 40, 1);
    const y = waves(4000, 2, 2);
    const [X, Y] = [literal(x), literal(y)];
    const kept: Handle[] = [];
    for (const [expr, value] of [
      [X, x],
      [Y, y],
    ] as const) {
      const { values } = await spark.run(
        segment([], { inputs: new Map([[expr, value]]), persist: [expr] }),
        {},
      );
      kept.push(values.get(expr) as Handle);
    }
    const product = make('matmul', [X, Y], { transposeA: true });
    const { values } = await spark.run(
      segment([product], {
        inputs: new Map<Expr, Value>([
          [X, kept[0]!],
          [Y, kept[1]!],
        ]),
        outputs: [product],
      }),
      {},
    );
    const expected = ops.matmul.reference([x, y], product.attrs, product);
    assertClose(values.get(product) as DenseMatrix, expected, 1e-10, 'matmul');
    for (const handle of kept) spark.release(handle);
  });

  it('sends a large host matrix once', async () => {
    const x = waves(4000, 40, 1);
    const X = literal(x);
    const before = (await status()).handles.length;
    for (const op of ['sum', 'max', 'tsmm'] as const) {
      const node = make(op, [X]);
      await spark.run(
        segment([node], {
          inputs: new Map([[X, x]]),
          outputs: [node],
        }),
        {},
      );
    }
    assert.equal((await status()).handles.length, before + 1);
  });

  it('gives the same bits every time, however tasks are timed', async () => {
    const rows = 20_000;
    const r = make('rand', [], { rows, cols: 7, seed: 5, distribution: 'normal', mean: 0, std: 1 });
    const gram = make('tsmm', [r]);
    const once = async (): Promise<DenseMatrix> => {
      const { values } = await spark.run(segment([r, gram], { outputs: [gram] }), {});
      return values.get(gram) as DenseMatrix;
    };
    const first = await once();
    for (let i = 0; i < 3; i++) assert.deepEqual((await once()).data, first.data);
  });

  it('ends a run when it is cancelled, and runs the next one', async () => {
    const rows = 60_000_000;
    const r = make('rand', [], {
      rows,
      cols: 20,
      seed: 1,
      distribution: 'uniform',
      min: 0,
      max: 1,
    });
    const total = make('sum', [r]);
    const cancel = new AbortController();
    const long = spark.run(segment([r, total], { outputs: [total] }), { signal: cancel.signal });
    await waitFor(async () => (await status()).runs.length === 1);
    cancel.abort();
    await assert.rejects(long, { name: 'AbortError' });
    await waitFor(async () => (await status()).runs.length === 0);
    const small = make('fill', [], { rows: 10, cols: 2, value: 3 });
    const sum = make('sum', [small]);
    const { values } = await spark.run(segment([small, sum], { outputs: [sum] }), {});
    assert.equal((values.get(sum) as DenseMatrix).data[0], 60);
  });

  it('leaves nothing behind when a run fails', async () => {
    const before = await status();
    const x = waves(100, 2, 1);
    const X = literal(x);
    const groups = literal(dense(100, 1, new Float64Array(100).fill(0.5)));
    const doubled = make('add', [X, X]);
    const gram = make('groupGram', [groups, doubled], { groups: 2, center: true });
    await assert.rejects(
      spark.run(
        segment([doubled, gram], {
          inputs: new Map<Expr, Value>([
            [X, x],
            [groups, groups.payload as DenseMatrix],
          ]),
          outputs: [gram],
          persist: [doubled],
        }),
        {},
      ),
      /group column: expected whole numbers, got 0.5/,
    );
    const now = await status();
    assert.deepEqual(now.handles, before.handles);
    assert.deepEqual(now.runs, []);
  });
});

async function waitFor(holds: () => Promise<boolean>, limitMs = 30_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > end) assert.fail(`expected it to happen within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
