/**
 * The direct channel to embedded Spark: a round trip that does nothing, a program that does
 * nothing, and a large matrix each way, in plain HTTP as on loopback and by TLS as from elsewhere.
 * About a minute. The cells that come back are compared with those sent before a time counts.
 */
import { performance } from 'node:perf_hooks';
import type { Channel } from '../spark-bridge/channel/channel.js';
import { DirectChannel } from '../spark-bridge/channel/direct-channel.js';
import { bytesToCells, cellsToBytes } from '../spark-bridge/channel/frame-codec.js';
import { startEmbeddedSpark } from '../spark-bridge/index.js';
import { offerKey } from '../spark-bridge/livy/key-agreement.js';
import { alternate, type Bench, type Sample, type Side } from './harness.js';

const MIB = 1024 ** 2;
/** Calls timed together, since one is shorter than the clock's noise. */
const CALLS = 50;

const timed = async (work: () => Promise<unknown>, repeat = 1): Promise<Sample> => {
  const start = performance.now();
  for (let i = 0; i < repeat; i++) await work();
  return { seconds: (performance.now() - start) / 1000 / repeat };
};

/** A program that gives back the one cell it was sent. */
export const noop = (channel: Channel, run: string): Promise<unknown> =>
  channel.call(
    'runProgram',
    {
      run,
      inputs: [{ id: 1, rows: 1, cols: 1, payload: 0, handle: null }],
      instructions: [],
      outputs: [1],
      persist: [],
    },
    [cellsToBytes(Float64Array.of(1))],
  );

/** What the shim says when it listens on all this machine's addresses, for other drivers: TLS. */
async function encrypted(plain: Channel): Promise<DirectChannel> {
  const offer = offerKey();
  const args = { key: offer.publicKey, bind: 'any' } as const;
  const { port, key, certificate } = (await plain.call('openDirect', args)).result;
  if (certificate === null) throw new Error('expected a certificate');
  return new DirectChannel({ port, token: offer.tokenWith(key), certificate });
}

interface Load {
  readonly payload: Uint8Array;
  readonly rows: number;
}

function sidesOf(way: Channel, suffix: string, { payload, rows }: Load): Side[] {
  const inputs = [{ id: 1, rows, cols: 1, payload: 0, handle: null }];
  const empty = { instructions: [], outputs: [], persist: [] };
  return [
    { name: `ping${suffix}`, run: () => timed(() => way.call('ping', {}), CALLS) },
    { name: `no-op program${suffix}`, run: () => timed(() => noop(way, 'noop'), CALLS) },
    {
      name: `to Spark${suffix}`,
      run: () => timed(() => way.call('runProgram', { run: 'up', inputs, ...empty }, [payload])),
    },
    {
      name: `from Spark${suffix}`,
      run: async () => {
        let answers: readonly number[] = [];
        const sample = await timed(async () => {
          const reply = await way.call('collect', { handle: 'bench', run: 'down' });
          const back = bytesToCells(reply.payloads[0] ?? new Uint8Array());
          answers = [back.length, back[1] ?? 0, back.at(-1) ?? 0];
        });
        return { ...sample, answers };
      },
    },
  ];
}

export const channel: Bench = {
  name: 'channel',
  summary: 'direct channel to embedded Spark, plain and by TLS: round trip, and MB/s both ways',
  run: async (recorder, options) => {
    const bytes = (options.quick ? 16 : 128) * MIB;
    const rounds = options.quick ? 3 : 9;
    const spark = await startEmbeddedSpark({ memoryBytes: 2048 * MIB });
    const tls = await encrypted(spark.channel);
    try {
      const payload = cellsToBytes(Float64Array.from({ length: bytes / 8 }, (_, i) => i * 0.5));
      const load = { payload, rows: bytes / 8 };
      await spark.channel.call('broadcast', { handle: 'bench', rows: load.rows, cols: 1 }, [
        payload,
      ]);
      const sides = [...sidesOf(spark.channel, '', load), ...sidesOf(tls, ' by TLS', load)];
      await alternate(recorder, sides, { rounds, tolerance: 0 });
      for (const [prefix, suffix] of [
        ['channel', ''],
        ['channel_tls', ' by TLS'],
      ] as const) {
        const median = (side: string): number => recorder.summary(`${side}${suffix}`).median;
        const limit = suffix === '' ? { atMost: 3 } : undefined;
        recorder.figure(`${prefix}_ping_ms`, median('ping') * 1e3, limit, [`ping${suffix}`]);
        for (const [name, value, side] of [
          ['program_ms', median('no-op program') * 1e3, 'no-op program'],
          ['to_spark_mb_s', bytes / 1e6 / median('to Spark'), 'to Spark'],
          ['from_spark_mb_s', bytes / 1e6 / median('from Spark'), 'from Spark'],
        ] as const) {
          recorder.figure(`${prefix}_${name}`, value, undefined, [`${side}${suffix}`]);
        }
      }
    } finally {
      await tls.close();
      await spark.close();
    }
  },
};
