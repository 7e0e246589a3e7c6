/** Host values that programs read whole: sent once, ahead where planned, and dropped with them. */
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createReferenceBackend } from '../../driver/backend/reference-backend.js';
import { dense, type Matrix, matrix, rand, type Scalar } from '../../driver/index.js';
import { Session, type SessionOptions } from '../../driver/runtime/session.js';
import type { CallOptions, Channel, Reply } from '../../spark-bridge/channel/channel.js';
import type { Verb, Verbs } from '../../spark-bridge/channel/wire.js';
import { createSparkBackend, type SparkBackend } from '../../spark-bridge/index.js';
import { eventually, SharedSpark } from '../support/spark-session.js';

const ROWS = 80_000;
const COLS = 16;
/** Columns that make a whole operand of 256 KB. */
const WIDE = 2048;

/** The real channel, with what passed through it counted. */
class CountingChannel implements Channel {
  readonly kind = 'direct';
  readonly calls: { readonly verb: Verb; readonly bytes: number }[] = [];
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  call<V extends Verb>(
    verb: V,
    args: Verbs[V]['args'],
    payloads: readonly Uint8Array[] = [],
    options?: CallOptions,
  ): Promise<Reply<V>> {
    const bytes = payloads.reduce((sum, payload) => sum + payload.byteLength, 0);
    this.calls.push({ verb, bytes });
    return this.#channel.call(verb, args, payloads, options);
  }

  async close(): Promise<void> {}

  bytesOf(verb: Verb): number {
    return this.calls.reduce((sum, call) => sum + (call.verb === verb ? call.bytes : 0), 0);
  }
}

/** sum((x %*% w)^2), by a pass that takes w whole. */
const squares = (x: Matrix, w: Matrix): Scalar => x.matmul(w).square().sum();

/** The same from t(x) %*% x alone: sum(w * (G %*% w)). */
const squaresByGram = (x: Matrix, w: Matrix): Scalar => w.mul(x.t().matmul(x).matmul(w)).sum();

const collectGarbage = (): void => {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
};

