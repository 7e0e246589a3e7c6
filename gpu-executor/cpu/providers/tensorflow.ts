/**
 * Finds TensorFlow.js where Reprise can see it: packages that people install beside it. Invariant:
 * it is loaded once a thread, when it is first wanted, and nothing here ever fails for want of it.
 */
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import type { KernelProvider } from './provider.js';
import { tensorKernels } from './tensor-kernels.js';

/** What is used of `@tensorflow/tfjs-core` 4; its own types would be needed by those without it. */
export interface TensorFlow {
  readonly version_core?: string;
  readonly version?: Readonly<Record<string, string>>;
  ready(): Promise<void>;
  setBackend(name: string): Promise<boolean>;
  getBackend(): string;
  memory(): { readonly numTensors: number };
  /** Frees what `make` leaves; walks what it returns, so that is nothing. */
  tidy(make: () => void): void;
  tensor(cells: Float32Array, shape: readonly number[]): TfTensor;
  conv2d(
    x: TfTensor,
    filters: TfTensor,
    strides: Two,
    pad: readonly Two[],
    format: 'NHWC',
    dilations: Two,
  ): TfTensor;
  matMul(a: TfTensor, b: TfTensor, transposeA: boolean, transposeB: boolean): TfTensor;
  add(a: TfTensor, b: TfTensor): TfTensor;
  pad(x: TfTensor, paddings: readonly Two[]): TfTensor;
  reshape(x: TfTensor, shape: readonly number[]): TfTensor;
  reverse(x: TfTensor, axes: readonly number[]): TfTensor;
  transpose(x: TfTensor, order?: readonly number[]): TfTensor;
}

export interface TfTensor {
  readonly shape: readonly number[];
  dataSync(): Float32Array;
}

export type Two = readonly [number, number];

/** In the order in which they are taken; natives first. */
const PACKAGES = [
  { pack: '@tensorflow/tfjs-node-gpu', backend: 'tensorflow' },
  { pack: '@tensorflow/tfjs-node', backend: 'tensorflow' },
  { pack: '@tensorflow/tfjs-backend-wasm', backend: 'wasm' },
] as const;

export const INSTALLED_BY = 'npm install @tensorflow/tfjs-core @tensorflow/tfjs-backend-wasm';

/** Whether any of its packages is there, without loading it. */
export function findTensorFlow(): string | undefined {
  const { resolve } = createRequire(import.meta.url);
  return PACKAGES.find(({ pack }) => isThere(() => resolve(pack)))?.pack;
}

function isThere(look: () => unknown): boolean {
  try {
    look();
    return true;
  } catch {
    return false;
  }
}

let loading: Promise<KernelProvider | string> | undefined;

/** Its kernels, or why there are none. Takes a tenth of a second, natives a whole one. */
export function loadTensorFlow(): Promise<KernelProvider | string> {
  loading ??= load();
  return loading;
}

async function load(): Promise<KernelProvider | string> {
  const require = createRequire(import.meta.url);
  const problems: string[] = [];
  for (const { pack, backend } of PACKAGES) {
    if (!isThere(() => require.resolve(pack))) continue;
    try {
      const own = require(pack) as Partial<TensorFlow>;
      // The backend's own core: two of them would not know each other's tensors.
      const core = createRequire(require.resolve(pack));
      const tf = (own.conv2d ? own : core('@tensorflow/tfjs-core')) as TensorFlow;
      if (!(await tf.setBackend(backend))) throw new Error(`no backend ${backend}`);
      await tf.ready();
      const version = tf.version_core ?? tf.version?.['tfjs-core'] ?? '';
      return {
        name: `tensorflow-${backend}`,
        description: `TensorFlow.js ${version} by ${pack}`,
        threads: backend === 'wasm' ? 1 : availableParallelism(),
        held: () => tf.memory().numTensors,
        ...tensorKernels(tf),
      };
    } catch (error) {
      problems.push(`${pack}: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  return problems.length > 0 ? problems.join('; ') : 'not installed';
}
