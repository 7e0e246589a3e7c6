/** Where a path of data leads that a file or the command line says. */
import { existsSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import { withoutFileScheme } from '../../driver/frame/files.js';

/** A path on the command line is the shell's, or, when nothing is there, the job file's. */
export function resolveDataPath(given: string, folder: string, base: string): string {
  const path = withoutFileScheme(given);
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(path) || isAbsolute(path)) return path;
  const first = resolve(base, path);
  if (base === folder || existsSync(globRoot(first))) return first;
  const second = resolve(folder, path);
  return existsSync(globRoot(second)) ? second : first;
}

/** The part of a glob before its first wildcard. */
function globRoot(path: string): string {
  const wild = path.search(/[*?[{]/);
  return wild < 0 ? path : dirname(`${path.slice(0, wild)}x`);
}
