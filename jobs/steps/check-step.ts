/**
 * Checks of data: counts, ranges, missing values, types, values, conditions. Invariants: all checks
 * are made, whichever fail; those of columns and rows are one scan, of the files alone that were not
 * looked at before; a step that fails says of each check what was asked and what is there.
 */
import * as z from 'zod';
import { DataError, FileProfiles, type FrameEngine } from '../../driver/index.js';
import type { ColumnProfile, FrameSource, ProfileRequest } from '../../driver/ir/frame-engine.js';
import type { OpenSession } from '../engines.js';
import { QUERIED, queryFindings, type Where } from './check-queries.js';
import {
  CHECK_TYPES,
  type Check,
  type CheckFinding,
  columnChecks,
  conditionCheck,
  failingRows,
  rowsFinding,
} from './checks.js';
import { duckDbFact, requireQueryText } from './query-text.js';
import { describeInput, isOfSpark } from './step-data.js';
import { defineStep, type StepContext } from './step-kind.js';
import { sourceInput, sourceSchema } from './step-source.js';

const name = z.string().min(1).max(500);
const bound = z.union([
  z.number(),
  z.string().regex(/^\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?$/, {
    error: 'a number, or a date such as 2013-01-31',
  }),
]);

const columnSchema = z
  .strictObject({
    type: z.enum(CHECK_TYPES).optional().meta({ description: 'Type of the column.' }),
    min: bound.optional().meta({ description: 'Least value, a number or a date.' }),
    max: bound.optional().meta({ description: 'Greatest value, a number or a date.' }),
    missing: z
      .number()
      .refine((share) => share >= 0 && share <= 1, { error: 'a share from 0 to 1, such as 0.05' })
      .optional()
      .meta({
        description: 'Greatest share of rows without a value, 0 to 1.',
        minimum: 0,
        maximum: 1,
      }),
    not_null: z.literal(true).optional().meta({ description: 'A value in every row.' }),
    unique: z.literal(true).optional().meta({ description: 'No value stands in two rows.' }),
    values: z
      .array(z.union([z.string(), z.number(), z.boolean()]))
      .min(1)
      .max(10_000)
      .optional()
      .meta({ description: 'The values there may be; missing ones aside.' }),
  })
  .meta({ id: 'column_checks' });

const count = z.int().min(0);

const schema = z.strictObject({
  check: sourceSchema.meta({ description: 'The data: a path, or {step: NAME}.' }),
  rows: z
    .strictObject({
      min: count.optional().meta({ description: 'Least number of rows.' }),
      max: count.optional().meta({ description: 'Greatest number of rows.' }),
    })
    .optional()
    .meta({ description: 'How many rows there may be.' }),
  columns: z.record(name, columnSchema).optional().meta({
    description: 'What columns must be, by name.',
  }),
  unique: z
    .array(z.union([name, z.array(name).min(1).max(100)]))
    .min(1)
    .optional()
    .meta({ description: 'Columns whose values together stand in one row: a list, or several.' }),
  conditions: z.array(z.string().min(1).max(10_000)).max(1000).optional().meta({
    description: 'Expressions over the columns, each true in every row.',
  }),
  sql: z.array(z.string().min(1).max(100_000)).max(1000).optional().meta({
    description: 'Queries over the table `data`, each of which answers true.',
  }),
});
type CheckDocument = z.output<typeof schema>;

const DATA = QUERIED;

export const dataCheckStep = defineStep({
  name: 'check',
  version: 1,
  schema,
  async bind(document, place) {
    const { check, ...asked } = document;
    const isAsked = Object.values(asked).some((value) => value !== undefined);
    if (!isAsked) {
      place.fail(
        ['check'],
        'expected something to check, got only the data; say `rows`, `columns`, `unique`, `conditions` or `sql`',
      );
    }
    for (const [i, sql] of (asked.sql ?? []).entries()) {
      await requireQueryText(sql, [DATA], ['sql', i], place);
    }
    const input = sourceInput(DATA, check, ['check'], place);
    return {
      inputs: [input],
      outputs: [],
      parameters: { ...asked, duckdb: await duckDbFact() },
      isOnSpark: (pathOf) => isOfSpark(pathOf(DATA)),
      async run(context) {
        const findings = await allFindings(context, asked, (path) => place.where(path));
        report(context, findings);
        requireAll(findings, place.where(['check']));
        return {};
      },
    };
  },
});

