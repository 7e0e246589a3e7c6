/** Text that would mean something if it ever became part of a program: case 35 of the checklist. */
import fc from 'fast-check';

/** Each is a name, a category and a path. */
export const hostileTexts: readonly string[] = [
  `"); sys.exit(3); ("`,
  `'; DROP TABLE data; --`,
  '\\',
  '\n',
  '%json x',
  `\${spark.app.id}`,
  '\\u0022',
  '"""',
  '*/ 1 /*',
  '`x`',
  '😀',
];

/** A text of such pieces and of any other characters, NUL too. */
export const hostileText: fc.Arbitrary<string> = fc
  .array(fc.oneof(fc.constantFrom(...hostileTexts, '\0'), fc.string({ unit: 'binary' })), {
    maxLength: 40,
  })
  .map((parts) => parts.join(''));
