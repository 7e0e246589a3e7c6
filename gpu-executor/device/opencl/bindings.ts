/**
 * Binds the functions of OpenCL 1.2 that the driver uses, once a library. Handles are addresses.
 * Native types never leave this folder.
 */
import type { NativeFunction } from '../../koffi.js';
import { loadKoffi } from '../../koffi.js';

/** A native object or memory; null for none. */
export type Address = bigint | null;
type Status = number;

export interface OpenCl {
  readonly getPlatformIDs: (count: number, ids: Out, found: Out) => Status;
  readonly getDeviceIDs: (
    platform: bigint,
    kind: bigint,
    count: number,
    ids: Out,
    found: Out,
  ) => Status;
  readonly getDeviceInfo: Info<bigint>;
  readonly createContext: (
    ...args: [properties: null, count: number, devices: Out, ...notify: [null, null], status: Out]
  ) => Address;
  readonly releaseContext: Release;
  readonly createCommandQueue: (
    context: bigint,
    device: bigint,
    properties: bigint,
    status: Out,
  ) => Address;
  readonly releaseCommandQueue: Release;
  readonly createBuffer: (
    context: bigint,
    flags: bigint,
    bytes: number,
    host: null,
    status: Out,
  ) => Address;
  readonly releaseMemObject: Release;
  readonly createProgramWithSource: (
    ...args: [context: bigint, count: number, texts: Out, lengths: Out, status: Out]
  ) => Address;
  readonly createProgramWithBinary: (
    ...args: [
      ...[context: bigint, count: number, devices: Out, lengths: Out, binaries: Out],
      ...[statuses: Out, status: Out],
    ]
  ) => Address;
  readonly buildProgram: NativeFunction<
    [program: bigint, count: number, devices: Out, options: string, null, null],
    Status
  >;
  readonly getProgramInfo: Info<bigint>;
  readonly getProgramBuildInfo: (
    ...args: [program: bigint, device: bigint, what: number, bytes: number, value: Out, size: Out]
  ) => Status;
  readonly releaseProgram: Release;
  readonly createKernel: (program: bigint, name: string, status: Out) => Address;
  readonly getKernelInfo: Info<bigint>;
  readonly releaseKernel: Release;
  readonly setKernelArg: (kernel: bigint, index: number, bytes: number, value: Out) => Status;
  readonly enqueueNDRangeKernel: (
    ...args: [
      ...[queue: bigint, kernel: bigint, dimensions: number, offset: null],
      ...[global: Out, local: Out, ...Waits],
    ]
  ) => Status;
  readonly enqueueWriteBuffer: Transfer;
  readonly enqueueReadBuffer: Transfer;
  readonly enqueueCopyBuffer: (
    ...args: [
      ...[queue: bigint, from: bigint, to: bigint, fromOffset: number, toOffset: number],
      ...[bytes: number, ...Waits],
    ]
  ) => Status;
  readonly enqueueMarkerWithWaitList: (queue: bigint, ...waits: Waits) => Status;
  readonly flush: (queue: bigint) => Status;
  readonly finish: (queue: bigint) => Status;
  readonly waitForEvents: NativeFunction<[count: number, events: Out], Status>;
  readonly getEventInfo: Info<bigint>;
  readonly releaseEvent: Release;
  /** Where an array's cells lie; asking for its buffer keeps small ones from moving. */
  readonly addressOf: (cells: ArrayBufferView) => bigint;
}

/** Memory that the call reads or writes while it runs. */
type Out = ArrayBufferView | null;
type Release = (object: bigint) => Status;
type Info<T> = (object: T, what: number, bytes: number, value: Out, size: Out) => Status;
type Waits = [count: number, events: Out, event: Out];
type Transfer = (
  ...args: [
    ...[queue: bigint, memory: bigint, blocking: number, offset: number, bytes: number],
    ...[host: bigint, ...Waits],
  ]
) => Status;

