/**
 * Loads a CommonJS package as `require` does. `import` would first look through the text of all its
 * files for the names they export, which takes longer than running them: 0.34 s instead of 0.13 s
 * for DuckDB's. The bundle of the command line has some packages in it (`bundle.mjs`).
 */
import { createRequire } from 'node:module';
import { bundledPackages } from './bundled-packages.js';

const require = createRequire(import.meta.url);

/** @throws what the package, or the look for it, throws */
export function loadPackage(name: string): unknown {
  return bundledPackages.get(name)?.() ?? require(name);
}
