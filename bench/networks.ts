/**
 * Inference of a network by its expressions beside onnxruntime, on the same cells: MobileNetV3 (with
 * squeeze and excitation) of PyPI `rapidocr-onnxruntime`, 16 images of 3 x 48 x 192, and its text
 * detector, 4 of 3 x 160 x 160.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Images, matrix, Session } from '../driver/index.js';
import { createCpuBackend } from '../gpu-executor/cpu/index.js';
import { readNetwork } from '../jobs/networks/network.js';
import { alternate, type Bench, type Sample } from './harness.js';
import { benchFile, ownPython } from './paths.js';
import { PythonRival } from './rivals/python-rival.js';

/** The second package asks for others, and its models alone are read. */
const PACKAGES = ['onnxruntime', '--no-deps rapidocr-onnxruntime==1.4.4'];

const TASKS = [
  { name: 'mobilenet', file: 'ch_ppocr_mobile_v2.0_cls_infer.onnx', rows: 16, size: [48, 192] },
  { name: 'detector', file: 'ch_PP-OCRv4_det_infer.onnx', rows: 4, size: [160, 160] },
] as const;

export const networks: Bench = {
  name: 'networks',
  summary: 'inference of two networks by their expressions, beside onnxruntime',
  run: async (recorder, options) => {
    const python = ownPython('onnx', PACKAGES);
    const cpu = await createCpuBackend();
    const rival = new PythonRival(undefined, python);
    try {
      const folder = modelFolder(python);
      for (const { name, file, rows, size } of TASKS) {
        const path = join(folder, file);
        const network = await readNetwork(path);
        const [height, width] = size;
        const shape = { height, width, channels: 3 };
        const cells = cellsOf(rows * 3 * height * width);
        const ours = async (): Promise<Sample> => {
          const session = new Session({ local: cpu });
          const x = matrix(session, rows, 3 * height * width, cells);
          const start = performance.now();
          const [y] = network.apply(Images.ofChannelsFirst(x, shape));
          const { data } = await y!.matrix.value();
          return { seconds: (performance.now() - start) / 1000, answers: [...data].map(besideOne) };
        };
        const theirs = async (): Promise<Sample> => {
          const argv = [path, String(rows), String(height), String(width)];
          const run = await rival.run(benchFile('rivals/onnx-networks.py'), argv);
          return { seconds: run.seconds, answers: run.answers.flat().map(besideOne) };
        };
        const sides = [
          { name: `${name}.ours`, run: ours, warmups: 5 },
          { name: `${name}.onnxruntime`, run: theirs, warmups: 2 },
        ];
        await alternate(recorder, sides, { rounds: options.quick ? 3 : 15, tolerance: 1e-5 });
        const [own, other] = [`${name}.ours`, `${name}.onnxruntime`] as const;
        recorder.ratio(`networks.${name}.onnxruntime_vs_ours`, other, own);
      }
    } finally {
      await Promise.all([rival.close(), cpu.close()]);
    }
  },
};

/** onnxruntime's logistic function has no digits below 6e-8: probabilities agree beside 1. */
const besideOne = (cell: number): number => 1 + cell;

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
