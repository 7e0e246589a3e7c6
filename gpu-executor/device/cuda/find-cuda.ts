/**
 * Where CUDA's libraries may lie: the folder a setting names, the toolkit's, those that Python's
 * packages bring, the system's. Owns no loading: a candidate is a path or a name for the loader.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { env } from '../../../driver/support/env.js';

/** `cuda` comes with the GPU's driver, the others with the toolkit or as packages. */
export type CudaLibrary = 'cuda' | 'nvrtc' | 'cublas' | 'cusolver';

/** File names by platform, the newest first. */
const fileNames: Readonly<Record<string, Readonly<Record<CudaLibrary, readonly string[]>>>> = {
  linux: {
    cuda: ['libcuda.so.1'],
    nvrtc: ['libnvrtc.so.13', 'libnvrtc.so.12', 'libnvrtc.so'],
    cublas: ['libcublas.so.13', 'libcublas.so.12', 'libcublas.so'],
    // One behind the toolkit's number.
    cusolver: ['libcusolver.so.12', 'libcusolver.so.11', 'libcusolver.so'],
  },
  win32: {
    cuda: ['nvcuda.dll'],
    nvrtc: ['nvrtc64_130_0.dll', 'nvrtc64_120_0.dll'],
    cublas: ['cublas64_13.dll', 'cublas64_12.dll'],
    cusolver: ['cusolver64_12.dll', 'cusolver64_11.dll'],
  },
};

const systemFolders = [
  '/usr/local/cuda/lib64',
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib/wsl/lib',
];

/** Where `pip install --target` puts packages for Reprise: `nvidia-cuda-nvrtc`, say. */
export function cudaPackagesFolder(): string {
  return join(env.home(), 'native', 'cuda');
}

/**
 * What to try to load, in order.
 * @param setting a folder to look in first, `none` for nothing at all; defaults to REPRISE_CUDA
 */
export function cudaCandidates(library: CudaLibrary, setting = env.cuda()): string[] {
  const names = fileNames[process.platform]?.[library] ?? [];
  if (setting === 'none') return [];
  const chosen = setting === undefined || setting === 'auto' ? [] : librariesUnder(setting);
  const toolkit = [env.cudaHome()].flatMap((folder) => (folder ? librariesUnder(folder) : []));
  const own = [...chosen, ...toolkit, ...packageFolders()];
  return [
    ...filesIn(own, names),
    // By the loader's own ways.
    ...names,
    ...filesIn(systemFolders, names),
  ];
}

const librariesUnder = (folder: string): string[] => [
  folder,
  join(folder, 'lib64'),
  join(folder, 'lib'),
  join(folder, 'bin'),
  join(folder, 'bin', 'x64'),
];

const filesIn = (folders: readonly string[], names: readonly string[]): string[] =>
  folders.flatMap((folder) => names.map((name) => join(folder, name)).filter(existsSync));

/** `nvidia/<part>/lib` of Reprise's own folder and of the Python environment that is active. */
function packageFolders(): string[] {
  const environment = env.pythonEnvironment();
  const sites = [cudaPackagesFolder()];
  if (environment !== undefined) {
    const library = join(environment, 'lib');
    for (const version of namesIn(library).filter((name) => name.startsWith('python3'))) {
      sites.push(join(library, version, 'site-packages'));
    }
    sites.push(join(environment, 'Lib', 'site-packages'));
  }
  return sites.flatMap((site) => {
    const packages = join(site, 'nvidia');
    return namesIn(packages).flatMap((part) => librariesUnder(join(packages, part)));
  });
}

/** The newest first, as far as names tell: `cu13` before `cu12`. */
const namesIn = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder).sort().reverse() : [];
