/**
 * Puts data where others look for them: a file, or a folder that grows. Invariants: what is there is
 * whole, before and after; adding the same data again adds nothing.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { ConfigError, DataError, type FrameEngine } from '../../driver/index.js';
import type { FrameDescription } from '../../driver/ir/frame-engine.js';
import { writeWhole } from '../predict/whole-file.js';
import { writeBySpark } from './spark-output.js';
import {
  csvFormat,
  describeInput,
  isOfSpark,
  isSparkPlace,
  type PlaceKind,
  placeKind,
} from './step-data.js';
import { defineStep, type StepContext, type StepOutput, type StepPlace } from './step-kind.js';
import { sourceInput, sourceSchema } from './step-source.js';

const schema = z.strictObject({
  write: sourceSchema.meta({ description: 'The data: a path, or {step: NAME}.' }),
  to: z.string().min(1).max(4096).meta({
    description:
      'A .parquet, .csv or .csv.gz file, a folder of Parquet files, or by Spark hdfs://.., s3a://.., table://NAME.',
  }),
  mode: z.enum(['replace', 'append']).optional().meta({
    description:
      'Of a folder: `replace` what is there, or `append` a file, once for the same data. Default: replace.',
  }),
  csv: z
    .strictObject({
      delimiter: z.string().length(1).optional().meta({ description: 'Default: a comma.' }),
      header: z.boolean().optional().meta({ description: 'Default: true.' }),
      null: z.string().max(100).optional().meta({
        description: 'What stands for a missing value. Default: nothing.',
      }),
    })
    .optional()
    .meta({ description: 'How a CSV file is written.' }),
});
type WriteDocument = z.output<typeof schema>;

const DATA = 'data';
const WRITTEN = 'data';

export const writeStep = defineStep({
  name: 'write',
  version: 1,
  schema,
  bind(document, place) {
    const { mode = 'replace', csv } = document;
    const kind = targetKind(document, place);
    const input = sourceInput(DATA, document.write, ['write'], place);
    const output: StepOutput = {
      name: WRITTEN,
      path: place.path(['to'], document.to),
      file: WRITTEN,
      ...(mode === 'append' ? { isDirect: true } : {}),
      at: ['to'],
    };
    const where = place.where(['to']);
    const isOnSpark = (pathOf: (name: string) => string): boolean =>
      isSparkPlace(kind) || isOfSpark(pathOf(DATA));
    return {
      inputs: [input],
      outputs: [output],
      parameters: { mode, ...(csv === undefined ? {} : { csv }), kind },
      isOnSpark,
      async run(context) {
        const rows = isOnSpark((name) => context.input(name).path)
          ? await writeThere(context, document, kind, where)
          : await writeHere(context, document, kind, where);
        return { rows: { [WRITTEN]: rows } };
      },
    };
  },
});

function targetKind({ to, mode, csv }: WriteDocument, place: StepPlace): PlaceKind {
  const kind = placeKind(to);
  if (kind === undefined) {
    const places =
      'a .parquet, .csv or .csv.gz file, a folder, hdfs://.., s3a://.. or table://NAME';
    place.fail(['to'], `expected ${places}, got ${to}`);
  }
  if (mode !== undefined && kind !== 'folder') {
    const message = `expected \`mode\` of a folder of this machine only, got it for ${to}; remove it`;
    place.fail(['mode'], message);
  }
  if (csv !== undefined && kind !== 'csv') {
    place.fail(['csv'], `expected \`csv\` of a CSV file only, got it for ${to}; remove it`);
  }
  return kind;
}

async function writeThere(
  context: StepContext,
  { mode }: WriteDocument,
  kind: PlaceKind,
  where: string,
): Promise<number> {
  const { spark, frames } = await context.open('spark');
  if (mode === 'append') {
    const { path } = context.input(DATA);
    const message = `${where}: expected data of this machine to append, got ${path}; name another folder each time`;
    throw new ConfigError(message, { key: 'mode', value: mode });
  }
  const { source } = await describeInput(frames, context.input(DATA));
  const tables = [{ name: DATA, source }];
  const query = { sql: `SELECT * FROM ${DATA}`, place: where, tables, signal: context.signal };
  return writeBySpark(spark!, query, context.output(WRITTEN), kind);
}

async function writeHere(
  context: StepContext,
  document: WriteDocument,
  kind: PlaceKind,
  where: string,
): Promise<number> {
  const { duckdb } = await context.open('local');
  const description = await describeInput(duckdb!, context.input(DATA));
  const target = context.output(WRITTEN);
  const copy = (path: string): Promise<void> => write(description, path, document, context);
  if (kind !== 'folder') await copy(target);
  else if (document.mode === 'append') {
    await requireSameColumns(duckdb!, target, description, where);
    await writeWhole(join(target, `${nameOf(description.source)}.parquet`), copy, where);
  } else {
    await mkdir(target, { recursive: true });
    await copy(join(target, 'part-0.parquet'));
  }
  return description.rows;
}

/** @throws DataError when a folder has files of other columns, which nobody could read then */
async function requireSameColumns(
  engine: FrameEngine,
  folder: string,
  { columns }: FrameDescription,
  place: string,
): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  if (!names.some((name) => name.endsWith('.parquet'))) return;
  const there = await engine.describe(folder);
  const [before, now] = [there.columns, columns].map((some) =>
    some.map(({ name, engineType }) => `${name} ${engineType}`).join(', '),
  );
  if (before === now) return;
  throw new DataError(
    `${place}: expected the columns of the files there (${before}), got ${now}; name the same in the same order, or another folder`,
    { path: folder },
  );
}

/** All rows to a file; one Parquet file to another as it is. */
async function write(
  { source }: Pick<FrameDescription, 'source'>,
  path: string,
  { to, csv = {} }: WriteDocument,
  { open, signal }: StepContext,
): Promise<void> {
  const { files, format, options } = source;
  const isCsv = placeKind(to) === 'csv';
  const [file] = files;
  if (!isCsv && format === 'parquet' && files.length === 1 && !options && !file?.partition) {
    await copyFile(file!.path, path, constants.COPYFILE_FICLONE);
    return;
  }
  const { duckdb } = await open('local');
  const sandbox = await duckdb!.queries([{ name: DATA, source }], { outputs: [path], signal });
  const { delimiter, header, null: missing } = csv;
  const asked = isCsv
    ? csvFormat(to, {
        ...(delimiter === undefined ? {} : { delimiter }),
        ...(header === undefined ? {} : { header }),
        ...(missing === undefined ? {} : { null: missing }),
      })
    : { format: 'parquet' as const };
  try {
    await sandbox.copyTo({ sql: `SELECT * FROM ${DATA}`, place: `writing ${to}` }, path, asked);
  } finally {
    sandbox.close();
  }
}

/** By content: the same data have the same name. */
function nameOf({ files, options }: FrameDescription['source']): string {
  const hash = createHash('sha256').update(JSON.stringify(options ?? null));
  for (const { digest, partition } of files)
    hash.update(JSON.stringify([digest, partition ?? null]));
  return `data-${hash.digest('hex').slice(0, 16)}`;
}
