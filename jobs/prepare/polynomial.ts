/**
 * Products of columns with each other: scikit-learn's `PolynomialFeatures`, in its order.
 */
import * as z from 'zod';
import { matrix } from '../../driver/index.js';
import { Columns } from './columns.js';
import { cellRows } from './rows.js';
import { invalid, type PrepareStep, requireComplete } from './step.js';
import { termCells } from './terms.js';

const parameters = z.strictObject({
  degree: z.int().min(1).max(5).default(2).meta({ description: 'Most factors of a product.' }),
  interaction_only: z.boolean().default(false).meta({
    description: 'Only products of different columns.',
  }),
  include_bias: z.boolean().default(false).meta({ description: 'Also a column of ones.' }),
});

type PolynomialParams = z.output<typeof parameters>;

/** More are nearly always a mistake: their products with each other are as many squared. */
const MOST_COLUMNS = 20_000;

export const polynomialStep: PrepareStep = {
  name: 'polynomial',
  description: "Adds products of columns: scikit-learn's `PolynomialFeatures`.",
  main: 'degree',
  parameters,
  makesRows: true,
  joined: (all) => {
    const params = all as readonly PolynomialParams[];
    const degree = Math.max(...params.map((one) => one.degree));
    const bias = params.some((one) => one.include_bias);
    const isOnly = params.every((one) => one.interaction_only);
    const largest = params.find((one) => one.degree === degree && one.interaction_only === isOnly);
    // More products than any candidate has would cost more than they save.
    return largest && { ...largest, include_bias: bias };
  },
  apply: (all, given, _, within = given) => {
    const params = given as PolynomialParams;
    return all.map((columns) => {
      requireComplete(columns, 'polynomial');
      const made = expanded(columns, polynomialTerms(columns.width, within as PolynomialParams));
      const wanted = polynomialTerms(columns.width, params).map(String);
      const terms = made.rows.made!.facts.terms as readonly number[][];
      if (wanted.length === terms.length) return made;
      const places = new Map(terms.map((term, t) => [String(term), t]));
      const pick = new Float64Array(terms.length * wanted.length);
      for (const [k, term] of wanted.entries()) pick[places.get(term)! * wanted.length + k] = 1;
      const { session } = made.rows.cells;
      return made.mixed(matrix(session, terms.length, wanted.length, pick), true);
    });
  },
};

function expanded(columns: Columns, terms: readonly number[][]): Columns {
  const { names, leftOut } = columns.map;
  const own = names && terms.map((term) => termName(term, names));
  const made = { of: columns, kind: 'polynomial', facts: { terms }, values: {}, names: own } as const; // biome-ignore format: a record
  // A product of a column that is left out is left out.
  const kept = leftOut && termCells(leftOut.not(), terms);
  // Products are known by no name to later steps, as where these are columns of larger ones.
  const rows = cellRows(termCells(columns.cells(), terms), [], undefined, made);
  return new Columns(rows, columns.split, { leftOut: kept?.not() ?? null });
}

/** Columns of each product, ascending; none for the ones. @throws ConfigError for too many */
export function polynomialTerms(width: number, given: PolynomialParams): number[][] {
  const terms: number[][] = given.include_bias ? [[]] : [];
  let before: number[][] = [[]];
  for (let degree = 1; degree <= given.degree; degree++) {
    const step = given.interaction_only ? 1 : 0;
    const next: number[][] = [];
    for (const term of before) {
      const first = term.length === 0 ? 0 : term.at(-1)! + step;
      for (let column = first; column < width; column++) next.push([...term, column]);
      if (terms.length + next.length > MOST_COLUMNS) {
        throw invalid('polynomial', `at most ${MOST_COLUMNS} columns`, `more, of ${width}`);
      }
    }
    terms.push(...next);
    before = next;
  }
  return terms;
}

function termName(term: readonly number[], names: readonly string[]): string {
  if (term.length === 0) return '1';
  const counts = new Map<number, number>();
  for (const column of term) counts.set(column, (counts.get(column) ?? 0) + 1);
  return [...counts].map(([column, n]) => (n === 1 ? names[column]! : `${names[column]!}^${n}`)).join(' '); // biome-ignore format: a name
}
