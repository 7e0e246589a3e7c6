/**
 * A CSV file as DuckDB can take it. An ordinary one is taken as it is: UTF-8, lines that all end
 * alike, cells quoted as in RFC 4180. One in another encoding or dialect is rewritten once
 * (`text-copy.ts`).
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { DataError } from '../../../driver/errors.js';
import { headerNames } from '../../../driver/frame/text-columns.js';
import type { FrameFile } from '../../../driver/ir/frame-engine.js';
import type { CsvOptions } from '../../../driver/ir/read-options.js';
import { CsvCells, type CsvDialect, CsvFault, csvRecord, delimiterOf } from './csv-cells.js';
import { textCopy } from './text-copy.js';

export type LocalFile = Pick<FrameFile, 'path' | 'digest'>;

/** What DuckDB scans in place of the file, or the file itself. */
export interface PlainCsv {
  readonly path: string;
  readonly delimiter: string;
  readonly quote: string;
  readonly hasHeader: boolean;
  readonly names: readonly string[];
  /** A digit, an underscore and a digit stand somewhere: DuckDB would take them for a number. */
  readonly hasJoinedDigits: boolean;
}

interface Bytes {
  readonly hasJoinedDigits: boolean;
  readonly lineEnds: number;
}

type Decoder = InstanceType<typeof TextDecoder>;

const HEAD_CHARS = 1 << 20;
/** DuckDB's limit; it leaves out a last line of many times as much and says nothing. */
const MAX_LINE_BYTES = 2_000_000;

/** @throws DataError naming the file when it has no header or is no text in its encoding */
export async function plainCsv(file: LocalFile, options: CsvOptions = {}): Promise<PlainCsv> {
  const { path } = file;
  const head = await headOf(path, options);
  const dialect = dialectOf(head, path, options);
  const first = firstRecord(head, dialect, path);
  const hasHeader = options.header !== false;
  const names = hasHeader ? headerNames(first) : first.map((_, i) => `column${i}`);
  const bytes = await lookAt(path);
  const { hasJoinedDigits } = bytes;
  const { delimiter, quote } = dialect;
  const encoding = options.encoding ?? 'utf-8';
  const isPlain =
    dialect.comment === undefined &&
    (options.skip ?? 0) === 0 &&
    quote === dialect.escape &&
    bytes.lineEnds < 2 &&
    !/^[\r\n]/.test(head);
  if (isPlain && quote !== undefined && !encoding.startsWith('utf-16')) {
    const copy = encoding === 'utf-8' ? path : await rewritten(file, options);
    return { path: copy, delimiter, quote, hasHeader, names, hasJoinedDigits };
  }
  const copy = await rewritten(file, options, { dialect, width: first.length });
  return { path: copy, delimiter: ',', quote: '"', hasHeader, names, hasJoinedDigits: true };
}

function dialectOf(head: string, path: string, options: CsvOptions): CsvDialect {
  const quote = options.quote === '' ? undefined : (options.quote ?? '"');
  const line = head.split(/[\r\n]+/).find((one) => one !== '' && one[0] !== options.comment);
  if (line?.trim() === undefined || line.trim() === '') {
    throw new DataError(
      `data: expected a header line with column names in ${path}, got none: it is empty or begins with a blank line`,
      { path },
    );
  }
  const delimiter = options.delimiter ?? delimiterOf(line, path);
  return { delimiter, quote, escape: options.escape ?? quote, comment: options.comment };
}

function firstRecord(head: string, dialect: CsvDialect, path: string): string[] {
  const cells = new CsvCells(dialect);
  try {
    for (const char of head) {
      const [record] = cells.push(char);
      if (record !== undefined) return record;
    }
    const [record] = cells.end();
    if (record !== undefined) return record;
  } catch (cause) {
    if (cause instanceof CsvFault) throw faultIn(path, cause, head, dialect);
    throw cause;
  }
  throw new DataError(`data: expected a header line in ${path}, got only comments`, { path });
}

/** The beginning of a file as text, without a mark of its byte order and the lines to leave out. */
async function headOf(path: string, options: CsvOptions): Promise<string> {
  let head = '';
  const encoding = options.encoding ?? 'utf-8';
  for await (const text of decoded(path, encoding)) {
    head += text;
    if (head.length > HEAD_CHARS) break;
    if (/[\r\n]/.test(head) && options.skip === undefined && options.comment === undefined) break;
  }
  if (head.includes('\0')) throw binary(path);
  return withoutLines(head, options.skip ?? 0);
}

