/** Where the package lies and which version it is; works from the sources and from dist. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InternalError } from '../../driver/errors.js';

interface Manifest {
  readonly name?: string;
  readonly version?: string;
}

let found: { readonly root: string; readonly version: string } | undefined;

function locate(): { readonly root: string; readonly version: string } {
  if (found) return found;
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const manifest = readManifest(join(folder, 'package.json'));
    if (manifest?.name === 'reprise') {
      found = { root: folder, version: manifest.version ?? '0.0.0' };
      return found;
    }
    const parent = dirname(folder);
    if (parent === folder)
      throw new InternalError('package: expected package.json above, got none');
    folder = parent;
  }
}

function readManifest(path: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Manifest;
  } catch {
    return undefined;
  }
}

/** The folder that holds this package's `package.json`. */
export const packageRoot = (): string => locate().root;

/** The version in `package.json`. */
export const packageVersion = (): string => locate().version;
