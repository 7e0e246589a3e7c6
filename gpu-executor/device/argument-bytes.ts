/** Arguments of kernels as bytes, which OpenCL and CUDA read alike: little-endian, addresses 64 bits. */
import type { KernelArgument, Pointer } from './driver.js';

/** Every argument takes at most as much, addresses included. @units bytes */
export const ARGUMENT_BYTES = 8;

/**
 * Writes an argument at `at`. @param addressOf the device's own address, or handle, of memory
 * @returns what it takes @units bytes
 */
export function writeArgument(
  to: DataView,
  at: number,
  argument: KernelArgument,
  addressOf: (pointer: Pointer) => bigint,
): 4 | 8 {
  if ('int32' in argument) to.setInt32(at, argument.int32, true);
  else if ('float32' in argument) to.setFloat32(at, argument.float32, true);
  else {
    if ('int64' in argument) to.setBigInt64(at, BigInt(argument.int64), true);
    else if ('float64' in argument) to.setFloat64(at, argument.float64, true);
    else to.setBigUint64(at, addressOf(argument), true);
    return 8;
  }
  return 4;
}
