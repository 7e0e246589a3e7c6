/**
 * Convolutions, their gradients and a product in float32 by our own kernels and by TensorFlow.js,
 * whatever costs say, shape by shape: with a BLAS library and without one, on all threads.
 */
import { performance } from 'node:perf_hooks';
import { gradient, Images, type Matrix, matrix, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { alternate, type Bench, type Sample, type Side } from './harness.js';

interface Shape {
  readonly name: string;
  readonly rows: number;
  readonly image: readonly [height: number, width: number, channels: number];
  readonly window: number;
  readonly stride: number;
  readonly filters: number;
}

const SHAPES: readonly Shape[] = [
  { name: 'first', rows: 64, image: [48, 96, 3], window: 3, stride: 2, filters: 16 },
  { name: 'digits', rows: 256, image: [28, 28, 1], window: 3, stride: 1, filters: 8 },
  { name: 'narrow', rows: 64, image: [32, 32, 16], window: 3, stride: 1, filters: 16 },
  { name: 'wide', rows: 32, image: [16, 16, 64], window: 3, stride: 1, filters: 64 },
  { name: 'pointwise', rows: 64, image: [12, 24, 64], window: 1, stride: 1, filters: 96 },
];
const WORK = ['value', 'image', 'filters'] as const;

export const kernelProviders: Bench = {
  name: 'kernel-providers',
  summary: 'float32 convolutions and products by TensorFlow.js, beside our own kernels',
  run: async (recorder, { quick }) => {
    for (const blas of ['auto', 'none'] as const) {
      const words = ['none', 'always'] as const;
      const backends = await Promise.all(
        words.map((tensorflow) => createCpuBackend({ blas, tensorflow, helperFlops: 0 })),
      );
      recorder.note(
        `${backends[0]!.blas.description}; ${backends[1]!.choice.provider?.description}`,
      );
      const compare = async (task: string, make: (session: Session) => Matrix) => {
        const sides = backends.map((local, i): Side => {
          const name = `${task}.${i === 0 ? 'own' : 'tensorflow'}`;
          return { name, run: () => timed(new Session({ local, reuse: 'off' }), make), warmups: 3 };
        });
        await alternate(recorder, sides, { rounds: quick ? 3 : 9, tolerance: 1e-3, pauseMs: 20 });
        recorder.ratio(`${task}.own_by_tensorflow`, sides[0]!.name, sides[1]!.name);
      };
      const library = blas === 'auto' ? 'blas' : 'no_blas';
      for (const shape of SHAPES) {
        if (quick && shape.name === 'wide') continue;
        for (const work of WORK) {
          await compare(`${library}.${shape.name}.${work}`, (session) =>
            made(session, shape, work),
          );
        }
      }
      await compare(`${library}.product`, (session) =>
        cells(session, 512, 512, 1).matmul(cells(session, 512, 512, 2)),
      );
      for (const backend of backends) await backend.close();
    }
  },
};

function cells(session: Session, rows: number, cols: number, seed: number): Matrix {
  const from = Float32Array.from(
    { length: rows * cols },
    (_, i) => ((i * 37 + seed) % 1009) / 1009,
  );
  return matrix(session, rows, cols, from, { copy: false });
}

function made(session: Session, shape: Shape, work: (typeof WORK)[number]): Matrix {
  const { rows, window, stride, filters, image } = shape;
  const [height, width, channels] = image;
  const x = cells(session, rows, height * width * channels, 1);
  const f = cells(session, window * window * channels, filters, 2);
  const out = new Images(x, { height, width, channels }).conv2d(f, {
    window,
    stride,
    padding: 'same',
  });
  if (work === 'value') return out.matrix;
  // Linear in the output, so that the gradient is one convolution.
  const { cols } = out.matrix;
  const loss = out.matrix.mul(cells(session, rows, cols, 3)).sum();
  return gradient(loss, [work === 'image' ? x : f])[0]!;
}

async function timed(session: Session, make: (session: Session) => Matrix): Promise<Sample> {
  const value = make(session);
  const start = performance.now();
  const { data } = await value.value();
  const seconds = (performance.now() - start) / 1000;
  return { seconds, answers: [...data.subarray(0, 4096)].map((cell) => 1 + cell) };
}