type Asked = Omit<CheckDocument, 'check'>;

async function allFindings(
  context: StepContext,
  asked: Asked,
  where: Where,
): Promise<CheckFinding[]> {
  const input = context.input(DATA);
  const open = await context.open(isOfSpark(input.path) ? 'spark' : 'local');
  const description = await describeInput(open.frames, input);
  const checks = [
    ...Object.entries(asked.columns ?? {}).flatMap(([column, { not_null: whole, ...rest }]) =>
      columnChecks(column, { ...rest, ...(whole ? { missing: 0 } : {}) }, description.columns),
    ),
    ...(asked.conditions ?? []).map(conditionCheck),
  ];
  return [
    ...(asked.rows === undefined ? [] : [rowsFinding(description.rows, asked.rows)]),
    ...(await judged(checks, open, description.source, context, asked, where)),
    ...(await queryFindings(open, description.source, context.signal, asked, where)),
  ];
}

/** What the checks find, all of them in one profile. */
async function judged(
  checks: readonly Check[],
  open: OpenSession,
  source: FrameSource,
  context: StepContext,
  { conditions = [] }: Asked,
  where: Where,
): Promise<CheckFinding[]> {
  const requests = [...distinct(checks.flatMap((check) => check.requests)).values()];
  const found = new Map<string, ColumnProfile>();
  const profile = async (
    engine: Pick<FrameEngine, 'profile'>,
    some: readonly ProfileRequest[],
  ): Promise<void> => {
    const profiles = some.length === 0 ? [] : await engine.profile(source, some);
    for (const [i, one] of some.entries()) found.set(keyOf(one), profiles[i]!);
  };
  const run = open.session.run({ signal: context.signal });
  try {
    // Which values stand twice in all files can't be told from those of each.
    const whole = requests.filter(({ top }) => top === 1);
    const kept = new FileProfiles(open.frames, run);
    await profile(
      kept,
      requests.filter((one) => !whole.includes(one)),
    );
    await profile(open.frames, whole);
  } catch (error) {
    throw ofCondition(error, conditions, where);
  }
  return checks.map((check) => check.judge(check.requests.map((one) => found.get(keyOf(one))!)));
}

/** An error in a condition says the condition, and where it stands. */
function ofCondition(error: unknown, conditions: readonly string[], where: Where): unknown {
  if (!(error instanceof DataError)) return error;
  const { expression } = error.facts;
  const at = conditions.findIndex((one) => one === expression || failingRows(one) === expression);
  if (at < 0) return error;
  const condition = conditions[at]!;
  const shown = JSON.stringify(condition);
  const message = error.message.replaceAll(JSON.stringify(failingRows(condition)), shown);
  const facts = { ...error.facts, expression: condition };
  return new DataError(`${where(['conditions', at])}: ${message}`, facts, { cause: error });
}

function report(context: StepContext, findings: readonly CheckFinding[]): void {
  const failed = findings.filter(({ holds }) => !holds);
  const many = findings.length === 1 ? '1 check' : `${findings.length} checks`;
  context.report({
    note: failed.length === 0 ? `${many} passed` : `${failed.length} of ${many} failed`,
    table: [
      ['data', 'expected', 'got', 'result'],
      ...findings.map(({ subject, expected, got, holds }) => {
        return [subject, expected, got, holds ? 'passed' : 'failed'];
      }),
    ],
  });
}

/** @throws DataError naming every check that failed */
function requireAll(findings: readonly CheckFinding[], place: string): void {
  const failed = findings.filter(({ holds }) => !holds);
  if (failed.length === 0) return;
  const lines = failed.map(
    ({ subject, expected, got }) => `${subject}: expected ${expected}, got ${got}`,
  );
  const text = lines.length === 1 ? ` ${lines[0]}` : `\n  ${lines.join('\n  ')}`;
  throw new DataError(`${place}: ${failed.length} of ${findings.length} checks failed:${text}`, {
    failed: failed.length,
    checks: findings.length,
  });
}

function distinct(requests: readonly ProfileRequest[]): Map<string, ProfileRequest> {
  return new Map(requests.map((one) => [keyOf(one), one]));
}

function keyOf(request: ProfileRequest): string {
  return JSON.stringify(request);
}
