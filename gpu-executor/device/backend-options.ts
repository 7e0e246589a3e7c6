/** What a device is opened with as a backend. */
import type { Device } from './driver.js';

export interface DeviceBackendOptions {
  /** Opens the device; again after a loss. */
  readonly open: () => Device;
  /** Unique in a session. Default: its driver and number, as `opencl:0`. */
  readonly name?: string;
  /**
   * What it may take of the device's memory. Default: nine tenths, a quarter where that is the
   * memory of the machine. @units bytes
   */
  readonly memoryBytes?: number;
  /** Assumed cost of compiling a fused kernel; 0: steps are always fused. @units seconds */
  readonly compileSeconds?: number;
  /**
   * For tests and measuring: all that can be goes through the device in blocks of so many rows.
   * Default: what does not fit into its memory, in blocks that do.
   */
  readonly rowsPerBlock?: number;
  /**
   * Whether values of other devices of its driver come straight from there. Default: where that
   * takes less time than by the host, as is measured.
   */
  readonly copiesAcross?: boolean;
  /** Told why a plan waits: kernels are compiled that this machine did not have yet. */
  readonly onSetup?: (what: string) => void;
  /** Told of a kernel that the device refuses, which the processor does without. */
  readonly onWarning?: (message: string) => void;
}
