/**
 * A query over files and over what other steps leave, its rows in a file: by DuckDB in this process,
 * or by Spark. Invariants: it reads its inputs alone, as jobs read them; what no query may be is
 * refused, of DuckDB's before any step runs; of DuckDB's, equal inputs leave an equal file, row by
 * row.
 */
import * as z from 'zod';
import { duckDbFact, requireQueryText } from './query-text.js';
import { writeBySpark } from './spark-output.js';
import { csvFormat, describeInput, isOfSpark, type PlaceKind, placeKind } from './step-data.js';
import {
  defineStep,
  type StepContext,
  type StepInput,
  type StepOutput,
  type StepPlace,
  type StepResult,
} from './step-kind.js';
import { sourceInput, sourceSchema } from './step-source.js';

const MAX_THREADS = 256;

const tableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/, {
  error: 'a name of letters, digits and _, which does not begin with a digit',
});

const schema = z.strictObject({
  sql: z.string().min(1).max(1_000_000).meta({
    description: "One SELECT over the inputs; its rows are the step's output.",
  }),
  inputs: z.record(tableName, sourceSchema).default({}).meta({
    description: 'What the query reads, by the names it has there.',
  }),
  output: z.string().min(1).max(4096).optional().meta({
    description:
      "A .parquet, .csv or .csv.gz file; of Spark a .parquet file, a folder, hdfs://.., s3a://.. or table://NAME. Default: kept in the pipeline's own folder.",
  }),
  engine: z.enum(['duckdb', 'spark']).default('duckdb').meta({
    description: 'Whose SQL it is, and who runs it. Default: duckdb.',
  }),
  threads: z.int().min(1).max(MAX_THREADS).optional().meta({
    description:
      'Of DuckDB: more are faster, but rows may come in another order and sums differ in the last digits. Default: 1.',
  }),
});
type SqlDocument = z.output<typeof schema>;

const OUTPUT = 'rows';

/** A query as it is to be run. */
interface SqlWork {
  readonly document: SqlDocument;
  readonly names: readonly string[];
  readonly kind: PlaceKind;
  readonly place: string;
}

export const sqlStep = defineStep({
  name: 'sql',
  version: 1,
  schema,
  async bind(document, place) {
    const { sql, engine, threads = 1 } = document;
    const isSpark = engine === 'spark';
    const inputs = inputsOf(document, place);
    const names = inputs.map(({ name }) => name);
    const output: StepOutput = {
      name: OUTPUT,
      file: isSpark ? OUTPUT : `${OUTPUT}.parquet`,
      ...(document.output === undefined ? {} : { path: place.path(['output'], document.output) }),
      at: ['output'],
    };
    const kind = outputKind(document, output, place);
    if (!isSpark) await requireQueryText(sql, names, ['sql'], place);
    if (isSpark && document.threads !== undefined) {
      place.fail(['threads'], 'expected `threads` with engine duckdb only, got it; remove it');
    }
    const work = { document, names, kind, place: place.where(['sql']) };
    return {
      inputs,
      outputs: [output],
      parameters: { sql, ...(isSpark ? { engine } : { threads, duckdb: await duckDbFact() }) },
      isOnSpark: () => isSpark,
      run: (context) => (isSpark ? runBySpark(context, work) : runByDuckDb(context, work)),
    };
  },
});

function inputsOf({ inputs, engine }: SqlDocument, place: StepPlace): StepInput[] {
  const names = Object.keys(inputs);
  const lower = names.map((name) => name.toLowerCase());
  const twice = names.find((_, i) => lower.indexOf(lower[i]!) !== i);
  if (twice !== undefined) {
    const message = 'expected names that differ in more than case, as SQL has them';
    place.fail(['inputs', twice], message);
  }
  return names.map((name) => {
    const at = ['inputs', name];
    const input = sourceInput(name, inputs[name]!, at, place);
    if (engine !== 'spark' && 'path' in input.from && isOfSpark(input.from.path)) {
      const message = `expected a file of this machine, got ${input.from.path}; say \`engine: spark\``;
      place.fail(at, message);
    }
    return input;
  });
}

function outputKind(
  { engine, output: given }: SqlDocument,
  output: StepOutput,
  place: StepPlace,
): PlaceKind {
  const kind = placeKind(given ?? output.file);
  if (engine === 'spark') {
    if (kind !== undefined && kind !== 'csv') return kind;
    const places = 'a .parquet file, a folder, hdfs://.., s3a://.. or table://NAME';
    return place.fail(['output'], `expected ${places}, got ${given}`);
  }
  if (kind === 'parquet' || kind === 'csv') return kind;
  const remedy = kind === undefined ? '' : '; say `engine: spark` for other places';
  const message = `expected a name that ends in .parquet, .csv or .csv.gz, got ${given}${remedy}`;
  return place.fail(['output'], message);
}

async function runByDuckDb(
  context: StepContext,
  { document, names, kind, place }: SqlWork,
): Promise<StepResult> {
  const { duckdb } = await context.open('local');
  const inputs = await Promise.all(
    names.map(async (name) => {
      return { name, source: (await describeInput(duckdb!, context.input(name))).source };
    }),
  );
  const path = context.output(OUTPUT);
  const { sql, threads = 1, output = '' } = document;
  const format = kind === 'csv' ? csvFormat(output) : { format: 'parquet' as const };
  const { signal } = context;
  const sandbox = await duckdb!.queries(inputs, { threads, outputs: [path], signal });
  try {
    return { rows: { [OUTPUT]: await sandbox.copyTo({ sql, place }, path, format) } };
  } finally {
    sandbox.close();
  }
}

async function runBySpark(
  context: StepContext,
  { document, names, kind, place }: SqlWork,
): Promise<StepResult> {
  const { spark, frames } = await context.open('spark');
  const tables = await Promise.all(
    names.map(async (name) => {
      return { name, source: (await describeInput(frames, context.input(name))).source };
    }),
  );
  const { signal } = context;
  const query = { sql: document.sql, place, tables, signal };
  return { rows: { [OUTPUT]: await writeBySpark(spark!, query, context.output(OUTPUT), kind) } };
}
