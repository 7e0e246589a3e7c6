/**
 * Cuts CSV text into records: RFC 4180 with the dialect of `data.csv`. DuckDB cuts ordinary files
 * itself; this serves header lines, and files in a dialect or an encoding that are rewritten for
 * it. The shim has the same machine in `CsvCells.scala`.
 *
 * A quote begins a quoted cell only at its start, spaces before it and after the closing one do not
 * count; lines end in LF, CRLF or CR; a line with nothing in it is no record; a comment runs from
 * its character, outside quotes, to the end of the line, and a line that begins with one is no
 * record.
 */

export interface CsvDialect {
  readonly delimiter: string;
  /** Undefined: no cell is quoted. */
  readonly quote: string | undefined;
  /** Before a quote, or itself, in a quoted cell. */
  readonly escape: string | undefined;
  readonly comment: string | undefined;
}

/** Why text is no CSV; the record is counted from 1, the header included. */
export class CsvFault extends Error {
  readonly record: number;

  constructor(record: number, message: string) {
    super(message);
    this.record = record;
  }
}

const states = { plain: 0, quoted: 1, closed: 2, comment: 3, after: 4 } as const;
type State = (typeof states)[keyof typeof states];

export class CsvCells {
  readonly #dialect: CsvDialect;
  readonly #codes: Readonly<Record<keyof CsvDialect, number>>;
  #state: State = states.plain;
  #cells: string[] = [];
  #cell = '';
  /** A quoted cell is one even when empty. */
  #wasQuoted = false;
  #escaping = false;
  #afterCr = false;
  #record = 1;

  constructor(dialect: CsvDialect) {
    this.#dialect = dialect;
    const codeOf = (char: string | undefined): number => char?.charCodeAt(0) ?? -1;
    this.#codes = {
      delimiter: codeOf(dialect.delimiter),
      quote: codeOf(dialect.quote),
      escape: codeOf(dialect.escape),
      comment: codeOf(dialect.comment),
    };
  }

  /** Records that end in this piece of text. @throws CsvFault */
  push(text: string): string[][] {
    const records: string[][] = [];
    for (let at = 0; at < text.length; at++) {
      const char = text[at]!;
      if (this.#afterCr) {
        this.#afterCr = false;
        if (char === '\n' && this.#state !== states.quoted) continue;
      }
      const plain = this.#plainUntil(text, at);
      if (plain > at) {
        this.#cell += text.slice(at, plain);
        at = plain - 1;
      } else this.#take(char, records);
    }
    return records;
  }

  /** Where the characters from here that only belong to the cell end. */
  #plainUntil(text: string, from: number): number {
    if (this.#escaping || (this.#state !== states.plain && this.#state !== states.quoted)) {
      return from;
    }
    const isQuoted = this.#state === states.quoted;
    let at = from;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === this.#codes.quote || (isQuoted && code === this.#codes.escape)) break;
      if (isQuoted) continue;
      if (code === this.#codes.delimiter || code === 10 || code === 13) break;
      if (code === this.#codes.comment) break;
    }
    return at;
  }

  /** The last record, if it has no line end. @throws CsvFault */
  end(): string[][] {
    if (this.#escaping) this.#cell += this.#dialect.escape;
    if (this.#state === states.quoted) {
      throw new CsvFault(this.#record, 'a quoted cell that does not end');
    }
    const records: string[][] = [];
    this.#endRecord(records);
    return records;
  }

  #take(char: string, records: string[][]): void {
    if (this.#state === states.quoted) {
      this.#takeQuoted(char);
      return;
    }
    if (char === '\n' || char === '\r') {
      this.#afterCr = char === '\r';
      this.#endRecord(records);
      return;
    }
    const { delimiter, quote, comment } = this.#dialect;
    if (this.#state === states.comment) return;
    if (char === comment) {
      this.#state = states.comment;
      return;
    }
    if (char === delimiter) {
      this.#endCell();
      return;
    }
    if (this.#state === states.closed || this.#state === states.after) {
      if (char === quote && this.#state === states.closed && this.#dialect.escape === quote) {
        this.#cell += quote;
        this.#state = states.quoted;
      } else if (char === ' ') this.#state = states.after;
      else {
        throw new CsvFault(
          this.#record,
          `${JSON.stringify(char)} after the quote that ends a cell`,
        );
      }
      return;
    }
    if (char === quote && this.#cell.trim() === '' && !this.#wasQuoted) {
      this.#cell = '';
      this.#wasQuoted = true;
      this.#state = states.quoted;
    } else this.#cell += char;
  }

  #takeQuoted(char: string): void {
    const { quote, escape: before } = this.#dialect;
    if (this.#escaping) {
      this.#escaping = false;
      this.#cell += char === quote || char === before ? char : before + char;
    } else if (char === before && before !== quote) this.#escaping = true;
    else if (char === quote) this.#state = states.closed;
    else this.#cell += char;
  }

  #endCell(): void {
    this.#cells.push(this.#cell);
    this.#cell = '';
    this.#wasQuoted = false;
    this.#state = states.plain;
  }

  #endRecord(records: string[][]): void {
    const isNothing = this.#cells.length === 0 && this.#cell === '' && !this.#wasQuoted;
    if (isNothing) {
      this.#state = states.plain;
      return;
    }
    this.#endCell();
    records.push(this.#cells);
    this.#cells = [];
    this.#record++;
  }
}

/** Comma, semicolon, tab or bar: what a line has most of outside quotes; comma when it has none. */
export function delimiterOf(line: string, path: string): string {
  if (/\.tsv(\.gz)?$/i.test(path)) return '\t';
  const plain = line.replace(/"[^"]*"/g, '');
  const count = (delimiter: string): number => plain.split(delimiter).length;
  return [',', ';', '\t', '|'].reduce((best, other) => (count(other) > count(best) ? other : best));
}

/** A record as RFC 4180 has it, with commas. */
export function csvRecord(cells: readonly string[]): string {
  return cells
    .map((cell) => (/[",\r\n]|^ | $/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell))
    .join(',');
}
