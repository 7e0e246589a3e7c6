/** The SQL function table as text: its page, its rows, and the text that Spark may be sent. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sqlFunctionsPage } from '../../../../driver/frame/sql/page.js';
import { Printer } from '../../../../driver/frame/sql/print.js';
import { SqlRefusal } from '../../../../driver/frame/sql/refusal.js';
import { regexToJava } from '../../../../driver/frame/sql/regex.js';
import { TABLE } from '../../../../driver/frame/sql/table.js';
import { packageRoot } from '../../../../driver/support/package-root.js';

describe('the table of SQL functions', () => {
  it('is the page of the docs', () => {
    const published = readFileSync(join(packageRoot(), 'docs/sql-functions.md'), 'utf8');
    assert.equal(published, sqlFunctionsPage(), 'run `npm run sql-functions`');
  });

  it('names each function once and tries each row', () => {
    const rows = TABLE.flatMap((chapter) => chapter.rows);
    const names = rows.flatMap((row) => row.names);
    assert.deepEqual(
      names.filter((name, i) => names.indexOf(name) !== i),
      [],
    );
    for (const row of rows) assert.ok(row.examples.length > 0, row.usage);
  });

  it('prints no text so that a parser could read more into it', () => {
    const { print } = new Printer(({ name }) => name);
    const value = `\${env:HOME} it's "a" \\ \`b\` -- /* \n 😀 {{x}} #`;
    const type = { id: 'VARCHAR', width: 0, scale: 0 };
    const printed = print({ kind: 'constant', type, value });
    assert.match(printed, /^'[A-Za-z0-9 _.,:;=+*/()<>\\-]*'$/);
    assert.equal(JSON.parse(`"${printed.slice(1, -1)}"`), value);
  });

  it('writes patterns for Java and refuses what the two read differently', () => {
    assert.equal(regexToJava('^a.[b-d\\d]+?$', ''), '\\Aa.[b-d0-9]+?\\z');
    for (const pattern of ['(?=a)', '(?i)a', '(a)\\1', 'a*+', '(a*)*', '\\pL', 'a{', '[', '\\Q']) {
      assert.throws(() => regexToJava(pattern, ''), SqlRefusal, pattern);
    }
    assert.throws(() => regexToJava('é', 'i'), SqlRefusal);
  });
});
