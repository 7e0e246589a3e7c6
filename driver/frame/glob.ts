/**
 * File globs: `*` and `?` within a path segment, `**` over any number of segments, `[abc]`,
 * `[!a-z]` and `{a,b}`. Hidden files and folders match only a pattern segment that itself begins
 * with a dot. Invariant: whatever the pattern, its alternatives and the folders looked into are
 * bounded, no folder is looked into twice for the same rest of it, and a name is matched in at most
 * its length times the segment's (libraries make backtracking regular expressions of it).
 */
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { isAbsolute, join, sep } from 'node:path';
import { ConfigError } from '../errors.js';

/** Plain patterns that the braces of one may stand for. */
const MAX_ALTERNATIVES = 1_000;
/** Stars that a name in a pattern for remote storage may have, and `**` the pattern. */
const MAX_REMOTE_STARS = 3;
/** Folders one pattern may look into. */
const MAX_FOLDERS = 200_000;

/** Whether a path holds glob characters. */
export function isGlob(path: string): boolean {
  return /[*?[{]/.test(path);
}

/**
 * Files that match the pattern, sorted by path; symbolic links are followed (by `**` not),
 * unreadable folders skipped.
 * @throws ConfigError for a pattern that stands for too many others or leads into too many folders
 */
export async function expandGlob(pattern: string): Promise<string[]> {
  requireBounded(pattern);
  const walk = new Walk(pattern);
  for (const plain of new Set(expandBraces(pattern))) {
    const segments = plain.split(/[\\/]+/).filter((segment) => segment !== '');
    // `**/**` leads where `**` does.
    const needed = segments.filter((segment, i) => segment !== '**' || segments[i - 1] !== '**');
    await walk.from(isAbsolute(plain) ? sep : '', needed);
  }
  return [...walk.found].sort(byText);
}

/** Refuses braces that make too many patterns, without writing these out. @throws ConfigError */
export function requireBounded(pattern: string): void {
  const count = alternatives(pattern, { at: 0 }, false);
  if (count <= MAX_ALTERNATIVES) return;
  throw new ConfigError(
    `data: expected a pattern whose braces stand for at most ${MAX_ALTERNATIVES} others, got ${count > 1e15 ? 'far more' : count}; say * where any name will do`,
    { key: 'data.path', alternatives: count },
  );
}

/** Refuses what the backtracking matcher of an engine may never finish. @throws ConfigError */
export function requireFewStars(pattern: string): void {
  const parts = pattern.split('/');
  const stars = parts.map((part) => part.match(/\*+/g)?.length ?? 0);
  const deep = parts.filter((part) => part.includes('**')).length;
  const most = Math.max(deep, ...stars);
  if (most <= MAX_REMOTE_STARS) return;
  throw new ConfigError(
    `data: expected at most ${MAX_REMOTE_STARS} stars in a name, and as many \`**\`, in a pattern for remote storage, got ${most}; name folders where you can`,
    { key: 'data.path', stars: most },
  );
}

/** Ascending by UTF-16 code unit: the same order on every machine and in every locale. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

class Walk {
  readonly found = new Set<string>();
  readonly #pattern: string;
  /** Folders together with what is left of the pattern there. */
  readonly #seen = new Set<string>();
  #folders = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  async from(folder: string, segments: readonly string[]): Promise<void> {
    const [segment, ...rest] = segments;
    if (segment === undefined || !this.#isNew(folder, segments)) return;
    if (segment === '**') {
      await this.from(folder, rest.length > 0 ? rest : ['*']);
      for (const entry of await this.#list(folder)) {
        if (entry.isDirectory() && !entry.name.startsWith('.')) {
          await this.from(join(folder, entry.name), segments);
        }
      }
      return;
    }
    if (!isGlob(segment)) return this.#visit(join(folder, segment), rest);
    const tokens = tokensOf(segment);
    for (const entry of await this.#list(folder)) {
      if (entry.name.startsWith('.') && !segment.startsWith('.')) continue;
      if (!matches(tokens, [...entry.name])) continue;
      await this.#visit(join(folder, entry.name), rest, entry);
    }
  }

  #isNew(folder: string, segments: readonly string[]): boolean {
    const state = `${folder}\0${segments.join('/')}`;
    if (this.#seen.has(state)) return false;
    this.#seen.add(state);
    return true;
  }

  /** @param entry what the folder says of it: of its plain files nothing else is asked */
  async #visit(path: string, rest: readonly string[], entry?: Dirent): Promise<void> {
    if (rest.length > 0) return this.from(path, rest);
    const stats = entry?.isFile() ? entry : await stat(path).catch(() => undefined);
    if (stats?.isFile()) this.found.add(path);
  }

  async #list(folder: string): Promise<Dirent[]> {
    if (++this.#folders > MAX_FOLDERS) {
      throw new ConfigError(
        `data: expected a pattern that leads into at most ${MAX_FOLDERS} folders, got more below ${this.#pattern.slice(0, 200)}; begin it with the folder the files are in`,
        { key: 'data.path', value: this.#pattern },
      );
    }
    return readdir(folder === '' ? '.' : folder, { withFileTypes: true }).catch(() => []);
  }
}

