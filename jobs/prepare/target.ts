/**
 * Columns of a one-hot feature become one, the mean of the target by category: scikit-learn's
 * `TargetEncoder`, folds in the order of the rows. A training row is encoded by means of the other
 * parts of the training rows, every other row by those of all. Of more than two classes each has a
 * column. Means are of the target about its mean, so that what is left of squares is exact.
 */
import * as z from 'zod';
import {
  eye,
  groupSums,
  innerFolds,
  type Matrix,
  matrix,
  ones,
  takeRows,
  zeros,
} from '../../driver/index.js';
import { Columns } from './columns.js';
import { cellRows } from './rows.js';
import {
  invalid,
  type PrepareContext,
  type PrepareStep,
  requireComplete,
  someColumns,
} from './step.js';

const parameters = z.strictObject({
  smooth: z
    .union([z.literal('auto'), z.number().nonnegative()])
    .default('auto')
    .meta({
      description: 'How many rows of the mean of all a category is mixed with; auto: by variances.',
    }),
  cv: z.int().min(2).max(100).default(5).meta({
    description: 'Parts of the training rows, each encoded by means of the others.',
  }),
  ...someColumns,
});

type TargetParams = z.output<typeof parameters>;

export const targetStep: PrepareStep = {
  name: 'target',
  description: 'Replaces categories by means of the target.',
  main: 'smooth',
  parameters,
  makesRows: true,
  apply: (all, given, context) => {
    if (!context.hasTarget) throw invalid('target', 'a target', 'none');
    return all.map((columns) => encode(columns, given as TargetParams, context));
  },
};

/** Neighbouring columns, of a feature or passed through. */
interface Run {
  readonly from: number;
  readonly to: number;
  /** The feature's name; absent for columns that stay. */
  readonly name?: string;
}

function encode(columns: Columns, params: TargetParams, context: PrepareContext): Columns {
  const { map, split } = columns;
  const { names, open, leftOut } = map;
  if (map.isScaled || names === undefined) {
    throw invalid('target', 'it before scale, select, pca and polynomial', 'it after them');
  }
  const runs = runsOf(names, params.columns, context.categories);
  const { groupOf, groups, train: set } = split;
  const y = context.y;
  const inner = innerFolds(groupOf, { groups, set, folds: params.cv, ...(context.classes > 0 ? { y, classes: context.classes } : {}) }); // biome-ignore format: a call
  const targets =
    context.classes > 2 ? Array.from({ length: context.classes }, (_, c) => y.eq(c)) : [y];
  const cells = columns.cells();
  const pieces: Matrix[] = [];
  const maps: Matrix[] = [];
  const shifts: Matrix[] = [];
  const made: string[] = [];
  const missing: number[] = [];
  const out: Matrix[] = [];
  const identity = eye(y.session, columns.width);
  for (const { from, to, name } of runs) {
    const own = cells.slice(null, [from, to]);
    const pick = identity.slice(null, [from, to]);
    if (name === undefined) {
      missing.push(...open.filter((j) => j >= from && j < to).map((j) => made.length + j - from));
      pieces.push(own);
      maps.push(pick);
      shifts.push(zeros(y.session, 1, to - from));
      out.push(leftOut?.slice(null, [from, to]) ?? zeros(y.session, 1, to - from));
      made.push(...names.slice(from, to));
      continue;
    }
    requireComplete(columns, 'target', [from, to]);
    for (const [c, target] of targets.entries()) {
      const { means, base } = meansOf(own, target, inner, params);
      const about = means.sub(base);
      const [ofAll, baseOfAll] = [about.slice(params.cv), base.slice(params.cv)];
      pieces.push(own.mul(takeRows(inner, about)).rowSums().add(takeRows(inner, base)));
      maps.push(pick.matmul(ofAll.t()));
      shifts.push(baseOfAll);
      out.push(zeros(y.session, 1, 1));
      made.push(targets.length === 1 ? name : `${name}=class ${c}`);
    }
  }
  const beside = ([first, ...others]: readonly Matrix[]): Matrix => first!.cbind(...others);
  const values = { matrix: beside(maps), shift: beside(shifts) };
  const rows = cellRows(beside(pieces), missing, made, { of: columns, kind: 'map', facts: {}, values, names: made }); // biome-ignore format: a call
  return new Columns(rows, split, { leftOut: leftOut && beside(out) });
}

/**
 * Means by category, a row a part of the training rows, of the others; the last of all.
 * @returns means: [cv + 1, categories], base: the mean of these rows, [cv + 1, 1]
 */
function meansOf(
  own: Matrix,
  target: Matrix,
  inner: Matrix,
  { cv, smooth }: TargetParams,
): { readonly means: Matrix; readonly base: Matrix } {
  const { session } = own;
  const isTraining = inner.lt(cv);
  const mean = isTraining.mul(target).sum().div(isTraining.sum());
  const y = target.sub(mean);
  const every = ones(session, own.rows, 1);
  // Sums of all parts but one, and of all.
  const others = matrix(session, cv + 1, cv, Float64Array.from({ length: (cv + 1) * cv }, (_, at) => (Math.floor(at / cv) === at % cv ? 0 : 1))); // biome-ignore format: a table
  const sums = (columns: Matrix): Matrix => others.matmul(groupSums(inner, columns, cv));
  const [counts, totals] = [sums(own), sums(own.mul(y))];
  const [rows, sum, squares] = [sums(every), sums(y), sums(y.square())];
  const base = sum.div(rows);
  const of = totals.div(counts);
  let means: Matrix;
  if (smooth === 'auto') {
    const spread = squares.div(rows).sub(base.square());
    const within = sums(own.mul(y.square())).sub(of.mul(totals)).maximum(0);
    const weight = spread.mul(counts);
    const share = weight.div(weight.add(within.div(counts)));
    const isUnknown = share.isNaN();
    means = isUnknown.ifelse(base, share.mul(of).add(share.neg().add(1).mul(base)));
  } else {
    const mixed = totals.add(base.mul(smooth)).div(counts.add(smooth));
    means = mixed.isNaN().ifelse(base, mixed);
  }
  return { means: means.add(mean), base: base.add(mean) };
}

/** @throws ConfigError for a name that is no feature of several columns */
function runsOf(
  names: readonly string[],
  asked: readonly string[] | null,
  categories: PrepareContext['categories'],
): Run[] {
  const featureOf = (name: string): string | undefined => {
    if (categories) {
      const own = categories.get(name);
      return asked === null || (own !== undefined && asked.includes(own)) ? own : undefined;
    }
    const known = asked?.find((feature) => name.startsWith(`${feature}=`));
    if (asked !== null) return known;
    const at = name.indexOf('=');
    return at < 0 ? undefined : name.slice(0, at);
  };
  const runs: Run[] = [];
  for (const [j, column] of names.entries()) {
    const name = featureOf(column);
    const last = runs.at(-1);
    if (last !== undefined && last.name === name) runs[runs.length - 1] = { ...last, to: j + 1 };
    else runs.push({ from: j, to: j + 1, ...(name === undefined ? {} : { name }) });
  }
  const unknown = asked?.find((feature) => !runs.some(({ name }) => name === feature));
  if (unknown !== undefined) throw invalid('target', 'columns of one-hot features', unknown);
  if (!runs.some(({ name }) => name !== undefined)) {
    throw invalid('target', 'a one-hot feature to encode', names.slice(0, 5).join(', '));
  }
  return runs;
}
