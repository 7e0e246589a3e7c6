/** The schema of settings files takes what the files take, and tells an editor of what they refuse. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { packageRoot } from '../../../../driver/support/package-root.js';
import { expectedOf } from '../../../../jobs/config/check-value.js';
import { SETTINGS } from '../../../../jobs/config/settings.js';
import { settingsJsonSchema, settingsSchema } from '../../../../jobs/config/settings-schema.js';

const VALUES: readonly unknown[] = [
  ...['auto', 'none', 'x', '', '5GiB', '500MB', '50%', '7', '1.5', '-1', 'http://host:8998'],
  ...[0, 3, 1.5, -1, true, null, ['a'], [''], {}, { env: 'NAME' }, { file: 'f', env: 'g' }],
];

describe('the schema of settings files', () => {
  const schema = settingsSchema();
  const takes = (key: string, value: unknown): boolean => {
    const [first = '', second] = key.split('.');
    const document = second === undefined ? { [first]: value } : { [first]: { [second]: value } };
    return schema.safeParse(document).success;
  };

  for (const setting of SETTINGS.filter(({ kind }) => kind !== 'secret' && kind !== 'conf')) {
    it(`takes every value of ${setting.key}`, () => {
      const values = [...VALUES, ...(setting.words ?? [])];
      const right = values.filter((value) => expectedOf(setting, value) === undefined);
      assert.ok(right.length > 0);
      for (const value of right) assert.ok(takes(setting.key, value), JSON.stringify(value));
    });
  }

  it('takes the file of the docs, and none of what is wrong', () => {
    const page = readFileSync(join(packageRoot(), 'docs/configuration.md'), 'utf8');
    const [, shown] = /```yaml\n(# reprise\.yaml\n[^`]+)```/.exec(page)!;
    assert.deepEqual(schema.safeParse(parse(shown!)).error, undefined);
    for (const [key, value] of [
      ['engine', 'sprak'],
      ['store.sise', '1GiB'],
      ['threads', -1],
      ['threads', 'all of them'],
      ['livy.token', 'sesame-open'],
      ['spark.packages', 'one'],
      ['spark.conf', { 'spark.x': ['y'] }],
    ] as const)
      assert.ok(!takes(key, value), `${key}: ${JSON.stringify(value)}`);
  });

  it('says what each key means', () => {
    const { properties } = JSON.parse(settingsJsonSchema());
    assert.match(properties.engine.description, /^where jobs run\. Default: auto\.$/);
    assert.deepEqual(properties.engine.enum, ['auto', 'local', 'spark']);
    assert.equal(properties.livy.additionalProperties, false);
  });
});
