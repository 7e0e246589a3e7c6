/** Makes the emulation of CUDA's libraries, where there is a C++ compiler to make it with. */
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../../driver/support/package-root.js';

export interface EmulatedCuda {
  /** Holds libcuda, NVRTC, cuBLAS and cuSOLVER, and what NVRTC compiles. */
  readonly folder: string;
  remove(): Promise<void>;
}

/** About 4 s of the processor. @returns why there is none where there is no g++ */
export async function buildCudaEmulation(): Promise<EmulatedCuda | string> {
  if (process.platform !== 'linux') return 'the emulation of CUDA is for Linux';
  const folder = await mkdtemp(join(tmpdir(), 'reprise-cuda-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  const sources = join(packageRoot(), 'test', 'support', 'cuda');
  const language = join(folder, 'cuda-language.hpp');
  const compile = (...args: string[]) => promisify(execFile)('g++', ['-fPIC', ...args]);
  try {
    await copyFile(join(sources, 'cuda-language.hpp'), language);
    await Promise.all([
      compile(
        ...['-std=c++17', '-O0', '-shared', '-pthread', '-o', join(folder, 'libcuda.so.1')],
        ...[join(sources, 'emulation.cpp'), '-ldl'],
      ),
      // As kernels are compiled: read once, not for each.
      compile('-w', '-O1', '-ffp-contract=off', '-x', 'c++-header', language),
    ]);
  } catch (error) {
    await remove();
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'no g++ on the PATH';
    throw error;
  }
  for (const name of ['libnvrtc.so.13', 'libcublas.so.13', 'libcusolver.so.12']) {
    await symlink('libcuda.so.1', join(folder, name));
  }
  return { folder, remove };
}
