/** CSV and JSON lines that readers disagree about: both engines must agree or both refuse. */
import type { DescribeOptions } from '../../driver/ir/read-options.js';

export interface NastyText {
  readonly name: string;
  /** By file name; one file is called `data`. */
  readonly files: Readonly<Record<string, string | Buffer>>;
  readonly options?: DescribeOptions;
}

const late = (from: string, to: string): string => `a,y\n${`${from},1\n`.repeat(5000)}${to},2\n`;

const csv = (name: string, text: string | Buffer, options?: DescribeOptions): NastyText => ({
  name,
  files: { 'data.csv': text },
  ...(options ? { options } : {}),
});
const jsonl = (name: string, text: string | Buffer, options?: DescribeOptions): NastyText => ({
  name,
  files: { 'data.jsonl': text },
  ...(options ? { options } : {}),
});
const folder = (
  name: string,
  extension: string,
  texts: readonly string[],
  options?: DescribeOptions,
): NastyText => ({
  name,
  files: Object.fromEntries(texts.map((text, i) => [`${i}.${extension}`, text])),
  ...(options ? { options } : {}),
});

/** One cell a file, so that each decides its column's type. */
const CELLS = [
  ...[
    '1_000',
    '0x1F',
    '1e',
    '1.',
    '.5',
    '+5',
    ' 5 ',
    '1d',
    'Infinity',
    '-inf',
    '+nan',
    '1e400',
    '1e5',
    '-0',
    '.',
  ],
  ...[
    '9007199254740993',
    '9223372036854775807',
    '9223372036854775808',
    '12345678901234567890',
    '007',
    '1.0',
    '15e-1',
  ],
  ...[
    '٣',
    '1 000',
    '5%',
    'True',
    'tRuE',
    't',
    'yes',
    ' true',
    '2024-01-05',
    '2024-1-5',
    '2024/01/05',
    '2024-02-30',
  ],
  ...[
    '2024-01-05 10:00',
    '2024-01-05T10:00:00Z',
    '2024-01-05 10:00:00+02',
    '2024-01-05 10:00:00.123456789',
  ],
  ...[
    '2024-01-05 24:00:00',
    '2024-01-05 10:00:00 UTC',
    '2024-01-05 1:00:00',
    'epoch',
    '0000-01-01',
    ' ',
    "it's",
  ],
];

