/**
 * Reads YAML text into plain data and remembers where each key stands. Invariant: what comes out is
 * a tree of plain objects, lists and scalars of bounded size and depth, with no key that could
 * touch an object's prototype.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
} from 'yaml';
import { ConfigError } from '../../driver/errors.js';

/** @units bytes */
export const MAX_FILE_BYTES = 1 << 20;
const MAX_DEPTH = 20;
const MAX_ALIASES = 100;
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/** To YAML an unquoted `{{` begins two maps. */
const QUOTES = 'a value with a template stands in quotes: "{{ name }}"';

export type KeyPath = readonly (string | number)[];

/** Whether a place is that of a path or below it; positions may be texts. */
export function isPrefix(path: KeyPath, place: KeyPath): boolean {
  return path.length <= place.length && path.every((part, i) => String(part) === String(place[i]));
}

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Parsed YAML with its positions. */
export interface YamlSource {
  readonly file: string;
  readonly value: unknown;
  /** Where the value (or with `key`, the key) at a path is; of the nearest parent if absent. */
  position(path: KeyPath, at?: 'key' | 'value'): Position;
}

/**
 * Parses one YAML document.
 * @throws ConfigError listing every syntax error with its line and column
 */
export function parseYaml(file: string, text: string): YamlSource {
  const counter = new LineCounter();
  const document = parseSafely(file, text, counter);
  if (document.errors.some(({ message }) => /call stack/.test(message))) {
    throw tooDeep(file, 'a file too deep to parse');
  }
  if (document.errors.length > 0) {
    const lines = document.errors.map((error) => {
      const at = counter.linePos(error.pos[0]);
      const reason = error.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '');
      const line = text.split('\n')[at.line - 1] ?? '';
      const remedy = line.includes('{{') ? `; ${QUOTES}` : '';
      return `${file}:${at.line}:${at.col}: expected YAML, got a syntax error: ${reason}${remedy}`;
    });
    throw new ConfigError(lines.join('\n'), { key: '', source: 'file', file });
  }
  checkTree(file, text, document.contents as Node | null, counter);
  return {
    file,
    value: toPlain(file, document),
    position: (path, at = 'value') => {
      const offset = offsetOf(document.contents as Node | null, path, at);
      const { line, col } = counter.linePos(offset);
      return { line, column: col };
    },
  };
}

/** Parses a value given on the command line: a scalar or a flow collection. @throws ConfigError */
export function parseYamlValue(where: string, text: string): unknown {
  try {
    return parseYaml(where, text).value;
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    const reason = cause.message.split('\n')[0]?.replace(/^.*?syntax error: /, '');
    throw new ConfigError(
      `${where}: expected a YAML value such as 5, text or [1, 10], got ${JSON.stringify(text)}: ${reason}`,
      { source: 'command line', value: text },
      { cause },
    );
  }
}

/** Nesting no job file has; refused before parsing, which takes quadratic time over it. */
const ABSURD_NESTING = /(?:[[{]\s*){200}|(?:[-?] +){200}/;

function parseSafely(file: string, text: string, counter: LineCounter): Document.Parsed {
  if (ABSURD_NESTING.test(text)) throw tooDeep(file, 'more than 200');
  try {
    return parseDocument(text, { lineCounter: counter, prettyErrors: false, uniqueKeys: true });
  } catch (cause) {
    // The parser recurses: nesting of many thousands of levels ends its stack.
    throw tooDeep(file, 'a file too deep to parse', cause);
  }
}

function tooDeep(file: string, got: string, cause?: unknown): ConfigError {
  const message = `${file}: expected at most ${MAX_DEPTH} levels of nesting, got ${got}`;
  return new ConfigError(message, { source: 'file', file }, { cause });
}

function toPlain(file: string, document: Document.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (cause) {
    throw new ConfigError(
      `${file}: expected at most ${MAX_ALIASES} values from aliases, got more; write the values out`,
      { source: 'file', file },
      { cause },
    );
  }
}

/** Refuses depth, tags and keys that plain data have no use for, with their place. */
function checkTree(file: string, text: string, root: Node | null, counter: LineCounter): void {
  const fail = (node: Node | null, expected: string): never => {
    const at = counter.linePos(node?.range?.[0] ?? 0);
    throw new ConfigError(`${file}:${at.line}:${at.col}: ${expected}`, { source: 'file', file });
  };
  const hint = ({ range }: Node): string => {
    const at = range?.[0] ?? 0;
    return text.slice(Math.max(0, at - 1), at + 1) === '{{' ? `; ${QUOTES}` : '';
  };
  const visit = (node: Node | null, depth: number): void => {
    if (node === null || isAlias(node)) return;
    if (depth > MAX_DEPTH) fail(node, `expected at most ${MAX_DEPTH} levels of nesting, got more`);
    if (isMap(node)) {
      for (const pair of node.items as Pair<Node, Node | null>[]) {
        const key = pair.key;
        // A key is what was written: `null`, `007` and `true` are names here, of columns among
        // them.
        if (isScalar(key) && typeof key.value !== 'string' && key.source) key.value = key.source;
        if (!isScalar(key) || typeof key.value === 'object')
          fail(key, `expected a plain word as key, got a collection or nothing${hint(key)}`);
        const name = isScalar(key) ? String(key.value) : '';
        if (FORBIDDEN_KEYS.has(name)) fail(key, `expected a key of a job file, got "${name}"`);
        visit(pair.value, depth + 1);
      }
    } else if (isSeq(node)) {
      for (const item of node.items as Node[]) visit(item, depth + 1);
    }
  };
  visit(root, 0);
}

function offsetOf(root: Node | null, path: KeyPath, at: 'key' | 'value'): number {
  let node: Node | null = root;
  let offset = root?.range?.[0] ?? 0;
  for (const [depth, part] of path.entries()) {
    const isLast = depth === path.length - 1;
    if (isMap(node)) {
      const pair = (node.items as Pair<Node, Node | null>[]).find(
        (item) => isScalar(item.key) && String(item.key.value) === String(part),
      );
      if (!pair) break;
      const from: Node | null = isLast && at === 'key' ? pair.key : (pair.value ?? pair.key);
      offset = from.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = node.items[Number(part)] as Node | undefined;
      if (!item) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else break;
  }
  return offset;
}
