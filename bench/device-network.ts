/**
 * Training steps of a perceptron and of convolutions on a device, by force, against the processor:
 * seconds a step, and what a step allocates, copies, launches and waits for once it is under way.
 * Losses are compared before a time counts. On PoCL the device is the processor.
 */
import { performance } from 'node:perf_hooks';
import { batch, matrix, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { benchDevice } from './bench-device.js';
import { alternate, type Bench, type Recorder, type Sample } from './harness.js';
import {
  convolutions,
  patternCells,
  perceptron,
  type SmallNetwork,
  trainSmall,
} from './workloads/small-networks.js';

/** A training of many steps less one of so few leaves steps alone that are under way. */
const FEW = 4;
const QUICK_STEPS = 12;
/** So many that waits for what is brought at the end, or was there already, do not count. */
const MANY = 104;
const COUNTED = [
  ...(['launches', 'waits', 'allocations', 'recycled', 'copiesIn', 'copiesOut'] as const),
  ...(['bytesIn', 'bytesOut'] as const),
] as const;
/** Of losses in float32, whose sums are rounded in other orders. */
const TOLERANCE = 1e-3;

export const deviceNetwork: Bench = {
  name: 'device-network',
  summary: 'training steps of a perceptron and of convolutions on a device, and what one takes',
  run: async (recorder, options) => {
    const device = benchDevice(recorder, options);
    if (device === undefined) return;
    const isSmall = options.quick || device.properties.isProcessor;
    const [batchRows, rows] = isSmall ? [64, 1024] : [256, 16_384];
    const networks = {
      mlp: perceptron(784, isSmall ? 128 : 1024, 10),
      cnn: convolutions(28, isSmall ? 8 : 64, 10),
    };
    const steps = options.quick ? QUICK_STEPS : isSmall ? 40 : 200;
    recorder.note(`batches of ${batchRows} of ${rows} rows, ${steps} steps, float32`);
    const [local, gpu] = [await createCpuBackend(), await device.backend()];
    try {
      for (const [name, network] of Object.entries(networks)) {
        const train = (isOnDevice: boolean, taken: number): Promise<Sample> => {
          const devices = isOnDevice ? [gpu] : [];
          const placement = isOnDevice ? 'devices' : 'local';
          const session = new Session({ local, devices, placement, reuse: 'off', spill: false });
          return trained(session, network, { batchRows, rows, steps: taken });
        };
        const sides = [
          { name: `${name}_processor`, run: () => train(false, steps), warmups: 1 },
          { name: `${name}_device`, run: () => train(true, steps), warmups: 2 },
        ];
        await alternate(recorder, sides, { rounds: options.quick ? 1 : 5, tolerance: TOLERANCE });
        for (const side of sides) {
          const { median } = recorder.summary(side.name);
          recorder.figure(`${side.name}_step_ms`, (median * 1000) / steps, undefined, [side.name]);
        }
        const many = options.quick ? QUICK_STEPS : MANY;
        await countSteps(recorder, name, gpu, many, (taken) => train(true, taken));
      }
    } finally {
      await Promise.all([gpu.close(), local.close()]);
    }
    recorder.figure('leaked_pointers', gpu.leaked, { atMost: 0 });
  },
};

/** What a step takes once it is under way. */
async function countSteps(
  recorder: Recorder,
  name: string,
  gpu: { readonly work: () => Readonly<Record<(typeof COUNTED)[number], number>> },
  manySteps: number,
  train: (steps: number) => Promise<Sample>,
): Promise<void> {
  const worked = async (steps: number) => {
    const before = gpu.work();
    await train(steps);
    const after = gpu.work();
    return COUNTED.map((key) => after[key] - before[key]);
  };
  const [few, many] = [await worked(FEW), await worked(manySteps)];
  const waits = manySteps === MANY ? 1.2 : Infinity;
  const limits = { waits, allocations: 0, copiesIn: 0, copiesOut: 1, bytesOut: 8 };
  for (const [i, key] of COUNTED.entries()) {
    const each = (many[i]! - few[i]!) / (manySteps - FEW);
    const atMost = key in limits ? limits[key as keyof typeof limits] : undefined;
    recorder.figure(`${name}_${key}_a_step`, each, atMost === undefined ? undefined : { atMost });
  }
}

interface Sizes {
  readonly batchRows: number;
  readonly rows: number;
  readonly steps: number;
}

const made = new Map<string, Float32Array | Float64Array>();

/** The same array each time: what a device has of it is found again. */
function known<C extends Float32Array | Float64Array>(key: string, make: () => C): C {
  const cells = made.get(key) ?? make();
  made.set(key, cells);
  return cells as C;
}

function cells(count: number, seed: number, scale: number): Float32Array {
  return known(`${count} ${seed}`, () => patternCells(count, seed, scale));
}

async function trained(
  session: Session,
  network: SmallNetwork,
  { batchRows, rows, steps }: Sizes,
): Promise<Required<Sample>> {
  const { inputs, layers } = network;
  const shared = (r: number, c: number, of: Float32Array | Float64Array) => ({
    shared: matrix(session, r, c, of, { copy: false }),
  });
  const begun = performance.now();
  const [found] = await batch(
    session,
    1,
    {
      X: shared(rows, inputs, cells(rows * inputs, 1, 1)),
      y: shared(
        rows,
        1,
        known(`y ${rows}`, () => Float64Array.from({ length: rows }, (_, i) => (i * 7919) % 10)),
      ),
      ...Object.fromEntries(
        layers.map(([r, c], l) => [`layer ${l}`, shared(r, c, cells(r * c, l + 2, 0.3))]),
      ),
    },
    async (given) => ({ loss: await trainSmall(given, { network, batchRows, steps }) }),
    { name: `bench of ${layers.length} layers, ${steps} steps`, version: '1', isFresh: true },
  );
  const loss = await found!.loss.asScalar().value();
  return { seconds: (performance.now() - begun) / 1000, answers: [loss] };
}
