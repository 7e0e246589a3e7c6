/**
 * Patterns of DuckDB (RE2) as patterns of Java that match the same. What the two read alike is
 * written out as Java needs it, every literal as its code point; the rest is refused: look-around,
 * backreferences, possessive and nested empty repetition, `\p`, flags inside patterns. Both match
 * the leftmost, in the order alternatives are written.
 */
import { refuse, type SqlRefusal } from './refusal.js';

const DIGIT = '0-9';
const WORD = '0-9A-Za-z_';
const SPACE = '\\t\\n\\f\\r\\x20';
const CLASSES: Readonly<Record<string, string>> = { d: DIGIT, w: WORD, s: SPACE };
const POSIX: Readonly<Record<string, string>> = {
  alpha: 'A-Za-z',
  digit: DIGIT,
  alnum: '0-9A-Za-z',
  upper: 'A-Z',
  lower: 'a-z',
  space: '\\t\\n\\x0b\\f\\r\\x20',
};
const CONTROLS: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, f: 12, v: 11, a: 7 };
/** RE2 knows letters of ASCII only, Java's `\b` others too. */
const BOUNDARY = `(?:(?<=[${WORD}])(?![${WORD}])|(?<![${WORD}])(?=[${WORD}]))`;
/** RE2's own limit. */
const MOST_REPEATS = 1000;

/** @throws SqlRefusal for other options than `c`, `i`, `s` and `g` */
export function checkOptions(options: string, name: string): void {
  const taken = name === 'regexp_replace' ? /^[cisg]*$/ : /^[cis]*$/;
  if (!taken.test(options))
    throw refuse(`the options '${options}' of ${name}`, "use 'i', 's' or 'g'");
}

/** The pattern as Java's. @throws SqlRefusal naming what the two would read differently */
export function regexToJava(pattern: string, options: string): string {
  if (options.includes('i') && /[^ -~]/.test(pattern)) {
    throw refuse("letters beyond ASCII in a pattern with 'i'", 'use lower() on the text');
  }
  const parser = new Parser(pattern);
  const { java } = parser.alternatives();
  if (parser.rest !== '') throw refused(pattern, `'${parser.rest}'`);
  return java;
}

