/**
 * Runs a case of each kernel on Oclgrind, which interprets kernels and watches memory, and prints
 * what came of it as JSON: a process of its own, since Oclgrind reads its settings when it is loaded.
 * With `planted` it runs kernels that are wrong instead, which Oclgrind has to find.
 *
 * Usage: oclgrind-process.js <library> kernels|planted
 */
import type { Device } from '../../gpu-executor/device/driver.js';
import { findOpenCl } from '../../gpu-executor/device/opencl/opencl-driver.js';
import { assertClose } from './close.js';
import { casesOfKernels } from './kernel-cases.js';
import { runLowered } from './lowered-run.js';

const [, , library = '', mode] = process.argv;
/** Relative to the largest cell. */
const TOLERANCES = { float64: 1e-10, float32: 1e-5 };

const found = findOpenCl({ path: library, binaries: false });
if ('missing' in found) throw new Error(found.missing);
const device = flushing(found.driver.open(0));

/** Oclgrind runs what is queued on the thread that flushes, and crashes on others than this one. */
function flushing(inner: Device): Device {
  const queueing: readonly PropertyKey[] = ['write', 'read', 'copy', 'launch'];
  return new Proxy(inner, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => {
        const result: unknown = Reflect.apply(member, target, args);
        if (queueing.includes(key)) target.flush();
        return result;
      };
    },
  });
}

/** Reads behind its operand; leaves out a barrier; adds to what was never written. */
const PLANTED = {
  beyond: 'to[GLOBAL_ID(0)] = from[GLOBAL_ID(0) + 1];',
  race: `LOCAL double part[8];
  part[LOCAL_ID(0)] = from[GLOBAL_ID(0)];
  to[GLOBAL_ID(0)] = part[7 - LOCAL_ID(0)];`,
  unwritten: 'to[GLOBAL_ID(0)] = to[GLOBAL_ID(0)] > 0 ? from[GLOBAL_ID(0)] : 0;',
};

async function runPlanted(): Promise<void> {
  for (const [name, body] of Object.entries(PLANTED)) {
    const parameters = 'GLOBAL const double *from, GLOBAL double *to';
    const kernel = device.compile(`KERNEL void ${name}(${parameters}) { ${body} }`, name);
    const pointers = [device.allocate(64), device.allocate(64)];
    device.write(pointers[0]!, new Float64Array(8));
    await device.wait(device.launch({ kernel, arguments: pointers, global: [8], local: [8] }));
    for (const pointer of pointers) device.free(pointer);
  }
}

/** @returns names of the cases, and those whose values are not the reference's */
async function runKernels(): Promise<{ readonly cases: string[]; readonly failed: string[] }> {
  const failed: string[] = [];
  // Oclgrind is a processor, which has a kernel of its own for products; GPUs have tiles.
  const tiles = casesOfKernels({ ...device.properties, isProcessor: false }).filter(({ lowered }) =>
    lowered.steps.some(({ code }) => /^product\d$/.test(code.name)),
  );
  const cases = [...casesOfKernels(device.properties), ...tiles];
  for (const { name, lowered, values, expr, expected } of cases) {
    const [got] = await runLowered(device, lowered, values);
    try {
      assertClose(got!, expected, TOLERANCES[expr.dtype], name);
    } catch (error) {
      failed.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { cases: cases.map(({ name }) => name), failed };
}

const done = mode === 'planted' ? await runPlanted() : await runKernels();
console.log(JSON.stringify({ ...done, left: device.close() }));
