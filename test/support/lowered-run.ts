/** Runs the launches of the kernel generator on a device, one step after another, without a backend. */
import { type CsrMatrix, csrToBytes } from '../../driver/ir/csr.js';
import type { Expr } from '../../driver/ir/expr.js';
import { type Cells, cellsOf, type DenseMatrix, dense } from '../../driver/ir/value.js';
import { compressedBy } from '../../gpu-executor/device/compressed.js';
import type { Device, KernelArgument, Pointer } from '../../gpu-executor/device/driver.js';
import {
  byLibrary,
  type Lowered,
  type PlacedOperand,
  type StepOperand,
} from '../../gpu-executor/device/kernels/lowered.js';

/**
 * The values of the outputs, in order. Scratch memory holds NaN at first.
 * @throws what the status word says
 */
export async function runLowered(
  device: Device,
  { inputs, compressed = [], outputs, steps, scratchBytes, status }: Lowered,
  values: ReadonlyMap<Expr, DenseMatrix>,
): Promise<DenseMatrix[]> {
  const pointers: Pointer[] = [];
  const uploaded = (cells: ArrayBufferView): Pointer => {
    const pointer = device.allocate(cells.byteLength);
    pointers.push(pointer);
    device.write(pointer, cells);
    return pointer;
  };
  const spoilt = (bytes: number): Pointer => uploaded(new Uint8Array(bytes).fill(0xff));
  const ins = inputs.map((input) => uploaded(values.get(input)!.data));
  const packed = compressed.map(({ expr, by }) => {
    const csr = compressedBy(values.get(expr) as CsrMatrix, by);
    return uploaded(csrToBytes(csr));
  });
  const results = outputs.map(({ dtype, rows, cols }) => cellsOf(dtype, rows * cols));
  const outs = results.map((cells) => spoilt(cells.byteLength));
  const scratch = scratchBytes.map(spoilt);
  const argument = (operand: StepOperand): KernelArgument => {
    if ('input' in operand) return ins[operand.input]!;
    if ('compressed' in operand) return packed[operand.compressed]!;
    if ('output' in operand) return outs[operand.output]!;
    return 'scratch' in operand ? scratch[operand.scratch]! : operand;
  };
  try {
    const pointerOf = (operand: PlacedOperand) => argument(operand) as Pointer;
    for (let at = 0; at < steps.length; ) {
      const { code, operands, global, local } = steps[at]!;
      const queued = byLibrary(device, steps[at]!, [], pointerOf);
      at += queued?.covers ?? 1;
      if (queued !== undefined) continue;
      const kernel = device.compile(code.source, code.name);
      device.launch({ kernel, arguments: operands.map(argument), global, local });
    }
    const words = new Float64Array(2);
    const read = (from: Pointer, to: Cells) => device.wait(device.read(from, to));
    if (status !== undefined) await read(scratch[status.scratch]!, words);
    const error = status?.error(words);
    if (error !== undefined) throw error;
    await Promise.all(results.map((cells, i) => read(outs[i]!, cells)));
    return results.map((cells, i) => dense(outputs[i]!.rows, outputs[i]!.cols, cells));
  } finally {
    for (const pointer of pointers) device.free(pointer);
  }
}
