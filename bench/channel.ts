/**
 * The direct channel to embedded Spark: a round trip that does nothing, a program that does nothing, and a large matrix each
 * way. About 30 s. The cells that come back are compared with those sent before a time counts.
 */
import { performance } from 'node:perf_hooks';
import type { Channel } from '../spark-bridge/channel/channel.js';
import { bytesToCells, cellsToBytes } from '../spark-bridge/channel/frame-codec.js';
import { startEmbeddedSpark } from '../spark-bridge/index.js';
import { alternate, type Bench, type Sample } from './harness.js';

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

export const channel: Bench = {
  name: 'channel',
  summary: 'direct channel to embedded Spark: round trip, and MB/s both ways',
  run: async (recorder, options) => {
    const bytes = (options.quick ? 16 : 128) * MIB;
    const rounds = options.quick ? 3 : 9;
    const spark = await startEmbeddedSpark({ memoryBytes: 2048 * MIB });
    try {
      const way: Channel = spark.channel;
      const cells = Float64Array.from({ length: bytes / 8 }, (_, i) => i * 0.5);
      const payload = cellsToBytes(cells);
      const rows = cells.length;
      const inputs = [{ id: 1, rows, cols: 1, payload: 0, handle: null }];
      const empty = { instructions: [], outputs: [], persist: [] };
      await way.call('broadcast', { handle: 'bench', rows, cols: 1 }, [payload]);
      const sides = [
        { name: 'ping', run: () => timed(() => way.call('ping', {}), CALLS) },
        { name: 'no-op program', run: () => timed(() => noop(way, 'noop'), CALLS) },
        {
          name: 'to Spark',
          run: () =>
            timed(() => way.call('runProgram', { run: 'up', inputs, ...empty }, [payload])),
        },
        {
          name: 'from Spark',
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
      await alternate(recorder, sides, { rounds, tolerance: 0 });
      recorder.figure('channel_ping_ms', recorder.summary('ping').median * 1e3, { atMost: 3 }, [
        'ping',
      ]);
      recorder.figure(
        'channel_program_ms',
        recorder.summary('no-op program').median * 1e3,
        undefined,
        ['no-op program'],
      );
      for (const [name, side] of [
        ['channel_to_spark_mb_s', 'to Spark'],
        ['channel_from_spark_mb_s', 'from Spark'],
      ] as const) {
        recorder.figure(name, bytes / 1e6 / recorder.summary(side).median, undefined, [side]);
      }
    } finally {
      await spark.close();
    }
  },
};
