/** Where CUDA's libraries are looked for, and in which order. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  cudaCandidates,
  cudaPackagesFolder,
} from '../../../../../gpu-executor/device/cuda/find-cuda.js';

describe("CUDA's libraries", () => {
  const variables = ['REPRISE_HOME', 'CUDA_HOME', 'CUDA_PATH', 'VIRTUAL_ENV'];
  const saved = variables.map((name) => [name, process.env[name]] as const);
  let folder: string;

  before(function () {
    if (process.platform !== 'linux') this.skip();
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'reprise-find-cuda-'));
    for (const name of variables) delete process.env[name];
    process.env.REPRISE_HOME = folder;
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
    for (const [name, value] of saved) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  const put = (...path: string[]): string => {
    const file = join(folder, ...path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, '');
    return file;
  };

  it('come from the setting, the toolkit, packages and the system, in that order', () => {
    const chosen = put('chosen', 'lib64', 'libnvrtc.so.12');
    const toolkit = put('toolkit', 'lib64', 'libnvrtc.so.13');
    const own = put('native', 'cuda', 'nvidia', 'cu13', 'lib', 'libnvrtc.so.13');
    const older = put('native', 'cuda', 'nvidia', 'cu12', 'lib', 'libnvrtc.so.12');
    const packages = ['venv', 'lib', 'python3.12', 'site-packages', 'nvidia', 'cu13', 'lib'];
    const python = put(...packages, 'libnvrtc.so.13');
    process.env.CUDA_HOME = join(folder, 'toolkit');
    process.env.VIRTUAL_ENV = join(folder, 'venv');
    const found = cudaCandidates('nvrtc', join(folder, 'chosen'));
    assert.deepEqual(found.slice(0, 5), [chosen, toolkit, own, older, python]);
    assert.deepEqual(found.slice(5, 8), ['libnvrtc.so.13', 'libnvrtc.so.12', 'libnvrtc.so']);
    assert.equal(cudaPackagesFolder(), join(folder, 'native', 'cuda'));
  });

  it('are not looked for where the setting says none', () => {
    assert.deepEqual(cudaCandidates('cuda', 'none'), []);
  });
});
