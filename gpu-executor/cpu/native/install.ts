/**
 * Brings OpenBLAS from Maven Central (or the user's mirror of it) and puts it in place. Invariant:
 * the folder appears whole, by one rename, or not at all; two set-ups at once both succeed.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ConfigError, ExecutionError } from '../../../driver/errors.js';
import { makeStaging } from '../../../driver/support/leftovers.js';
import { makeHomeFolder } from '../../../driver/support/make-folder.js';
import { runMaven } from '../../../driver/support/maven.js';
import { packageRoot } from '../../../driver/support/package-root.js';
import { openBlasFile, openBlasFolder, openBlasPlatform, openBlasVersion } from './platform.js';

export interface InstallOptions {
  /** Called with a line for people as the installation advances. */
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/** Names under which Spark's BLAS loader and other programs look for the library. */
const aliases = ['libblas.so.3', 'liblapack.so.3'];

/**
 * Installs OpenBLAS unless it is there. Idempotent; about 10 s and 20 MB the first time.
 * @returns the folder with the libraries
 * @throws ConfigError without Maven or a build for this machine, ExecutionError when Maven can't
 *   bring it
 */
export async function installOpenBlas(options: InstallOptions = {}): Promise<string> {
  const folder = openBlasFolder();
  if (existsSync(join(folder, openBlasFile()))) return folder;
  const platform = openBlasPlatform();
  if (platform === undefined) {
    throw new ConfigError(
      `openblas: expected a Linux, macOS or Windows machine with x64 or arm64, got ${process.platform} ${process.arch}; set REPRISE_BLAS to a BLAS of the system`,
      { key: 'REPRISE_BLAS' },
    );
  }
  await makeHomeFolder(dirname(folder));
  const staging = await makeStaging(dirname(folder), '.openblas-');
  try {
    options.onProgress?.(`openblas: bringing org.bytedeco:openblas:${openBlasVersion}:${platform}`);
    await unpack(platform, join(staging, 'unpacked'), options);
    const libraries = await collect(
      join(staging, 'unpacked', 'org', 'bytedeco', 'openblas', platform),
      join(staging, 'ready'),
    );
    options.onProgress?.(`openblas: unpacked ${libraries.join(', ')}`);
    await publish(join(staging, 'ready'), folder);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return folder;
}

function unpack(platform: string, into: string, options: InstallOptions): Promise<void> {
  const pom = join(packageRoot(), 'gpu-executor', 'cpu', 'native', 'pom.xml');
  return runMaven(
    [
      '--quiet',
      '--file',
      pom,
      `-Dopenblas.version=${openBlasVersion}`,
      `-Dopenblas.platform=${platform}`,
      `-Dopenblas.folder=${into}`,
      'dependency:unpack-dependencies',
    ],
    {
      ...(options.onProgress ? { onLine: options.onProgress } : {}),
      ...(options.signal ? { signal: options.signal } : {}),
    },
  );
}

async function collect(from: string, into: string): Promise<string[]> {
  const entries = existsSync(from) ? await readdir(from, { withFileTypes: true }) : [];
  const names = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
  if (!names.includes(openBlasFile())) {
    throw new ExecutionError(
      `openblas: expected ${openBlasFile()} in the downloaded archive, got ${names.join(', ') || 'nothing'}`,
      { op: 'setup', backend: 'cpu' },
    );
  }
  await mkdir(into);
  for (const name of names) await rename(join(from, name), join(into, name));
  if (process.platform === 'linux') {
    for (const alias of aliases) await symlink(openBlasFile(), join(into, alias));
  }
  return names;
}

async function publish(ready: string, folder: string): Promise<void> {
  try {
    await rename(ready, folder);
  } catch (error) {
    // Another set-up was first, or an older one was cut short by a program that knew no atomic
    // rename.
    if (existsSync(join(folder, openBlasFile()))) return;
    await rm(folder, { recursive: true, force: true });
    await rename(ready, folder).catch(() => {
      throw error;
    });
  }
}