function binary(path: string): DataError {
  return new DataError(
    `data: expected text in ${path}, got binary data; say data.csv.encoding: utf-16 if it is that, or data.format if it is another format`,
    { path },
  );
}

function unreadable(path: string, cause: unknown): DataError {
  return new DataError(
    `data: expected to read ${path}, got ${(cause as Error).message}`,
    { path },
    { cause },
  );
}

function withoutLines(text: string, lines: number): string {
  let rest = text;
  for (let i = 0; i < lines; i++) {
    const end = /\r\n|\n|\r/.exec(rest);
    if (end === null) return '';
    rest = rest.slice(end.index + end[0].length);
  }
  return rest;
}

/** A local file's bytes, unpacked. */
export async function* bytesOf(
  path: string,
  onRaw?: (bytes: Buffer) => void,
): AsyncGenerator<Buffer> {
  const file = createReadStream(path, { highWaterMark: 1 << 20 });
  if (onRaw) file.on('data', (chunk) => onRaw(chunk as Buffer));
  const packed = /\.gz$/i.test(path);
  const bytes = packed ? file.pipe(createGunzip()) : file;
  file.on('error', (error) => bytes.destroy(error));
  try {
    for await (const chunk of bytes) yield chunk as Buffer;
  } catch (cause) {
    throw cause instanceof DataError ? cause : unreadable(path, cause);
  } finally {
    file.destroy();
    bytes.destroy();
  }
}

/** @throws DataError naming the option where the bytes are not text in this encoding */
async function* decoded(
  path: string,
  encoding: string,
  onRaw?: (bytes: Buffer) => void,
): AsyncGenerator<string> {
  let decoder: Decoder | undefined;
  for await (const chunk of bytesOf(path, onRaw)) {
    if (encoding === 'latin-1') {
      yield chunk.toString('latin1');
      continue;
    }
    decoder ??= new TextDecoder(labelOf(encoding, chunk), { fatal: true });
    yield decodedChunk(decoder, path, encoding, chunk);
  }
  if (decoder !== undefined) yield decodedChunk(decoder, path, encoding);
}

function decodedChunk(decoder: Decoder, path: string, encoding: string, chunk?: Buffer): string {
  try {
    const text = chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    // Five bytes mean nothing in it; the decoder lets them through.
    if (encoding === 'windows-1252' && /[\x81\x8d\x8f\x90\x9d]/.test(text)) {
      throw new TypeError('a byte without meaning');
    }
    return text;
  } catch (cause) {
    const isBinary = encoding === 'utf-8' && chunk?.includes(0) === true;
    const isUtf16 = chunk?.[0] === 0xff || chunk?.[0] === 0xfe;
    if (isBinary && !isUtf16) throw binary(path);
    throw new DataError(
      `data: expected ${encoding} text in ${path}, got other bytes; say data.csv.encoding: ${encoding !== 'utf-8' ? 'utf-8' : isUtf16 ? 'utf-16' : 'windows-1252 or latin-1'} if it is that`,
      { path },
      { cause },
    );
  }
}

/** `utf-16` is of the byte order its mark says, little endian without one. */
function labelOf(encoding: string, first: Buffer): string {
  if (encoding === 'utf-16')
    return first[0] === 0xfe && first[1] === 0xff ? 'utf-16be' : 'utf-16le';
  return encoding;
}

/** What decides whether DuckDB reads the file as we mean it. @throws DataError for endless lines */
async function lookAt(path: string): Promise<Bytes> {
  let hasJoinedDigits = false;
  let lineBytes = 0;
  let [lf, crlf, cr] = [false, false, false];
  let last = 0;
  const isDigit = (byte: number | undefined): boolean =>
    byte !== undefined && byte >= 0x30 && byte <= 0x39;
  for await (const chunk of bytesOf(path)) {
    for (
      let at = chunk.indexOf(0x5f);
      at >= 0 && !hasJoinedDigits;
      at = chunk.indexOf(0x5f, at + 1)
    ) {
      // At the ends of a piece the neighbour is not looked for.
      const [before, after] = [at === 0 ? 0x30 : chunk[at - 1], chunk[at + 1] ?? 0x30];
      hasJoinedDigits = isDigit(before) && isDigit(after);
    }
    lineBytes = lineAfter(lineBytes, chunk);
    if (lineBytes > MAX_LINE_BYTES) throw endless(path);
    if (!chunk.includes(0x0d)) lf ||= chunk.includes(0x0a) && last !== 0x0d;
    else {
      for (let i = 0; i < chunk.length && !(lf && crlf) && !cr; i++) {
        const byte = chunk[i];
        if (last === 0x0d) {
          if (byte === 0x0a) crlf = true;
          else cr = true;
        } else if (byte === 0x0a) lf = true;
        last = byte!;
      }
    }
    last = chunk.at(-1) ?? last;
  }
  if (last === 0x0d) cr = true;
  return { hasJoinedDigits, lineEnds: [lf, crlf, cr].filter(Boolean).length };
}