export const clInfo = {
  deviceType: 0x1000,
  deviceName: 0x102b,
  deviceVendor: 0x102c,
  driverVersion: 0x102d,
  deviceVersion: 0x102f,
  maxComputeUnits: 0x1002,
  maxWorkGroupSize: 0x1004,
  maxAllocationBytes: 0x1010,
  globalMemoryBytes: 0x101f,
  localMemoryBytes: 0x1023,
  singleConfig: 0x101b,
  doubleConfig: 0x1032,
  hostUnifiedMemory: 0x1035,
  available: 0x1027,
  programBinarySizes: 0x1165,
  programBinaries: 0x1166,
  programBuildLog: 0x1183,
  kernelArguments: 0x1191,
  eventStatus: 0x11d3,
} as const;

export const ANY_DEVICE = 0xffffffffn;
export const READ_WRITE = 1n;
/** Of an event: complete; larger: not yet; less: failed. */
export const COMPLETE = 0;

const handle = 'void *';
const waits = ['uint32', handle, handle];
const transfer = [handle, handle, 'uint32', 'size_t', 'size_t', handle, ...waits];
const info = [handle, 'uint32', 'size_t', handle, handle];

/** @throws whatever the loader says of a library that is not there or lacks a function */
export function bindOpenCl(path: string): OpenCl {
  const koffi = loadKoffi();
  const library = koffi.load(path);
  const bound = <F>(name: string, result: string, args: readonly string[]): F =>
    library.func(`cl${name}`, result, [...args]) as F;
  const call = <F>(name: string, ...args: string[]): F => bound(name, 'int', args);
  const make = <F>(name: string, ...args: string[]): F => bound(name, handle, args);
  return {
    getPlatformIDs: call('GetPlatformIDs', 'uint32', handle, handle),
    getDeviceIDs: call('GetDeviceIDs', handle, 'uint64', 'uint32', handle, handle),
    getDeviceInfo: call('GetDeviceInfo', ...info),
    createContext: make('CreateContext', handle, 'uint32', handle, handle, handle, handle),
    releaseContext: call('ReleaseContext', handle),
    createCommandQueue: make('CreateCommandQueue', handle, handle, 'uint64', handle),
    releaseCommandQueue: call('ReleaseCommandQueue', handle),
    createBuffer: make('CreateBuffer', handle, 'uint64', 'size_t', handle, handle),
    releaseMemObject: call('ReleaseMemObject', handle),
    createProgramWithSource: make(
      ...['CreateProgramWithSource', handle, 'uint32', handle, handle, handle],
    ),
    createProgramWithBinary: make(
      ...['CreateProgramWithBinary', handle, 'uint32', handle, handle, handle, handle, handle],
    ),
    buildProgram: call('BuildProgram', handle, 'uint32', handle, 'const char *', handle, handle),
    getProgramInfo: call('GetProgramInfo', ...info),
    getProgramBuildInfo: call(
      ...['GetProgramBuildInfo', handle, handle, 'uint32', 'size_t', handle, handle],
    ),
    releaseProgram: call('ReleaseProgram', handle),
    createKernel: make('CreateKernel', handle, 'const char *', handle),
    getKernelInfo: call('GetKernelInfo', ...info),
    releaseKernel: call('ReleaseKernel', handle),
    setKernelArg: call('SetKernelArg', handle, 'uint32', 'size_t', handle),
    enqueueNDRangeKernel: call(
      ...['EnqueueNDRangeKernel', handle, handle, 'uint32', handle, handle, handle, ...waits],
    ),
    enqueueWriteBuffer: call('EnqueueWriteBuffer', ...transfer),
    enqueueReadBuffer: call('EnqueueReadBuffer', ...transfer),
    enqueueCopyBuffer: call(
      ...['EnqueueCopyBuffer', handle, handle, handle, 'size_t', 'size_t', 'size_t', ...waits],
    ),
    enqueueMarkerWithWaitList: call('EnqueueMarkerWithWaitList', handle, ...waits),
    flush: call('Flush', handle),
    finish: call('Finish', handle),
    waitForEvents: call('WaitForEvents', 'uint32', handle),
    getEventInfo: call('GetEventInfo', ...info),
    releaseEvent: call('ReleaseEvent', handle),
    addressOf: (cells) => BigInt(koffi.address(cells.buffer)) + BigInt(cells.byteOffset),
  };
}
