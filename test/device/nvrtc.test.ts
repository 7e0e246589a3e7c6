/**
 * Every kernel as CUDA, by NVIDIA's own compiler: to machine code of A100 and H100 and of the newest
 * architecture that the compiler knows, with the driver's options. No GPU takes part.
 */
import assert from 'node:assert/strict';
import { ExecutionError } from '../../driver/errors.js';
import { DTYPES } from '../../driver/ir/dtype.js';
import { mirrorCode } from '../../gpu-executor/device/cuda/cublas.js';
import { solverCodes } from '../../gpu-executor/device/cuda/cusolver.js';
import type { Nvrtc } from '../../gpu-executor/device/cuda/nvrtc.js';
import { panelCode } from '../../gpu-executor/device/kernels/product-panels.js';
import { prologues } from '../../gpu-executor/device/kernels/prologue.js';
import { testNvrtc } from '../support/cuda/nvrtc.js';
import { kernelCases, kernelCodes } from '../support/kernel-cases.js';

const ELF = '\x7fELF';

describe('kernels as CUDA', () => {
  let nvrtc: Nvrtc;

  before(async function () {
    this.timeout(300_000);
    const found = await testNvrtc();
    if (typeof found === 'string') {
      console.warn(`SKIPPED kernels as CUDA: ${found}`);
      return this.skip();
    }
    nvrtc = found;
  });

  for (const which of ['sm_80', 'sm_90', 'the newest']) {
    it(`all compile for ${which}`, () => {
      const wanted = Number(/\d+/.exec(which)?.[0] ?? nvrtc.architectures.at(-1));
      const { text, names } = oneProgram();
      const code = Buffer.from(nvrtc.compile(text, 'all', wanted)).toString('latin1');
      assert.ok(code.startsWith(ELF), 'machine code, not PTX');
      assert.ok(names.length >= 12);
      for (const name of names) assert.ok(code.includes(name), `${name} is in the code`);
    });
  }

  it('what does not compile is refused with words and a place', () => {
    assert.throws(
      () => nvrtc.compile(`${prologues.cuda}KERNEL void k(GLOBAL float *a) { b[0] = 1; }`, 'k', 90),
      (error) =>
        error instanceof ExecutionError &&
        /kernel k to compile for sm_90.*k\.cu\(\d+\): error: identifier "b"/s.test(error.message),
    );
  });

  it('later architectures than it knows get PTX, earlier ones a reason', () => {
    const source = `${prologues.cuda}KERNEL void k(GLOBAL float *a) { a[GLOBAL_ID(0)] = 1; }`;
    const newest = nvrtc.architectures.at(-1)!;
    const ptx = Buffer.from(nvrtc.compile(source, 'k', newest + 10)).toString('latin1');
    assert.ok(ptx.includes(`.target sm_${newest}`) && ptx.includes('.entry k('));
    assert.throws(
      () => nvrtc.compile(source, 'k', 20),
      /expected a device of compute capability \d.* got 2; use an NVRTC older than/,
    );
  });
});

/** Many kernels cost one start of the compiler: sources in namespaces, kernels numbered. */
function oneProgram(): { readonly text: string; readonly names: readonly string[] } {
  const names: string[] = [];
  const own = [...DTYPES.map(mirrorCode), ...solverCodes];
  // That of processors is no kernel of a GPU: its compiler is the strictest there is.
  const codes = [...kernelCodes(kernelCases()), ...own, ...DTYPES.map(panelCode)];
  const sources = new Set(codes.map(({ source }) => source));
  const parts = [...sources].map((source, i) => {
    const numbered = source.replace(/\bKERNEL void (\w+)/g, (_, name: string) => {
      names.push(`${name}_${i}`);
      return `KERNEL void ${name}_${i}`;
    });
    return `namespace source_${i} {\n${numbered}\n}\n`;
  });
  return { text: prologues.cuda + parts.join(''), names };
}
