/**
 * Inference of networks by their expressions beside onnxruntime, on the same cells: MobileNetV3 (with
 * squeeze and excitation) and a text detector of PyPI `rapidocr-onnxruntime`, which are ONNX files; and
 * the three of `workload-transfer`, written to ONNX from what Reprise reads (`write-onnx.py`).
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Images, matrix, Session } from '../driver/index.js';
import { type CpuBackend, createCpuBackend } from '../gpu-executor/cpu/index.js';
import { efficientNetLite0 } from '../jobs/networks/efficientnet-lite.js';
import type { NetworkGraph } from '../jobs/networks/graph.js';
import { Network } from '../jobs/networks/network.js';
import { readLayers } from '../jobs/networks/read-layers.js';
import { readOnnx } from '../jobs/networks/read-onnx.js';
import { readTensors } from '../jobs/networks/read-torch.js';
import { localPath } from '../jobs/npm-data.js';
import { alternate, type Bench, type Recorder, type Sample } from './harness.js';
import { benchFile, ownPython } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';
import { PRETRAINED } from './workloads/transfer.js';

/** The second package asks for others, and its models alone are read. */
const PACKAGES = ['onnx onnxruntime', '--no-deps rapidocr-onnxruntime==1.4.4'];

interface Task {
  readonly name: string;
  readonly path: string;
  readonly graph: NetworkGraph;
  readonly rows: number;
  /** Of the input after the rows, as the graph's format has it. */
  readonly dims: readonly [number, number, number];
}

/** Files of the package, images, and their size. */
const FILES = [
  ['mobilenet', 'ch_ppocr_mobile_v2.0_cls_infer.onnx', 16, 48, 192],
  ['detector', 'ch_PP-OCRv4_det_infer.onnx', 4, 160, 160],
] as const;

/** Networks of `workload-transfer`, images, and their size. */
const WRITTEN = [
  ['efficientnet-lite0', PRETRAINED.efficientNet, 8, 224],
  ['mobilenet-v2', PRETRAINED.mobileNet, 8, 224],
  ['inception-v3', PRETRAINED.inception, 2, 299],
] as const;

const THREADS = [1, 2];

export const networks: Bench = {
  name: 'networks',
  summary: 'inference of five networks by their expressions, beside onnxruntime',
  run: async (recorder, { quick }) => {
    const python = ownPython('onnx', PACKAGES);
    const cpu = await createCpuBackend();
    const rival = new PythonRival(undefined, python);
    const folder = await mkdtemp(join(tmpdir(), 'reprise-networks-'));
    try {
      for (const [name, file, rows, height, width] of FILES) {
        const path = join(modelFolder(python), file);
        const graph = await readOnnx(path);
        await compare(recorder, cpu, rival, quick ? 3 : 15, {
          ...{ name, path, graph, rows, dims: [3, height, width] },
        });
      }
      for (const [name, source, rows, size] of WRITTEN) {
        const here = await localPath(source, {});
        const isLayers = here.endsWith('.js');
        const graph = isLayers
          ? await readLayers(here)
          : efficientNetLite0(await readTensors(here), here);
        const dims = isLayers ? ([size, size, 3] as const) : ([3, size, size] as const);
        const path = await writtenOnnx(join(folder, name), graph, dims, rival);
        await compare(recorder, cpu, rival, quick ? 3 : 9, { name, path, graph, rows, dims });
      }
    } finally {
      await Promise.all([rival.close(), cpu.close(), rm(folder, { recursive: true })]);
    }
  },
};

async function compare(
  recorder: Recorder,
  cpu: CpuBackend,
  rival: PythonRival,
  rounds: number,
  { name, path, graph, rows, dims }: Task,
): Promise<void> {
  const network = new Network(graph);
  const cells = cellsOf(rows * dims.reduce((product, one) => product * one));
  let own: readonly number[] = [];
  let [farthest, largest] = [0, 0];
  // Probabilities of onnxruntime have no digits below 6e-8, and products none far below the largest.
  const besideLargest = (cell: number): number => 1 + 2 * largest + cell;
  const ours = async (): Promise<Sample> => {
    const session = new Session({ local: cpu });
    const x = matrix(session, rows, cells.length / rows, cells);
    const start = performance.now();
    const [y] = network.apply(imagesOf(x, graph, dims));
    const { data } = await y!.matrix.value();
    const seconds = (performance.now() - start) / 1000;
    own = [...data];
    largest = own.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
    return { seconds, answers: own.map(besideLargest) };
  };
  const theirs = (threads: number) => async (): Promise<Sample> => {
    const argv = [path, threads, rows, ...dims].map(String);
    const run = await rival.run(benchFile('rivals/onnx-networks.py'), argv);
    const answers = run.answers.flat();
    for (const [i, one] of answers.entries())
      farthest = Math.max(farthest, Math.abs(one - own[i]!));
    return { seconds: run.seconds, answers: answers.map(besideLargest) };
  };
  const others = THREADS.map((threads) => ({
    name: `${name}.onnxruntime.${threads}`,
    run: theirs(threads),
    warmups: 1,
  }));
  const sides = [{ name: `${name}.ours`, run: ours, warmups: 5 }, ...others];
  await alternate(recorder, sides, { rounds, tolerance: 1e-5 });
  recorder.note(`${name}: ${own.length} answers, at most ${farthest.toPrecision(2)} apart`);
  const best = recorder.fastest(others.map((side) => side.name));
  recorder.ratio(`networks.${name}.onnxruntime_vs_ours`, best, `${name}.ours`);
}

function imagesOf(
  x: ReturnType<typeof matrix>,
  { format }: NetworkGraph,
  [first, second, third]: Task['dims'],
): Images {
  if (format === 'layers') return new Images(x, { height: first, width: second, channels: third });
  return Images.ofChannelsFirst(x, { channels: first, height: second, width: third });
}

/** Writes a network for onnxruntime. @returns the path of its file */
async function writtenOnnx(
  path: string,
  { format, operations, constants: all, inputs, outputs }: NetworkGraph,
  dims: Task['dims'],
  rival: PythonRival,
): Promise<string> {
  const constants: Record<string, { dims: readonly number[]; from: number }> = {};
  let count = 0;
  for (const [name, { dims: sizes, cells }] of all) {
    constants[name] = { dims: sizes, from: count };
    count += cells.length;
  }
  const cells = new Float32Array(count);
  for (const [name, constant] of all) cells.set(constant.cells, constants[name]!.from);
  const described = {
    ...{ format, constants, input: [inputs[0]!.name, dims], output: outputs[0]! },
    operations: operations.map((one) => ({
      ...one,
      attributes: Object.fromEntries(one.attributes),
    })),
  };
  await writeFile(`${path}.json`, JSON.stringify(described));
  await writeFile(`${path}.bin`, cells);
  const argv = [`${path}.json`, `${path}.bin`, `${path}.onnx`];
  await rival.run(benchFile('rivals/write-onnx.py'), argv);
  return `${path}.onnx`;
}

/** Where the package's models lie; it is not imported, since it asks for others. */
function modelFolder(python: string): string {
  const script =
    'import importlib.util as u; print(u.find_spec("rapidocr_onnxruntime").submodule_search_locations[0])';
  const folder = execFileSync(python, ['-c', script], { encoding: 'utf8', timeout: 60_000 });
  return join(folder.trim(), 'models');
}

/** The cells that `rivals/onnx-networks.py` makes. */
function cellsOf(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => ((i * 37) % 1009) / 1009 - 0.5);
}
