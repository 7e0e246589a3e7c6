/**
 * The CUDA driver: finds libcuda and NVRTC, and says what devices there are. Invariant: a machine
 * without an NVIDIA GPU, its driver or a compiler costs a sentence for doctor and nothing else.
 *
 * Never run on hardware so far: checked against cuda.h, by NVRTC's compiler, and on an emulation of
 * libcuda (`test/support/cuda`).
 */
import { ConfigError } from '../../../driver/errors.js';
import type { Device, DeviceDriver, DeviceProperties, FoundDriver } from '../driver.js';
import { kernelBinaries } from '../kernel-binaries.js';
import { attributes, findCudaApi } from './bindings.js';
import { CudaDevice, type CudaParts } from './cuda-device.js';
import { findNvrtc } from './nvrtc.js';

export interface CudaOptions {
  /** Looked in first for CUDA's libraries; `none`: no CUDA. Default: REPRISE_CUDA. */
  readonly folder?: string;
  /** Where compiled kernels are kept; false: nowhere. Default: below `REPRISE_HOME`. */
  readonly binaries?: string | false;
}

export function findCuda({ folder, binaries }: CudaOptions = {}): FoundDriver {
  const api = findCudaApi(folder);
  if ('missing' in api) return { missing: `no CUDA driver: ${api.missing}` };
  try {
    api.call.cuInit(0);
  } catch (error) {
    return { missing: `${api.path}: ${error instanceof Error ? error.message : String(error)}` };
  }
  const nvrtc = findNvrtc(folder);
  if ('missing' in nvrtc) {
    return {
      missing: `${api.path} has no compiler beside it (${nvrtc.missing}); install the CUDA toolkit or Python's nvidia-cuda-nvrtc, or name its folder by REPRISE_CUDA`,
    };
  }
  return { driver: new CudaDriver({ api, nvrtc, binaries: kernelBinaries(binaries), folder }) };
}

class CudaDriver implements DeviceDriver {
  readonly kind = 'cuda';
  readonly #parts: Omit<CudaParts, 'architecture' | 'ordinal'>;

  constructor(parts: Omit<CudaParts, 'architecture' | 'ordinal'>) {
    this.#parts = parts;
  }

  devices(): readonly DeviceProperties[] {
    const count = this.#int((into) => this.#parts.api.call.cuDeviceGetCount(into));
    return Array.from({ length: count }, (_, index) => this.#describe(index));
  }

  open(index: number): Device {
    const properties = this.devices()[index];
    if (properties === undefined) {
      throw new ConfigError(
        `devices: expected one of the ${this.devices().length} CUDA devices, got cuda:${index}`,
        { key: 'devices', value: `cuda:${index}` },
      );
    }
    const ordinal = this.#ordinal(index);
    const architecture = this.#architecture(ordinal);
    return new CudaDevice(properties, { ...this.#parts, architecture, ordinal });
  }

  #describe(index: number): DeviceProperties {
    const { call } = this.#parts.api;
    const ordinal = this.#ordinal(index);
    const name = new Uint8Array(256);
    call.cuDeviceGetName(name, name.byteLength, ordinal);
    const memory = new BigUint64Array(1);
    call.cuDeviceTotalMem_v2(memory, ordinal);
    const memoryBytes = Number(memory[0]);
    const version = this.#int((into) => call.cuDriverGetVersion(into));
    return {
      driver: 'cuda',
      index,
      name: Buffer.from(name).toString('utf8').replace(/\0.*$/s, ''),
      vendor: 'NVIDIA',
      version: `CUDA ${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}, NVRTC ${this.#parts.nvrtc.version}, sm_${this.#architecture(ordinal)}`,
      memoryBytes,
      largestAllocationBytes: memoryBytes,
      localBytes: this.#attribute(attributes.sharedBytesOfBlock, ordinal),
      computeUnits: this.#attribute(attributes.multiprocessors, ordinal),
      largestWorkGroup: this.#attribute(attributes.threadsOfBlock, ordinal),
      hasFloat64: true,
      isProcessor: false,
      sharesHostMemory: this.#attribute(attributes.isIntegrated, ordinal) !== 0,
      // Known of an open device.
      hasSolver: false,
    };
  }

  #architecture(ordinal: number): number {
    const major = this.#attribute(attributes.capabilityMajor, ordinal);
    return 10 * major + this.#attribute(attributes.capabilityMinor, ordinal);
  }

  #attribute(attribute: number, ordinal: number): number {
    return this.#int((into) => this.#parts.api.call.cuDeviceGetAttribute(into, attribute, ordinal));
  }

  #ordinal(index: number): number {
    return this.#int((into) => this.#parts.api.call.cuDeviceGet(into, index));
  }

  #int(ask: (into: Int32Array) => void): number {
    const into = new Int32Array(1);
    ask(into);
    return into[0]!;
  }
}