describe('broadcasts', () => {
  let shared: SharedSpark;

  before(async function () {
    this.timeout(600_000);
    // Counts broadcasts, of which other suites may have left some.
    const started = await SharedSpark.start({ conf: { 'spark.reprise.chunkRows': '2000' } });
    if (typeof started === 'string') {
      console.warn(`SKIPPED broadcasts: ${started}`);
      this.skip();
    } else shared = started;
  });
  after(() => shared?.close());

  async function counted(options: Partial<SessionOptions> = {}): Promise<{
    session: Session;
    spark: SparkBackend;
    channel: CountingChannel;
  }> {
    const channel = new CountingChannel(shared.embedded.channel);
    const spark = await createSparkBackend({ channel, onClose: async () => {} });
    const local = createReferenceBackend();
    return {
      session: new Session({ local, blocks: spark, placement: 'blocks', ...options }),
      spark,
      channel,
    };
  }

  const weights = (session: Session, seed: number): Matrix =>
    matrix(
      session,
      dense(
        COLS,
        WIDE,
        Float64Array.from({ length: COLS * WIDE }, (_, i) => Math.cos(i * 0.01 + seed)),
      ),
    );

  it('are made once for a value that several programs read', async () => {
    const { session, channel } = await counted();
    const before = await shared.storage();
    const w = weights(session, 1);
    const values: number[] = [];
    for (const seed of [1, 2, 3]) {
      const x = rand(session, ROWS, COLS, { seed });
      values.push(await squares(x, w).value());
    }
    // Those of Spark's own tasks go a moment after their job.
    await eventually(
      'one more broadcast',
      async () => (await shared.storage()).liveBroadcasts === before.liveBroadcasts + 1,
    );
    // The cells travelled once, inside the first program.
    const sent = channel.bytesOf('runProgram') + channel.bytesOf('broadcast');
    assert.ok(sent >= COLS * WIDE * 8 && sent < 1.1 * COLS * WIDE * 8, `${sent} bytes sent`);
    const local = new Session({ local: createReferenceBackend(), reuse: 'off' });
    const x = rand(local, ROWS, COLS, { seed: 2 });
    const expected = await squaresByGram(x, weights(local, 1)).value();
    assert.ok(Math.abs(values[1]! / expected - 1) < 1e-9, `${values[1]} for ${expected}`);
  });

  it('are sent ahead of a program that waits for something else', async () => {
    const { session, channel } = await counted();
    const centred = (of: Session): Matrix => {
      const x = rand(of, ROWS, COLS, { seed: 9 });
      return x.sub(x.colSums().mul(1 / ROWS));
    };
    // The weights are made here while the first pass sums columns; the next pass waits for both.
    const value = await squares(centred(session), weights(session, 2).mul(1e-3)).value();
    const verbs = channel.calls.map(({ verb }) => verb);
    assert.equal(verbs.filter((verb) => verb === 'broadcast').length, 1);
    assert.ok(verbs.indexOf('broadcast') < verbs.lastIndexOf('runProgram'), verbs.join());
    assert.ok(channel.bytesOf('runProgram') < COLS * WIDE * 8, 'programs name it only');
    const local = new Session({ local: createReferenceBackend(), reuse: 'off' });
    const expected = await squaresByGram(centred(local), weights(local, 2).mul(1e-3)).value();
    assert.ok(Math.abs(value / expected - 1) < 1e-9, `${value} for ${expected}`);
  });

  it('travel inside a program that can start at once, without an exchange of their own', async () => {
    const { session, channel } = await counted();
    // The weights come from a pass over x, are put together here, and are all that the next pass
    // waits for.
    const scaled = (of: Session, x: Matrix): Matrix =>
      weights(of, 2).mul(x.colSums().t()).mul(1e-6);
    const x = rand(session, ROWS, COLS, { seed: 10 });
    const value = await squares(x, scaled(session, x)).value();
    assert.deepEqual(
      channel.calls.filter(({ verb }) => verb === 'broadcast'),
      [],
    );
    const bytes = channel.bytesOf('runProgram');
    assert.ok(bytes >= COLS * WIDE * 8 && bytes < 1.1 * COLS * WIDE * 8, `${bytes} bytes sent`);
    const local = new Session({ local: createReferenceBackend(), reuse: 'off' });
    const y = rand(local, ROWS, COLS, { seed: 10 });
    const expected = await squaresByGram(y, scaled(local, y)).value();
    assert.ok(Math.abs(value / expected - 1) < 1e-9, `${value} for ${expected}`);
  });

  it('stay few over 200 turns of a loop, as does the memory here', async () => {
    const { session } = await counted({ cacheBytes: 8 * 1024 ** 2, spill: false });
    collectGarbage();
    const before = await shared.storage();
    const [rows, cols, outputs] = [2100, 512, 40];
    const x = rand(session, rows, cols, { seed: 4 });
    await session.persist([x.expr]);
    const xt = x.t();
    let w = rand(session, cols, outputs, { seed: 5 });
    const bytes: number[] = [];
    let most = 0;
    for (let turn = 0; turn < 200; turn++) {
      w = w.sub(xt.matmul(x.matmul(w)).mul(1e-6));
      assert.ok(Number.isFinite(await w.sum().value()));
      if (turn % 20 !== 19) continue;
      collectGarbage();
      await new Promise((resolve) => setTimeout(resolve, 20));
      const usage = process.memoryUsage();
      bytes.push(usage.heapUsed + usage.arrayBuffers);
      most = Math.max(most, (await shared.storage()).liveBroadcasts - before.liveBroadcasts);
    }
    assert.ok(most > 0 && most <= 70, `${most} broadcasts at once`);
    // From when the cache is full on; each turn makes 164 KB, 20 MB until the end.
    const growth = bytes.at(-1)! - bytes[3]!;
    assert.ok(growth < 9 * 1024 ** 2, `grew by ${growth} bytes: ${bytes.join(' ')}`);
  }).timeout(240_000);
});
