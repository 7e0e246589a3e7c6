/** Where the package lies, from the sources as well as from `dist`. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InternalError } from '../errors.js';

/** What `package.json` says. */
export interface Manifest {
  readonly name?: string;
  readonly version?: string;
}

let found: { readonly root: string; readonly manifest: Manifest } | undefined;

function locate(): { readonly root: string; readonly manifest: Manifest } {
  let root = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const path = join(root, 'package.json');
    if (existsSync(path)) {
      const manifest = JSON.parse(readFileSync(path, 'utf8')) as Manifest;
      if (manifest.name === 'reprise') return { root, manifest };
    }
    const parent = dirname(root);
    if (parent === root) throw new InternalError('package: expected package.json above, got none');
    root = parent;
  }
}

/** The folder that holds this package's `package.json`. */
export function packageRoot(): string {
  found ??= locate();
  return found.root;
}

/** The version in `package.json`. */
export function packageVersion(): string {
  found ??= locate();
  return found.manifest.version ?? '0.0.0';
}
