/**
 * The OpenCL driver: any vendor's devices through the system's loader, PoCL's on the processor
 * among them. Invariant: a machine without the loader or without devices is no error, it is an
 * answer for `doctor`.
 */
import { ConfigError } from '../../../driver/errors.js';
import type { Device, DeviceDriver, DeviceProperties, FoundDriver } from '../driver.js';
import { type KernelBinaries, kernelBinaries } from '../kernel-binaries.js';
import { bindOpenCl, type OpenCl } from './bindings.js';
import { ClContext } from './context.js';
import { OpenClDevice } from './device.js';
import { type FoundDevice, foundDevices } from './info.js';

export interface OpenClOptions {
  /** The library to load. Default: the system's loader. */
  readonly path?: string;
  /** Where compiled kernels are kept; false: nowhere. Default: below `REPRISE_HOME`. */
  readonly binaries?: string | false;
}

/** Names that loaders have. */
const libraries: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  darwin: ['/System/Library/Frameworks/OpenCL.framework/OpenCL'],
  win32: ['OpenCL.dll'],
};
const elsewhere = ['libOpenCL.so.1', 'libOpenCL.so'];

export function findOpenCl(options: OpenClOptions = {}): FoundDriver {
  const paths = options.path ? [options.path] : (libraries[process.platform] ?? elsewhere);
  const reasons: string[] = [];
  for (const path of paths) {
    try {
      const cl = bindOpenCl(path);
      const found = foundDevices(cl);
      if (found.length > 0) return { driver: new OpenClDriver(cl, found, options) };
      reasons.push(`${path}: it finds no device; install the vendor's OpenCL driver, or PoCL`);
    } catch (error) {
      reasons.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { missing: reasons.join('; ') };
}

class OpenClDriver implements DeviceDriver {
  readonly kind = 'opencl';
  readonly #cl: OpenCl;
  readonly #found: readonly FoundDevice[];
  readonly #binaries: KernelBinaries | undefined;
  /** The last by devices. */
  readonly #contexts = new Map<string, ClContext>();

  constructor(cl: OpenCl, found: readonly FoundDevice[], { binaries }: OpenClOptions) {
    this.#cl = cl;
    this.#found = found;
    this.#binaries = kernelBinaries(binaries);
  }

  devices(): readonly DeviceProperties[] {
    return this.#found.map(({ properties }) => properties);
  }

  open(index: number, beside: readonly number[] = []): Device {
    const found = this.#found[index];
    if (found !== undefined) {
      const numbers = [...new Set([index, ...beside])].sort((a, b) => a - b);
      const together = numbers.flatMap((number) => this.#found[number] ?? []);
      const context = this.#contextOf(together.filter((one) => areAlike(one, found)));
      return new OpenClDevice(this.#cl, found, context, this.#binaries);
    }
    throw new ConfigError(
      `opencl: expected the number of a device below ${this.#found.length}, got ${index}; \`reprise doctor\` lists them`,
      { key: 'devices', value: index },
    );
  }

  /** The one that is open, so that its devices reach each other's memory, or a new one. */
  #contextOf(devices: readonly FoundDevice[]): ClContext {
    const key = devices.map(({ native }) => native).join();
    const known = this.#contexts.get(key);
    if (known?.isInUse === true && !known.isSpoilt) return known;
    const context = new ClContext(this.#cl, devices);
    this.#contexts.set(key, context);
    return context;
  }
}

/** Devices of two kinds may wait for each other for ever: PoCL's `basic` for events of `pthread`. */
function areAlike(a: FoundDevice, b: FoundDevice): boolean {
  return a.platform === b.platform && a.properties.name === b.properties.name;
}
