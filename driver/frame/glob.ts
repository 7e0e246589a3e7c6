/**
 * File globs: `*` and `?` within a path segment, `**` over any number of segments, `[abc]`, `[!a-z]` and `{a,b}`.
 * Hidden files and folders match only a pattern segment that itself begins with a dot. (Node 20 has no `fs.glob`.)
 */
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { isAbsolute, join, sep } from 'node:path';

/** Whether a path holds glob characters. */
export function isGlob(path: string): boolean {
  return /[*?[{]/.test(path);
}

/** Files that match the pattern, sorted by path; symbolic links are followed, unreadable folders are skipped. */
export async function expandGlob(pattern: string): Promise<string[]> {
  const found = new Set<string>();
  for (const plain of expandBraces(pattern)) {
    const segments = plain.split(/[\\/]+/).filter((segment, i) => segment !== '' || i > 0);
    await walk(
      isAbsolute(plain) ? sep : '',
      isAbsolute(plain) && segments[0] === '' ? segments.slice(1) : segments,
      found,
    );
  }
  return [...found].sort(byText);
}

/** Ascending by UTF-16 code unit: the same order on every machine and in every locale. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function walk(
  folder: string,
  segments: readonly string[],
  found: Set<string>,
): Promise<void> {
  const [segment, ...rest] = segments;
  if (segment === undefined || segment === '') return;
  if (segment === '**') {
    await walk(folder, rest.length > 0 ? rest : ['*'], found);
    for (const entry of await list(folder)) {
      if (entry.isDirectory() && !entry.name.startsWith('.')) {
        await walk(join(folder, entry.name), segments, found);
      }
    }
    return;
  }
  if (!isGlob(segment)) {
    await visit(join(folder, segment), rest, found);
    return;
  }
  const matcher = segmentPattern(segment);
  for (const entry of await list(folder)) {
    if (entry.name.startsWith('.') && !segment.startsWith('.')) continue;
    if (matcher.test(entry.name)) await visit(join(folder, entry.name), rest, found);
  }
}

async function visit(path: string, rest: readonly string[], found: Set<string>): Promise<void> {
  if (rest.length > 0) return walk(path, rest, found);
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isFile()) found.add(path);
}

async function list(folder: string): Promise<Dirent[]> {
  return readdir(folder === '' ? '.' : folder, { withFileTypes: true }).catch(() => []);
}

/** The regular expression of one path segment. */
function segmentPattern(segment: string): RegExp {
  let source = '';
  for (let i = 0; i < segment.length; i++) {
    const char = segment[i]!;
    const close = char === '[' ? segment.indexOf(']', i + 2) : -1;
    if (char === '*') source += '.*';
    else if (char === '?') source += '.';
    else if (close > 0) {
      const body = segment.slice(i + 1, close).replace(/[\\\]^]/g, '\\$&');
      source += body.startsWith('!') ? `[^${body.slice(1)}]` : `[${body}]`;
      i = close;
    } else source += char.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  }
  return new RegExp(`^${source}$`, 'su');
}

/** `a{b,c}d` as `abd`, `acd`; nested braces too. An unclosed brace stands for itself. */
function expandBraces(pattern: string): string[] {
  const open = pattern.indexOf('{');
  if (open < 0) return [pattern];
  let depth = 0;
  let from = open + 1;
  const parts: string[] = [];
  for (let i = open; i < pattern.length; i++) {
    const char = pattern[i];
    if (char === '{') depth++;
    else if (char === '}') depth--;
    if ((char === ',' && depth === 1) || depth === 0) {
      parts.push(pattern.slice(from, i));
      from = i + 1;
    }
    if (depth === 0) {
      const head = pattern.slice(0, open);
      const tail = pattern.slice(i + 1);
      return parts.flatMap((part) => expandBraces(head + part + tail));
    }
  }
  return [pattern];
}