/** Bytes of the line that is open after a piece, or of one that ends in it if that is too long. */
function lineAfter(before: number, piece: Buffer): number {
  const ends = [0x0a, 0x0d].map((end) => [piece.indexOf(end), piece.lastIndexOf(end)] as const);
  const found = ends.filter(([first]) => first >= 0);
  if (found.length === 0) return before + piece.length;
  const first = before + Math.min(...found.map(([at]) => at));
  if (first > MAX_LINE_BYTES) return first;
  return piece.length - 1 - Math.max(...found.map(([, at]) => at));
}

function endless(path: string): DataError {
  return new DataError(
    `data: expected lines of at most ${MAX_LINE_BYTES / 1e6} MB in ${path}, got a longer one; is it a table? else say data.format`,
    { path },
  );
}

interface Cut {
  readonly dialect: CsvDialect;
  /** Cells of a record. */
  readonly width: number;
}

/** Path of the file as UTF-8; with `cut` also comma-separated with quotes as in RFC 4180. */
function rewritten(file: LocalFile, options: CsvOptions, cut?: Cut): Promise<string> {
  const way = JSON.stringify([1, cut ?? '', options.skip ?? 0, options.encoding ?? '']);
  return textCopy(file, way, '.csv', (target, onRaw) => rewrite(file, options, cut, target, onRaw));
}

async function rewrite(
  { path }: LocalFile,
  options: CsvOptions,
  cut: Cut | undefined,
  target: string,
  onRaw: (bytes: Buffer) => void,
): Promise<void> {
  const out = await open(target, 'w');
  const cells = cut ? new CsvCells(cut.dialect) : undefined;
  const taken = (text: string): string => (cells ? recordsOf(cells.push(text)) : text);
  const recordsOf = (records: readonly (readonly string[])[]): string =>
    records.map((record) => `${csvRecord(fitted(record, cut!.width, path))}\n`).join('');
  try {
    let head: string | undefined = options.skip ? '' : undefined;
    for await (const text of decoded(path, options.encoding ?? 'utf-8', onRaw)) {
      if (head === undefined) await out.write(taken(text));
      else {
        head += text;
        if (head.length < HEAD_CHARS) continue;
        await out.write(taken(withoutLines(head, options.skip ?? 0)));
        head = undefined;
      }
    }
    if (head !== undefined) await out.write(taken(withoutLines(head, options.skip ?? 0)));
    if (cells) await out.write(recordsOf(cells.end()));
  } catch (cause) {
    if (cause instanceof CsvFault) throw faultIn(path, cause, '\\"', cut!.dialect);
    throw cause;
  } finally {
    await out.close();
  }
}

/** The record with as many cells as the first; empty ones beyond are delimiters at the end. */
function fitted(record: readonly string[], width: number, path: string): readonly string[] {
  if (record.length === width) return record;
  if (record.length > width && record.slice(width).every((cell) => cell === '')) {
    return record.slice(0, width);
  }
  throw new DataError(
    `data: expected ${width} cells in each line of ${path}, got ${record.length} in one that begins with ${JSON.stringify(record.join(' ').slice(0, 60))}`,
    { path },
  );
}

function faultIn(
  path: string,
  fault: CsvFault,
  text: string,
  { escape: escapeBy, quote }: CsvDialect,
): DataError {
  const remedy =
    text.includes(`\\"`) && escapeBy === quote
      ? '; say data.csv.escape: "\\\\" if quotes in cells are written \\"'
      : '';
  return new DataError(
    `data: expected cells quoted as RFC 4180 has it in ${path}, got ${fault.message} in record ${fault.record}${remedy}`,
    { path },
    { cause: fault },
  );
}