/** The replacement, checked: groups as `\0` to `\9`. @param java the pattern that has the groups */
export function rewriteOf(replacement: string, java: string): string {
  const groups = (java.match(/\((?!\?)/g) ?? []).length;
  for (const [code] of replacement.matchAll(/\\(.|$)/gs)) {
    if (!/^\\[0-9\\]$/.test(code)) throw refuse(`the replacement '${replacement}'`, 'write \\\\');
    if (/\d/.test(code) && Number(code[1]) > groups) {
      throw refuse(`group ${code} in a replacement`, 'the pattern has fewer groups');
    }
  }
  return replacement;
}

interface Piece {
  readonly java: string;
  /** Matches the empty text too. */
  readonly isEmpty: boolean;
}

class Parser {
  readonly #pattern: readonly string[];
  #at = 0;

  constructor(pattern: string) {
    this.#pattern = [...pattern];
  }

  get rest(): string {
    return this.#pattern.slice(this.#at).join('');
  }

  alternatives(): Piece {
    const options = [this.#sequence()];
    while (this.#take('|')) options.push(this.#sequence());
    return {
      java: options.map(({ java }) => java).join('|'),
      isEmpty: options.some(({ isEmpty }) => isEmpty),
    };
  }

  #sequence(): Piece {
    let java = '';
    let isEmpty = true;
    while (this.#peek() !== undefined && this.#peek() !== '|' && this.#peek() !== ')') {
      const piece = this.#repeated(this.#atom());
      java += piece.java;
      isEmpty &&= piece.isEmpty;
    }
    return { java, isEmpty };
  }

  #repeated(atom: Piece): Piece {
    const count = this.#count();
    if (count === undefined) return atom;
    if (atom.isEmpty) throw this.#refused('a repetition of what may be empty');
    const lazy = this.#take('?') ? '?' : '';
    if (/^[*+?{]$/.test(this.#peek() ?? '')) throw this.#refused('a repetition of a repetition');
    return { java: `${atom.java}${count.java}${lazy}`, isEmpty: count.isEmpty };
  }

  #count(): Piece | undefined {
    for (const sign of ['*', '+', '?']) {
      if (this.#take(sign)) return { java: sign, isEmpty: sign !== '+' };
    }
    if (this.#peek() !== '{') return undefined;
    const [text, from, to] = /^\{(\d{1,4})(?:,(\d{0,4}))?\}/.exec(this.rest) ?? [];
    if (text === undefined || Math.max(Number(from), Number(to ?? 0)) > MOST_REPEATS) {
      throw this.#refused("a '{' that counts nothing, or past 1000; write \\{ for the character");
    }
    this.#at += text.length;
    return { java: text, isEmpty: Number(from) === 0 };
  }

  #atom(): Piece {
    const char = this.#next();
    switch (char) {
      case '(':
        return this.#group();
      case '[':
        return { java: this.#class(), isEmpty: false };
      case '.':
        return { java: '.', isEmpty: false };
      case '^':
        return { java: '\\A', isEmpty: true };
      case '$':
        return { java: '\\z', isEmpty: true };
      case '\\':
        return this.#escape();
      case '*':
      case '+':
      case '?':
      case '{':
        throw this.#refused(`a '${char}' with nothing before it`);
      default:
        return { java: literal(char.codePointAt(0)!), isEmpty: false };
    }
  }

  #group(): Piece {
    let open = '(';
    if (this.#take('?')) {
      if (!this.#take(':')) throw this.#refused('a group that is not ( or (?:');
      open = '(?:';
    }
    const inner = this.alternatives();
    if (!this.#take(')')) throw this.#refused('a group without its end');
    return { java: `${open}${inner.java})`, isEmpty: inner.isEmpty };
  }

  #escape(): Piece {
    const char = this.#next();
    if (char === 'b') return { java: BOUNDARY, isEmpty: true };
    if (char === 'A' || char === 'z') return { java: `\\${char}`, isEmpty: true };
    const lower = char.toLowerCase();
    const members = CLASSES[lower];
    if (members !== undefined) {
      return { java: `[${char === lower ? '' : '^'}${members}]`, isEmpty: false };
    }
    return { java: literal(this.#escaped(char)), isEmpty: false };
  }

  /** The code point an escape stands for. */
  #escaped(char: string): number {
    if (char in CONTROLS) return CONTROLS[char]!;
    if (char === 'x') {
      const [text, wide, two] = /^(?:\{([0-9a-f]{1,6})\}|([0-9a-f]{2}))/i.exec(this.rest) ?? [];
      if (text === undefined) throw this.#refused('\\x without its digits');
      this.#at += text.length;
      return Number.parseInt((wide ?? two)!, 16);
    }
    if (!/^[!-/:-@[-`{-~]$/.test(char)) throw this.#refused(`\\${char}`);
    return char.codePointAt(0)!;
  }

  #class(): string {
    const isNot = this.#take('^');
    let members = '';
    for (let first = true; first || this.#peek() !== ']'; first = false) {
      members += this.#members();
    }
    this.#at++;
    return `[${isNot ? '^' : ''}${members}]`;
  }

  #members(): string {
    const posix = /^\[:([a-z]+):\]/.exec(this.rest);
    if (posix) {
      const members = POSIX[posix[1]!];
      if (members === undefined) throw this.#refused(posix[0]);
      this.#at += posix[0].length;
      return members;
    }
    const char = this.#next();
    if (char === '[') throw this.#refused("a '[' in brackets; write \\[");
    if (char === '\\' && /^[dwsDWSpPbB]$/.test(this.#peek() ?? '')) {
      const members = CLASSES[this.#next()];
      if (members === undefined) throw this.#refused('a negated class in brackets');
      return members;
    }
    const from = char === '\\' ? this.#escaped(this.#next()) : char.codePointAt(0)!;
    if (this.#peek() !== '-' || this.#pattern[this.#at + 1] === ']') return literal(from);
    this.#at++;
    const end = this.#next();
    if (end === '[') throw this.#refused('a range of classes');
    const to = end === '\\' ? this.#escaped(this.#next()) : end.codePointAt(0)!;
    if (to < from) throw this.#refused('a range that runs backwards');
    return `${literal(from)}-${literal(to)}`;
  }

  #peek(): string | undefined {
    return this.#pattern[this.#at];
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    const char = this.#pattern[this.#at++];
    if (char === undefined) throw this.#refused('an end too early');
    return char;
  }

  #refused(what: string): SqlRefusal {
    return refused(this.#pattern.join(''), what);
  }
}

function literal(code: number): string {
  const char = String.fromCodePoint(code);
  return /^[0-9A-Za-z]$/.test(char) ? char : `\\x{${code.toString(16)}}`;
}

function refused(pattern: string, what: string): SqlRefusal {
  return refuse(
    `the pattern '${pattern}' with ${what}`,
    'docs/sql-functions.md says what patterns may have',
  );
}
