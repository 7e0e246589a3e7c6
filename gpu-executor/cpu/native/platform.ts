/**
 * Which OpenBLAS build this machine needs and where it lies once set up. Invariant: the folder's
 * name carries the version, so a new one is installed beside the old one and a running process
 * never sees its library change.
 */
import { join } from 'node:path';
import { env } from '../../../driver/support/env.js';

/** Version of `org.bytedeco:openblas`. */
export const openBlasVersion = '0.3.31-1.5.13';

/** Maven classifier of the build for this machine; undefined when there is none. */
export function openBlasPlatform(): string | undefined {
  const arch = { x64: 'x86_64', arm64: 'arm64' }[process.arch as string];
  const system = { linux: 'linux', darwin: 'macosx', win32: 'windows' }[process.platform as string];
  if (arch === undefined || system === undefined) return undefined;
  if (system === 'windows' && arch === 'arm64') return undefined;
  return `${system}-${arch}`;
}

/** File name of the main library in the downloaded folder. */
export function openBlasFile(): string {
  if (process.platform === 'win32') return 'libopenblas.dll';
  return process.platform === 'darwin' ? 'libopenblas.0.dylib' : 'libopenblas.so.0';
}

/** Where `installOpenBlas` puts native libraries, and `libblas.so.3` for Spark's loader. */
export function openBlasFolder(): string {
  return join(env.home(), 'native', `openblas-${openBlasVersion}`);
}