export const NASTY: readonly NastyText[] = [
  csv(
    'each cell alone',
    `${CELLS.map((_, i) => `c${i}`).join(',')},y\n${CELLS.map((c) => `"${c}"`).join(',')},1\n`,
  ),
  ...[
    ['1', '1.25'],
    ['1', 'x'],
    ['1', '1_000'],
    ['1.5', '1_000'],
    ['1', '12345678901234567890'],
    ['1.5', '12345678901234567890'],
    ['true', '0'],
    ['true', 'maybe'],
    ['2024-01-05', '2024-01-05 10:00'],
    ['2024-01-05', '05.01.2024'],
    ['2024-01-05 10:00', 'x'],
    ['', '7'],
    ['', 'x'],
    ['1', 'nan'],
  ].map(([from, to]) => csv(`late ${from} ${to}`, late(from!, to!))),
  csv('names', 'a,a,A,,b , a,"q""x",y\n1,2,3,4,5,6,7,8\n'),
  csv('no final line end, CRLF', 'a,y\r\n1,2\r\n3,4'),
  csv('mixed line ends', 'a,y\r\n1,2\n3,4\r\n5,6\n'),
  csv('CR only', 'a,y\r1,2\r3,4\r'),
  csv('blank lines', '\na,y\n1,2\n\n3,4\n\n\n'),
  csv('quotes', 'a,b,y\n"x ""q"" y",5" pipe,1\n "a,b" ,"line\r\nbreak",2\n"",,3\n'),
  csv('text after a quote', 'a,y\n"x"z,1\n'),
  csv('quote without end', 'a,y\n"x,1\n2,3\n'),
  csv('short row', 'a,b,y\n1,2,3\n1,2\n'),
  csv('long row', 'a,b,y\n1,2,3\n1,2,3,4\n'),
  csv('delimiter at the end', 'a,y\n1,2,\n3,4,,\n'),
  csv('byte order mark', '\ufeffa;y\n1;2\n'),
  csv('Spark escapes, not said', 'a,y\n"say \\"hi\\"",1\n'),
  csv('Spark escapes', 'a,y\n"say \\"hi\\", \\\\ \\n",1\nb\\"c,2\n', { csv: { escape: '\\' } }),
  csv('no quotes', 'a,y\n"x,1\n', { csv: { quote: '' } }),
  csv('single quotes', "a,y\n'x,z',1\n", { csv: { quote: "'" } }),
  csv('no header', '1,2\n3,4\n', { csv: { header: false } }),
  csv('comments', '#x\na,y#z\n1,2#z\n"#3",4\n#\n5,#6\n', { csv: { comment: '#' } }),
  csv('skip', 'junk "\nmore;\na,y\n1,2\n', { csv: { skip: 2 } }),
  csv('nulls', 'a,b,y\nNA,x,1\n"NA",nan,2\n3,-999,3\n', { csv: { null: ['NA', 'nan', '-999'] } }),
  csv('decimal comma', 'a;b;y\n1.234,5;1.234;1\n-2,25;12.345.678;2\n', {
    csv: { decimal: ',', thousands: '.' },
  }),
  csv('thousands that are none', 'a;y\n1.5;1\n1.234;2\n', {
    csv: { decimal: ',', thousands: '.' },
  }),
  csv('decimal comma alone', 'a;y\n1,5;1\n2;2\n', { csv: { decimal: ',' } }),
  csv('latin-1', Buffer.from('na\xefve,y\n\xe9t\xe9,1\n', 'latin1'), {
    csv: { encoding: 'latin-1' },
  }),
  csv('latin-1, not said', Buffer.from('a,y\n\xe9t\xe9,1\n', 'latin1')),
  csv('windows-1252', Buffer.from('a,y\n\x80uro,1\n', 'latin1'), {
    csv: { encoding: 'windows-1252' },
  }),
  csv('utf-16', Buffer.from('\ufeffa\ty\né€😀\t1\n', 'utf16le'), {
    csv: { encoding: 'utf-16', delimiter: '\t' },
  }),
  csv('utf-16be', Buffer.from('\ufeffa,y\né€😀,1\n', 'utf16le').swap16(), {
    csv: { encoding: 'utf-16' },
  }),
  csv('utf-16, not said', Buffer.from('\ufeffa,y\n1,2\n', 'utf16le')),
  csv('schema', 'id,when,x,y\n007,2024-01-05,1,1\n008,2024-01-06,2.5,2\n', {
    schema: { id: 'text', when: 'timestamp', x: 'double' },
  }),
  csv('schema that does not fit', 'a,y\n1,1\n2,2\n1.5,3\n', { schema: { a: 'integer' } }),
  csv('schema of a boolean', 'a,y\ntrue,1\n1,2\n', { schema: { a: 'boolean' } }),
  csv('schema of no column', 'a,y\n1,1\n', { schema: { b: 'text' } }),
  csv('rows without target', 'a,y\n1,1\n2,\n3,nan\n4,4.5\n', { dropMissing: 'y' }),
  csv('header only', 'a,y\n'),
  csv('nothing', ''),
  folder('delimiters', 'csv', ['a,b,y\n1,x,1\n', 'a;b;y\n2;y;2\n']),
  folder('order', 'csv', ['a,b,y\n1,x,1\n', 'y,b,a\n2,y,2\n']),
  folder('whole here, decimals there', 'csv', ['a,y\n1,1\n', 'a,y\n1.5,2\n']),
  folder('numbers here, text there', 'csv', ['a,y\n1,1\n', 'a,y\nx,2\n']),
  folder('numbers here, text there, said', 'csv', ['a,y\n1,1\n', 'a,y\nx,2\n'], {
    schema: { a: 'text' },
  }),
  folder('dates in two forms', 'csv', ['a,y\n2024-01-05,1\n', 'a,y\n05.01.2024,2\n']),
  folder('dates and times', 'csv', ['a,y\n2024-01-05,1\n', 'a,y\n2024-01-05 10:00,2\n']),
  folder('long ids here', 'csv', ['a,y\n1,1\n', 'a,y\n12345678901234567890,2\n']),
  folder('empty here', 'csv', ['a,y\n,1\n', 'a,y\nx,2\n', 'a,y\n']),
  folder('a column more', 'csv', ['a,y\n1,1\n', 'a,b,y\n1,2,3\n']),
  folder('a column less', 'csv', ['a,b,y\n1,2,3\n', 'a,y\n1,1\n']),
  folder('no target here', 'csv', ['a,y\n1,\n', 'a,y\n1,1\n2,\n'], { dropMissing: 'y' }),
  jsonl(
    'kinds',
    '{"a":1,"b":"x","c":true,"d":"2024-01-05","e":{"z":1},"f":1.5,"y":1}\n{"y":2,"a":null,"g":[1]}\n',
  ),
  jsonl('late decimals', `${'{"a":1,"y":1}\n'.repeat(5000)}{"a":1.25,"y":2}\n`),
  jsonl(
    'late text',
    `${'{"a":1,"y":1}\n'.repeat(5000)}{"a":"x","y":2}\n{"a":1.50,"y":2}\n{"a":true,"y":1}\n`,
  ),
  jsonl(
    'numbers',
    '{"a":1e400,"b":12345678901234567890,"c":-0,"d":1.0,"e":1E5,"f":NaN,"y":1}\n{"f":-Infinity,"e":0.1e-7}\n',
  ),
  jsonl('names', '{"a":1,"A":2.5,"y":1}\n{"A":3,"y":2}\n'),
  jsonl('keys that come late', '{"b":1,"y":1}\n{"y":2,"z":1,"a":1}\n'),
  jsonl('byte order mark', '\ufeff{"a":1,"y":1}\r\n\r\n  \n{"a":2,"y":2}\r\n'),
  jsonl('twice', '{"a":1,"a":2,"y":1}\n'),
  jsonl('a null row', '{"a":1,"y":1}\nnull\n'),
  jsonl('a number row', '{"a":1,"y":1}\n5\n'),
  jsonl('two a line', '{"a":1,"y":1}{"a":1,"y":1}\n'),
  jsonl('cut', '{"a":1,"y":1}\n{"a":1'),
  jsonl('not UTF-8', Buffer.from('{"a":"\xe9","y":1}\n', 'latin1')),
  jsonl('escapes', '{"a":"q\\"\\u00e9\\n","y":1}\n{"a":"","y":2}\n'),
  jsonl('schema', '{"a":"1.5","b":1,"y":1}\n{"a":2,"b":1.50,"y":2}\n', {
    schema: { a: 'double', b: 'text' },
  }),
  jsonl('schema that does not fit', '{"a":1,"y":1}\n{"a":"x","y":2}\n', {
    schema: { a: 'double' },
  }),
  jsonl('rows without target', '{"a":1,"y":1}\n{"a":2}\n{"a":3,"y":null}\n', { dropMissing: 'y' }),
  folder('keys', 'jsonl', ['{"a":1,"y":1}\n', '{"y":2,"b":"x","a":1.5}\n']),
  folder('kinds that differ', 'jsonl', ['{"a":1,"y":1}\n', '{"y":2,"a":"x"}\n']),
];
