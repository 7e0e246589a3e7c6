/**
 * A query over files and over what other steps leave, its rows in a file: by DuckDB in this process.
 * Invariants: it reads its inputs alone, as jobs read them, and equal inputs leave an equal file,
 * row by row; what no query may be is refused before any step runs.
 */
import { z } from 'zod';
import type { Query, QueryFormat } from '../../gpu-executor/cpu/index.js';
import { duckDbFact, requireQueryText } from './query-text.js';
import { csvFormat, describeInput, placeKind } from './step-data.js';
import { defineStep, type StepContext, type StepOutput, type StepResult } from './step-kind.js';
import { sourceInput, sourceSchema } from './step-source.js';

const MAX_THREADS = 256;

const tableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/, {
  error: 'a name of letters, digits and _, which does not begin with a digit',
});

const schema = z.strictObject({
  sql: z.string().min(1).max(1_000_000).meta({
    description: "One SELECT of DuckDB's SQL over the inputs; its rows are the step's output.",
  }),
  inputs: z.record(tableName, sourceSchema).default({}).meta({
    description: 'What the query reads, by the names it has there.',
  }),
  output: z.string().min(1).max(4096).optional().meta({
    description: "A .parquet, .csv or .csv.gz file. Default: a file in the pipeline's own folder.",
  }),
  threads: z.int().min(1).max(MAX_THREADS).optional().meta({
    description:
      'More are faster, but rows may come in another order and sums differ in the last digits. Default: 1.',
  }),
});

const OUTPUT = 'rows';

export const sqlStep = defineStep({
  name: 'sql',
  version: 1,
  schema,
  async bind(document, place) {
    const { sql, threads = 1 } = document;
    const names = Object.keys(document.inputs);
    const lower = names.map((name) => name.toLowerCase());
    const twice = names.find((_, i) => lower.indexOf(lower[i]!) !== i);
    if (twice !== undefined) {
      place.fail(
        ['inputs', twice],
        'expected names that differ in more than case, as SQL has them',
      );
    }
    const inputs = names.map((name) =>
      sourceInput(name, document.inputs[name]!, ['inputs', name], place),
    );
    const output: StepOutput = {
      name: OUTPUT,
      file: `${OUTPUT}.parquet`,
      ...(document.output === undefined ? {} : { path: place.path(['output'], document.output) }),
      at: ['output'],
    };
    const kind = placeKind(output.path ?? output.file);
    if (kind !== 'parquet' && kind !== 'csv') {
      place.fail(
        ['output'],
        `expected a name that ends in .parquet, .csv or .csv.gz, got ${document.output}`,
      );
    }
    const query = { sql, place: place.where(['sql']) };
    await requireQueryText(sql, names, ['sql'], place);
    const duckdb = await duckDbFact();
    const format = kind === 'parquet' ? { format: kind } : csvFormat(output.path!);
    return {
      inputs,
      outputs: [output],
      parameters: { sql, threads, duckdb },
      run: (context) => run(context, query, names, { threads, format }),
    };
  },
});

async function run(
  context: StepContext,
  query: Query,
  names: readonly string[],
  { threads, format }: { readonly threads: number; readonly format: QueryFormat },
): Promise<StepResult> {
  const { duckdb } = await context.open('local');
  const inputs = await Promise.all(
    names.map(async (name) => {
      return { name, source: (await describeInput(duckdb!, context.input(name))).source };
    }),
  );
  const path = context.output(OUTPUT);
  const { signal } = context;
  const sandbox = await duckdb!.queries(inputs, { threads, outputs: [path], signal });
  try {
    return { rows: { [OUTPUT]: await sandbox.copyTo(query, path, format) } };
  } finally {
    sandbox.close();
  }
}
