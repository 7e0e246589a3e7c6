/**
 * Names, categories, literals and paths that would mean something in a program's text: quotes,
 * backslashes, line ends, interpolations, comments. Each arrives as data on both engines.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { DataError } from '../../driver/errors.js';
import { hostileTexts } from '../support/hostile-text.js';
import { duckdb, type JobFolder } from '../support/job-folder.js';
import { type Case, recordOf } from './case.js';

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const named = (text: string): string => `"${text.replaceAll('"', '""')}"`;
/** All but what Hadoop takes for a variable, see the last case. */
const NAMES = hostileTexts.filter((text) => !text.startsWith('$'));
const LABEL = `it's "${NAMES.join('')}"`;
const TARGET = `y ${LABEL}`;

/** A number column of each name and a text column of all of them, in a folder of such a name. */
async function prepare(folder: JobFolder): Promise<void> {
  const columns = NAMES.map((name, k) => `sin(i * ${k + 1}) AS ${named(`n ${name}`)}`);
  const label = `[${hostileTexts.map(quoted).join(', ')}][1 + i % ${hostileTexts.length}]`;
  const select = `SELECT ${columns.join(', ')}, ${label} AS ${named(LABEL)}, i % 7 + sin(i) AS ${named(TARGET)} FROM range(120) t(i)`;
  const path = folder.file(hostileTexts.filter((text) => !text.includes('*')).join(' '));
  mkdirSync(path);
  await duckdb(`COPY (${select}) TO ${quoted(`${path}/part.parquet`)} (FORMAT parquet)`);
  const isDrop = `CASE WHEN ${named(LABEL)} = ${quoted(hostileTexts[1]!)} THEN 1 ELSE 0 END`;
  folder.job({
    data: {
      path,
      target: TARGET,
      features: [
        ...NAMES.map((name) => `n ${name}`),
        { name: LABEL, encode: 'onehot' },
        { name: 'of the 2nd', sql: isDrop, encode: 'onehot' },
      ],
    },
  });
}

/** A Parquet file with a column of `name`, and a job over it. */
const column =
  (name: string) =>
  async (folder: JobFolder): Promise<void> => {
    const select = `SELECT sin(i) AS ${named(name)}, i AS y FROM range(40) t(i)`;
    await duckdb(`COPY (${select}) TO '${folder.file('data.parquet')}' (FORMAT parquet)`);
    folder.job({ data: { path: 'data.parquet', target: 'y' } });
  };

export const hostileCases: readonly Case[] = [
  {
    name: 'takes names, categories, literals and paths as data, whatever stands in them',
    prepare,
    check: (outcome) => {
      const columns = recordOf(outcome).search.model?.columns ?? [];
      const categories = hostileTexts.map((text) =>
        text.startsWith('"') ? `${LABEL}=${JSON.stringify(text)}` : `${LABEL}=${text}`,
      );
      const numbers = NAMES.map((name) => `n ${name}`);
      const wanted = [...numbers, ...categories, 'of the 2nd=0', 'of the 2nd=1'];
      assert.deepEqual(columns.toSorted(), wanted.toSorted());
    },
  },
  {
    name: 'reads the one file of a name that is a pattern too',
    prepare: async (folder) => {
      for (const [name, rows] of [
        ['a*[b]?.parquet', 40],
        ['a1b2.parquet', 90],
      ]) {
        await duckdb(
          `COPY (SELECT CAST(i AS DOUBLE) AS x, sin(i) AS y FROM range(${rows}) t(i)) TO '${folder.file(`${name}`)}' (FORMAT parquet)`,
        );
      }
      folder.job({ data: { path: 'a*[b]?.parquet', target: 'y' } });
    },
    check: (outcome) => assert.equal(recordOf(outcome).search.rows, 40),
  },
  {
    // Hadoop puts the user's name in its place, and Spark finds no such column.
    name: 'reads a column whose name is a variable of Hadoop, or says that it can not',
    prepare: column(`\${user.name}`),
    check: (outcome) => {
      if (outcome.engine === 'local') assert.equal(recordOf(outcome).search.columns, 1);
      else {
        assert.ok(outcome.error instanceof DataError, String(outcome.error));
        assert.match(outcome.error.message, /user\.name.*a name that Hadoop reads as a variable/);
      }
    },
  },
];
