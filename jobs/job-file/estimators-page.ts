/**
 * The page of estimators, printed from their own schemas: what each fits, its parameters, what the
 * trials of a search share, and how far from scikit-learn's its answers were measured.
 */
import * as z from 'zod';
import type { Estimator, ParamValue, Task } from '../estimators/estimator.js';
import { shownParam } from '../format.js';
import { parametersOf } from './model-schema.js';

const HEAD = `# Estimators

<!-- Printed from jobs/estimators by \`npm run schema\`; do not edit. -->

Parameters have scikit-learn's names and stand in \`model\`, or with values to try in \`search.grid\`; a grid of several has a candidate for
every combination. Answers equal scikit-learn's on the same rows: the last column is the largest difference of a score, prediction or
probability, relative to its size where that is above 1, as \`npm run bench -- estimators\` last measured it.

What the trials of a search share depends on what a fit reads:

- **moments**: sums of products of the columns, by group of rows. One pass over the data makes them for all candidates and splits, and for
  every other estimator that reads moments; adding a penalty or another such estimator costs no pass.
- **classes**: sums by class. One pass for all candidates and splits.
- **rows**: passes until a fit converges. Candidates and splits that differ only in the parameters marked with a star train as one stack: an
  iteration is one pass (one Spark job) for all of them, and a model that is done leaves it.

Smooth losses are solved by the cheapest of three for the rows, columns, classes and models of the search: Newton's method on weighted Gram
matrices (a model of one output), L-BFGS in eigenvectors of the Gram matrix of all rows, or L-BFGS in the columns as they are, which are many.
\`reprise plan\` says which, and what the others would cost. All end at the same point, within \`tol\`.
`;

const TASKS: Readonly<Record<Task, string>> = {
  regression: 'Regression',
  classification: 'Classification',
  clustering: 'Clustering',
  decomposition: 'Decomposition',
};

/** @param agreement largest difference from scikit-learn by estimator; those measured */
export function estimatorsPage(
  estimators: readonly Estimator[],
  agreement: ReadonlyMap<string, number>,
): string {
  const chapters = (Object.keys(TASKS) as Task[]).flatMap((task) => {
    const own = estimators.filter((estimator) => estimator.task === task);
    return own.length === 0 ? [] : [chapter(TASKS[task], own, agreement)];
  });
  return [HEAD, ...chapters].join('\n');
}

function chapter(
  title: string,
  estimators: readonly Estimator[],
  agreement: ReadonlyMap<string, number>,
): string {
  const rows = estimators.map((estimator) => {
    const { name, alias, description, reads, solver } = estimator;
    const parameters = parametersOf(estimator).map(
      ({ name: own, fallback }) => `\`${own}\`${star(estimator, own)} ${shown(fallback)}`,
    );
    const measured = agreement.get(name);
    const difference = measured === undefined ? 'not yet measured' : measured.toExponential(0);
    const names = [name, ...(alias ? [alias] : [])].map((one) => `\`${one}\``).join(', ');
    return [names, description, parameters.join(', '), reads, solver, difference];
  });
  const head = [
    '`model.type`',
    'what it is',
    'parameters and defaults',
    'reads',
    'solved by',
    'difference',
  ];
  const notes = estimators.map((estimator) => {
    const lines = parametersOf(estimator).map(
      ({ name, range, description }) =>
        `  - \`${name}\`${star(estimator, name)}, ${rangeText(range)}: ${description}`,
    );
    return [`- \`${estimator.name}\``, ...lines].join('\n');
  });
  return `## ${title}\n\n${table([head, ...rows])}\n\n${notes.join('\n')}\n`;
}

function table([head, ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head!), line(head!.map(() => '---')), ...rows.map(line)].join('\n');
}

function star(estimator: Estimator, parameter: string): string {
  return estimator.reads === 'rows' && estimator.stacked.includes(parameter) ? '\\*' : '';
}

function shown(value: ParamValue): string {
  return String(shownParam(value));
}

interface JsonRange {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
  readonly items?: JsonRange;
  readonly additionalProperties?: JsonRange | false;
  readonly properties?: Readonly<Record<string, JsonRange>>;
  readonly anyOf?: readonly JsonRange[];
}

/** What values a parameter may have, in words. */
function rangeText(range: z.ZodType): string {
  return textOf(z.toJSONSchema(range) as JsonRange);
}

function textOf(range: JsonRange): string {
  if (range.anyOf) return range.anyOf.map(textOf).join(' or ');
  if (range.type === 'array') return range.items ? `a list, each ${textOf(range.items)}` : 'a list';
  if (range.properties) return `a map of ${Object.keys(range.properties).join(', ') || 'nothing'}`;
  if (range.type === 'object') return `a map to ${textOf(range.additionalProperties as JsonRange)}`;
  if (range.enum) return range.enum.map((value) => `\`${value}\``).join(', ');
  if (range.const !== undefined) return `\`${range.const}\``;
  if (range.type === 'null') return 'null';
  if (range.type === 'boolean') return 'true or false';
  const noun = range.type === 'integer' ? 'a whole number' : 'a number';
  const bounds = [
    ...(range.minimum === undefined ? [] : [`from ${range.minimum}`]),
    ...(range.exclusiveMinimum === undefined ? [] : [`above ${range.exclusiveMinimum}`]),
    ...(isFar(range.maximum) ? [] : [`to ${range.maximum}`]),
    ...(range.exclusiveMaximum === undefined ? [] : [`below ${range.exclusiveMaximum}`]),
  ];
  return [noun, ...bounds].join(' ');
}

/** No bound, or that of whole numbers. */
function isFar(maximum: number | undefined): boolean {
  return maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER;
}
