/**
 * Looks for a BLAS with LAPACK: the one the user names, the one set-up downloaded, the system's.
 * Invariant: the answer says which and why, also when there is none, because `doctor` shows it.
 */
import { existsSync, readdirSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { ConfigError } from '../../../driver/errors.js';
import { env } from '../../../driver/support/env.js';
import { openBlasFile, openBlasFolder } from './platform.js';

export interface BlasCandidate {
  readonly path: string;
  /** Where it was found, for people. */
  readonly origin: 'setting' | 'set-up' | 'system';
  /** A second library with the LAPACK symbols, where BLAS and LAPACK are two files. */
  readonly lapackPath?: string;
}

/** What to load: a list to try in order, or why nothing is tried. */
export type BlasSearch =
  | { readonly kind: 'candidates'; readonly candidates: readonly BlasCandidate[] }
  | { readonly kind: 'none'; readonly reason: string };

const libraryFolders = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/usr/local/lib',
  '/opt/homebrew/opt/openblas/lib',
  '/usr/local/opt/openblas/lib',
];

const openBlasNames = [
  'libopenblas.so.0',
  'libopenblas.so',
  'libopenblas.0.dylib',
  'libopenblas.dylib',
];

/**
 * @param setting `auto`, `none` or a path; defaults to REPRISE_BLAS, then `auto`
 * @throws ConfigError when the setting names a file that is not there
 */
export function findBlas(setting: string = env.blas() ?? 'auto'): BlasSearch {
  if (setting === 'none') {
    return { kind: 'none', reason: 'native BLAS is switched off (REPRISE_BLAS=none)' };
  }
  if (setting !== 'auto') {
    if (isAbsolute(setting) && !existsSync(setting)) {
      throw new ConfigError(
        `blas: expected a library file or \`none\`, got ${setting}, which is not there`,
        { key: 'REPRISE_BLAS', value: setting },
      );
    }
    return { kind: 'candidates', candidates: [{ path: setting, origin: 'setting' }] };
  }
  const candidates: BlasCandidate[] = [];
  const installed = join(openBlasFolder(), openBlasFile());
  if (existsSync(installed)) candidates.push({ path: installed, origin: 'set-up' });
  candidates.push(...systemLibraries());
  if (candidates.length > 0) return { kind: 'candidates', candidates };
  return {
    kind: 'none',
    reason: 'no OpenBLAS in the Reprise home and none in the system; `reprise setup` brings it',
  };
}

function systemLibraries(): BlasCandidate[] {
  if (process.platform === 'darwin') {
    // In the system's shared cache: there is no file to look for.
    const path = '/System/Library/Frameworks/Accelerate.framework/Accelerate';
    return [{ path, origin: 'system' }];
  }
  const found: BlasCandidate[] = [];
  const folders = libraryFolders.flatMap((folder) => [folder, ...openBlasSubfolders(folder)]);
  for (const folder of folders) {
    for (const name of openBlasNames) {
      const path = join(folder, name);
      if (existsSync(path)) found.push({ path, origin: 'system' });
    }
  }
  for (const folder of folders) {
    const path = join(folder, 'libblas.so.3');
    const lapackPath = join(folder, 'liblapack.so.3');
    if (existsSync(path) && existsSync(lapackPath)) {
      found.push({ path, origin: 'system', lapackPath });
    }
  }
  return found;
}

/** Debian keeps OpenBLAS in `openblas-pthread` and the like below the library folder. */
function openBlasSubfolders(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.startsWith('openblas-'))
    .map((name) => join(folder, name));
}
