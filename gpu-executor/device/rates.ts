/**
 * How quick a device is, measured once when it is opened, in some hundredths of a second: copies
 * both ways, memory, one exchange. What placement learns later corrects it (`cost-model.ts`).
 */
import type { BackendCosts, CostEstimate } from '../../driver/backend/backend.js';
import { CsrMatrix } from '../../driver/ir/csr.js';
import { denseBytes, type Expr } from '../../driver/ir/expr.js';
import type { Device } from './driver.js';

export interface DeviceRates {
  readonly uploadBytesPerSecond: number;
  readonly downloadBytesPerSecond: number;
  /** Its memory, read and written. */
  readonly memoryBytesPerSecond: number;
  /** From a queued command to the host's knowing that it ended. */
  readonly exchangeSeconds: number;
}

/** Large enough that a GPU's start of a copy is no part of it. */
const PROBE_BYTES = 16 * 1024 * 1024;
/** Of which the quickest counts: the others met other work. */
const EXCHANGES = 8;
/** Sums and products a byte of its memory's rate, at least: GPUs have more, processors not much. */
const FLOPS_A_BYTE = 2;
/** To start a kernel behind another. @units seconds */
export const LAUNCH_SECONDS = 5e-6;

/** Uses a few pieces of the device's memory and gives them back. @throws as the device */
export async function measureRates(device: Device): Promise<DeviceRates> {
  const bytes = Math.min(PROBE_BYTES, Math.floor(device.properties.largestAllocationBytes / 4));
  const host = new Uint8Array(bytes);
  const pointers = [device.allocate(bytes), device.allocate(bytes)] as const;
  const rate = async (move: () => ReturnType<Device['write']>): Promise<number> => {
    // The first touches memory that the system has yet to give.
    await device.wait(move());
    const start = performance.now();
    await device.wait(move());
    return bytes / Math.max(1e-9, (performance.now() - start) / 1000);
  };
  try {
    const [from, to] = pointers;
    const uploadBytesPerSecond = await rate(() => device.write(from, host));
    const downloadBytesPerSecond = await rate(() => device.read(from, host));
    const copied = await rate(() => device.copy(from, to, bytes));
    const word = new Float64Array(1);
    let exchangeSeconds = Infinity;
    for (let i = 0; i < EXCHANGES; i++) {
      const start = performance.now();
      await device.wait(device.read(from, word));
      exchangeSeconds = Math.min(exchangeSeconds, (performance.now() - start) / 1000);
    }
    return {
      ...{ uploadBytesPerSecond, downloadBytesPerSecond, exchangeSeconds },
      memoryBytesPerSecond: 2 * copied,
    };
  } finally {
    for (const pointer of pointers) device.free(pointer);
  }
}

/** One node alone, its operands on the device. */
export function estimateOf(expr: Expr, rates: DeviceRates): CostEstimate {
  const { memoryBytesPerSecond } = rates;
  const flops = expr.op.flops(expr.inputs, expr.attrs, expr);
  let bytes = denseBytes(expr);
  for (const input of expr.inputs) {
    const { payload } = input;
    bytes += payload instanceof CsrMatrix ? payload.bytes : denseBytes(input);
  }
  const work = flops / (memoryBytesPerSecond * FLOPS_A_BYTE);
  return { seconds: LAUNCH_SECONDS + Math.max(work, bytes / memoryBytesPerSecond) };
}

export function costsOf(rates: DeviceRates, memoryBytes: number): BackendCosts {
  const { exchangeSeconds, uploadBytesPerSecond, downloadBytesPerSecond } = rates;
  return { exchangeSeconds, uploadBytesPerSecond, downloadBytesPerSecond, memoryBytes };
}
