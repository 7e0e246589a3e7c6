/**
 * OpenCL's status codes as errors, here and nowhere else. Invariant: a device that may have lost
 * its memory is lost, never merely failed; no native handle stands in a message.
 */
import { BackendLostError, ExecutionError, ResourceError } from '../../../driver/errors.js';

const names: Readonly<Record<number, string>> = {
  [-1]: 'CL_DEVICE_NOT_FOUND',
  [-2]: 'CL_DEVICE_NOT_AVAILABLE',
  [-3]: 'CL_COMPILER_NOT_AVAILABLE',
  [-4]: 'CL_MEM_OBJECT_ALLOCATION_FAILURE',
  [-5]: 'CL_OUT_OF_RESOURCES',
  [-6]: 'CL_OUT_OF_HOST_MEMORY',
  [-9]: 'CL_IMAGE_FORMAT_NOT_SUPPORTED',
  [-11]: 'CL_BUILD_PROGRAM_FAILURE',
  [-14]: 'CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST',
  [-30]: 'CL_INVALID_VALUE',
  [-33]: 'CL_INVALID_DEVICE',
  [-34]: 'CL_INVALID_CONTEXT',
  [-36]: 'CL_INVALID_COMMAND_QUEUE',
  [-38]: 'CL_INVALID_MEM_OBJECT',
  [-42]: 'CL_INVALID_BINARY',
  [-43]: 'CL_INVALID_BUILD_OPTIONS',
  [-44]: 'CL_INVALID_PROGRAM',
  [-45]: 'CL_INVALID_PROGRAM_EXECUTABLE',
  [-46]: 'CL_INVALID_KERNEL_NAME',
  [-48]: 'CL_INVALID_KERNEL',
  [-49]: 'CL_INVALID_ARG_INDEX',
  [-50]: 'CL_INVALID_ARG_VALUE',
  [-51]: 'CL_INVALID_ARG_SIZE',
  [-52]: 'CL_INVALID_KERNEL_ARGS',
  [-53]: 'CL_INVALID_WORK_DIMENSION',
  [-54]: 'CL_INVALID_WORK_GROUP_SIZE',
  [-55]: 'CL_INVALID_WORK_ITEM_SIZE',
  [-58]: 'CL_INVALID_EVENT',
  [-61]: 'CL_INVALID_BUFFER_SIZE',
  [-63]: 'CL_INVALID_GLOBAL_WORK_SIZE',
  [-1001]: 'CL_PLATFORM_NOT_FOUND_KHR',
};

/** No memory, whatever was asked for; `CL_OUT_OF_RESOURCES` of work that was not queued yet too. */
const NO_MEMORY = new Set([-4, -6, -61]);
const OUT_OF_RESOURCES = -5;
/** The device, its context or its queue is gone. */
const GONE = new Set([-2, -34, -36]);

export function statusName(status: number): string {
  return names[status] ?? `OpenCL status ${status}`;
}

export interface ClCall {
  /** What was tried, as messages begin: `opencl device 0: allocate`. */
  readonly what: string;
  readonly backend: string;
  /** What it needed of the device. @units bytes */
  readonly bytes: number;
  readonly availableBytes: number;
}

/** Of a call that queued nothing. */
export function callError(status: number, attempt: ClCall): Error {
  const { what, backend, bytes, availableBytes } = attempt;
  const name = statusName(status);
  if (GONE.has(status)) return lostError(what, backend, name);
  if (NO_MEMORY.has(status) || status === OUT_OF_RESOURCES) {
    return new ResourceError(
      `${what}: expected ${bytes} bytes of the device's memory, got ${name}; use smaller data or another device`,
      { resource: `${backend} memory`, requestedBytes: bytes, availableBytes },
    );
  }
  return new ExecutionError(`${what}: expected success, got ${name}`, { backend, status });
}

/** Of work that began and failed: what the device holds can't be trusted any more. */
export function lostError(what: string, backend: string, got: string): BackendLostError {
  return new BackendLostError(
    `${what}: expected the device to go on, got ${got}; open it again or run without it`,
    { backend },
  );
}
