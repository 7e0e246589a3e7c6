/** NVRTC for tests: the one that is found, or NVIDIA's package brought into Reprise's home once. */
import { execFile } from 'node:child_process';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { makeHomeFolder } from '../../../driver/support/make-folder.js';
import { cudaPackagesFolder } from '../../../gpu-executor/device/cuda/find-cuda.js';
import { findNvrtc, type Nvrtc } from '../../../gpu-executor/device/cuda/nvrtc.js';

/** 47 to 90 MB to download. */
const PACKAGE = 'nvidia-cuda-nvrtc>=13,<14';
const INSTALL_TIMEOUT_MS = 180_000;

/** @returns why there is none */
export async function testNvrtc(): Promise<Nvrtc | string> {
  const found = findNvrtc();
  if (!('missing' in found)) return found;
  const problem = await install();
  if (problem !== undefined) return `${found.missing}, and pip: ${problem}`;
  const brought = findNvrtc();
  return 'missing' in brought ? brought.missing : brought;
}

async function install(): Promise<string | undefined> {
  const folder = cudaPackagesFolder();
  await makeHomeFolder(dirname(folder));
  const staging = await mkdtemp(join(dirname(folder), '.cuda-'));
  const options = ['--quiet', '--no-deps', '--retries', '1', '--timeout', '20'];
  try {
    await promisify(execFile)(
      'python3',
      ['-m', 'pip', 'install', ...options, '--target', staging, PACKAGE],
      { timeout: INSTALL_TIMEOUT_MS },
    );
    await rename(staging, folder);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