/** Any run of characters, any one, the very one, or one that the class says. */
type Token =
  | '*'
  | '?'
  | { readonly char: string }
  | { readonly matches: (char: string) => boolean };

function tokensOf(segment: string): Token[] {
  const chars = [...segment];
  const tokens: Token[] = [];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i]!;
    const close = char === '[' ? chars.indexOf(']', i + 2) : -1;
    if (close > 0) {
      tokens.push({ matches: charClass(chars.slice(i + 1, close)) });
      i = close;
    } else if (char === '?') tokens.push('?');
    else if (char !== '*') tokens.push({ char });
    else if (tokens.at(-1) !== '*') tokens.push('*');
  }
  return tokens;
}

/** @param body what stands between the brackets: characters and ranges, `!` first for all others */
function charClass(body: readonly string[]): (char: string) => boolean {
  const isNegated = body[0] === '!' && body.length > 1;
  const ranges: [string, string][] = [];
  for (let i = isNegated ? 1 : 0; i < body.length; i++) {
    const isRange = body[i + 1] === '-' && body[i + 2] !== undefined;
    ranges.push([body[i]!, body[isRange ? i + 2 : i]!]);
    if (isRange) i += 2;
  }
  const code = (char: string): number => char.codePointAt(0)!;
  return (char) =>
    ranges.some(([low, high]) => code(low) <= code(char) && code(char) <= code(high)) !== isNegated;
}

/** Goes back to the last `*` only: what an earlier one took need never be taken again. */
function matches(tokens: readonly Token[], name: readonly string[]): boolean {
  let token = 0;
  let star = -1;
  let retry = 0;
  for (let at = 0; at < name.length; ) {
    const wanted = tokens[token];
    if (wanted === '*') {
      star = token++;
      retry = at;
    } else if (wanted !== undefined && fits(wanted, name[at]!)) {
      token++;
      at++;
    } else if (star >= 0) {
      token = star + 1;
      at = ++retry;
    } else return false;
  }
  while (tokens[token] === '*') token++;
  return token === tokens.length;
}

function fits(token: Exclude<Token, '*'>, char: string): boolean {
  if (token === '?') return true;
  return 'char' in token ? token.char === char : token.matches(char);
}

/** Number of plain patterns in the text from `at` to its end or, in braces, to a comma or brace. */
function alternatives(pattern: string, place: { at: number }, isInside: boolean): number {
  let count = 1;
  while (place.at < pattern.length) {
    const char = pattern[place.at];
    if (isInside && (char === ',' || char === '}')) return count;
    place.at++;
    if (char !== '{') continue;
    let sum = alternatives(pattern, place, true);
    while (pattern[place.at] === ',') {
      place.at++;
      sum += alternatives(pattern, place, true);
    }
    place.at++;
    count *= sum;
  }
  return count;
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
