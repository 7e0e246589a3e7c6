/**
 * `include:` of a document: other files that it builds upon. What is said later wins: the file over
 * what it includes, a file included later over one before. Maps are merged key by key, anything
 * else, lists among it, is replaced whole. Invariants: a file includes nothing that includes it; a
 * place in the merged document is known by the file, line and folder that said it.
 */
import { realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import { isMap } from './plain-data.js';
import { readPlainText } from './read-text.js';
import { type KeyPath, type Position, parseYaml, type YamlSource } from './yaml-source.js';

/** One file of a document. */
export interface Layer {
  readonly source: YamlSource;
  /** Its folder, absolute: what its relative paths start at. */
  readonly folder: string;
}

/** A document of one or several files. */
export interface Layered {
  readonly value: Readonly<Record<string, unknown>>;
  /** Where the value (or with `key`, the key) at a path is; of the nearest parent if absent. */
  position(path: KeyPath, at?: 'key' | 'value'): Position & { readonly file: string };
  /** The folder of the file that says what is at a path. */
  folderOf(path: KeyPath): string;
}

const MAX_DEPTH = 10;
const MAX_FILES = 100;

/**
 * A file, parsed already, with what it includes.
 * @param ground what holds where none of them says anything, weakest first, by the document's kind
 * @throws ConfigError naming the wrong place
 */
export function withIncludes(
  source: YamlSource,
  cwd: string,
  ground: (kind: unknown) => readonly Layer[] = () => [],
): Layered {
  const path = resolve(cwd, source.file);
  const own: Layer[] = [];
  addLayers({ source, folder: dirname(path) }, [realPath(path)], own);
  const { kind } = own.map(ownKeys).reduce(merged, {}) as { readonly kind?: unknown };
  const layers = [...ground(kind), ...own];
  const value = layers.map(ownKeys).reduce(merged, {});
  const at = (path: KeyPath): Layer => saidBy(layers, path);
  return {
    value,
    position: (path, where) => {
      const { source } = at(path);
      return { file: source.file, ...source.position(path, where) };
    },
    folderOf: (path) => at(path).folder,
  };
}

/** Adds a file after all that it includes. `above`: the real paths of the files that led to it. */
function addLayers(layer: Layer, above: readonly string[], layers: Layer[]): void {
  for (const [given, place] of includesOf(layer.source)) {
    const fail = failAt(layer.source, place);
    const path = resolve(layer.folder, given);
    const file = isAbsolute(given) ? given : join(dirname(layer.source.file), given);
    const real = realPath(path);
    if (above.includes(real)) throw fail(`a file that does not include this one, got ${given}`);
    if (above.length >= MAX_DEPTH)
      throw fail(`at most ${MAX_DEPTH} files one in another, got more`);
    if (layers.length >= MAX_FILES) throw fail(`at most ${MAX_FILES} included files, got more`);
    const source = parseYaml(
      file,
      readPlainText(path, (got) => fail(`a YAML file, got ${got}`)),
    );
    requireMapping(source);
    addLayers({ source, folder: dirname(path) }, [...above, real], layers);
  }
  layers.push(layer);
}

/** @throws ConfigError for a document that is no mapping */
export function requireMapping({ file, value }: YamlSource): void {
  if (isMap(value)) return;
  throw new ConfigError(`${file}:1:1: expected a mapping with the keys of a job, got none`, {
    source: 'file',
    file,
  });
}

/** The paths that a file includes, with their places. */
function includesOf(source: YamlSource): (readonly [string, KeyPath])[] {
  const { include } = source.value as { readonly include?: unknown };
  if (include === undefined) return [];
  const listed = Array.isArray(include);
  return (listed ? include : [include]).map((given: unknown, i) => {
    const place = listed ? ['include', i] : ['include'];
    if (typeof given !== 'string' || given === '' || given.includes('{{')) {
      throw failAt(source, place)(`a path without templates, got ${JSON.stringify(given)}`);
    }
    return [given, place] as const;
  });
}

function failAt(source: YamlSource, place: KeyPath): (expected: string) => ConfigError {
  const { line, column } = source.position(place);
  return (expected) =>
    new ConfigError(`${source.file}:${line}:${column}: include: expected ${expected}`, {
      source: 'file',
      file: source.file,
      key: 'include',
    });
}

/** A path by which one file is known; of one that is not there, the path itself. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function ownKeys({ source }: Layer): Map {
  const { include: _, ...keys } = source.value as Map;
  return keys;
}

type Map = Record<string, unknown>;

function merged(below: Map, above: Map): Map {
  const result = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const under = below[key];
    result[key] = isMap(under) && isMap(value) ? merged(under, value) : value;
  }
  return result;
}

/** The topmost of the files that know most of a path. */
function saidBy(layers: readonly Layer[], path: KeyPath): Layer {
  let [best, most] = [layers.at(-1)!, -1];
  for (const layer of layers.toReversed()) {
    const depth = depthIn(layer.source.value, path);
    if (depth > most) [best, most] = [layer, depth];
  }
  return best;
}

/** How many parts of a path are there. */
function depthIn(value: unknown, path: KeyPath): number {
  let level = value;
  for (const [depth, part] of path.entries()) {
    if (typeof level !== 'object' || level === null || !Object.hasOwn(level, part)) return depth;
    level = (level as Record<string | number, unknown>)[part];
  }
  return path.length;
}
