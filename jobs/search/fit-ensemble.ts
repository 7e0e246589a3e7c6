/**
 * The model that an ensemble is on all rows: its members' decision values side by side, to be voted
 * of, or summed, which is linear in the columns as each is. Members on columns of their own, by other
 * cleaning steps, have these side by side as well.
 */
import { type Matrix, type Run, zeros } from '../../driver/index.js';
import { type Basis, basisWidth } from '../estimators/basis.js';
import type { Fit, LinearOutputs } from '../estimators/estimator.js';
import type { LinearModel } from '../estimators/model.js';
import type { Votes } from '../estimators/votes.js';
import type { BranchStage } from '../prepare/stored-stages.js';
import { type Composition, combined, compositionOf, voteLink } from './composition.js';
import type { FoundEnsemble } from './ensemble.js';
import { fitBest, type SearchFits } from './fits.js';
import { keptModel } from './kept-model.js';
import type { SearchOptions } from './prepare.js';

/** Fits all members on all rows. @param onOutput as of `keptModel`. @returns with their fits */
export async function fitEnsemble(
  run: Run,
  found: FoundEnsemble,
  onOutput: SearchOptions['onOutput'],
): Promise<{ readonly model: LinearModel; readonly fitted: readonly SearchFits[] }> {
  const { result, members } = found;
  const of = compositionOf(members, result.voting);
  const fitted: SearchFits[] = [];
  for (const { open, candidate } of members) {
    fitted.push(await fitBest(run, open.group, candidate.all));
  }
  const fits = fitted.map((one) => one.fits[0]!);
  const [{ open }] = members as readonly [FoundEnsemble['members'][number]];
  const isAlike = members.every((one) => one.open.group.prepared === open.group.prepared);
  const estimator = combined(members, of);
  const model = isAlike
    ? await keptModel(run, { ...open.group, estimator }, {}, together(found, of, fits), onOutput)
    : ofBranches(await modelsOf(run, found, fits, onOutput), of, {
        link: estimator.link({}, of.classes),
        weights: result.weights,
      });
  const isSummed = result.voting === 'decision';
  return { model: isSummed ? model : { ...model, votes: votesOf(found, of) }, fitted };
}

function votesOf({ result: { weights, voting } }: FoundEnsemble, of: Composition): Votes {
  const members = weights.map((weight, m) => {
    return { outputs: of.outputs[m]!, link: voteLink(of.links[m]!), weight };
  });
  return { voting: voting as Votes['voting'], members };
}

/** Fits to the same columns as one. */
function together(
  { result: { voting, weights } }: FoundEnsemble,
  of: Composition,
  fits: readonly Fit[],
): Fit {
  const all = fits.map(({ outputs }, m): LinearOutputs => {
    const own = outputs as LinearOutputs;
    return { ...own, coefficients: padded(own.coefficients, of.bases[m]!, of.basis) };
  });
  const joined = (read: (outputs: LinearOutputs) => Matrix): Matrix => {
    if (voting !== 'decision') return read(all[0]!).cbind(...all.slice(1).map(read));
    return all.map((own, m) => read(own).mul(weights[m]!)).reduce((sum, one) => sum.add(one));
  };
  const imputed = all.map((own) => own.imputed).find((one) => one !== undefined);
  const coefficients = joined((own) => own.coefficients);
  const intercept = joined((own) => own.intercept);
  return {
    weights: coefficients.rbind(intercept),
    outputs: { coefficients, intercept, ...(imputed ? { imputed } : {}) },
  };
}

/** Coefficients of the columns and their squares, of those of the columns. */
function padded(coefficients: Matrix, own: Basis, wanted: Basis): Matrix {
  if (own === wanted || wanted !== 'squares') return coefficients;
  const { session, rows, cols } = coefficients;
  return coefficients.rbind(zeros(session, rows, cols));
}

async function modelsOf(
  run: Run,
  { members }: FoundEnsemble,
  fits: readonly Fit[],
  onOutput: SearchOptions['onOutput'],
): Promise<LinearModel[]> {
  const models: LinearModel[] = [];
  for (const [m, { open, candidate }] of members.entries()) {
    const named: SearchOptions['onOutput'] = (name, expr) =>
      onOutput?.(`${name} of member ${m + 1}`, expr);
    models.push(await keptModel(run, open.group, candidate.all, fits[m]!, named));
  }
  return models;
}

/** Columns that some members have in common, made by stages of their own. */
interface Branch {
  readonly stages: readonly BranchStage[];
  readonly columns: readonly string[];
  /** Those before it, and where it begins. */
  readonly at: number;
}

/** One model of all, each on its own columns: of the encoded ones where every member's are these. */
function ofBranches(
  models: readonly LinearModel[],
  { voting, basis, bases }: Composition,
  { link, weights }: Pick<LinearModel, 'link'> & { readonly weights: readonly number[] },
): LinearModel {
  const encoded = models[0]!.encoded ?? models[0]!.columns;
  const branches = new Map<string, Branch>();
  let width = 0;
  const branchOf = models.map((model, m) => {
    const stages = stagesOf(model);
    const key = JSON.stringify(stages);
    const known = branches.get(key);
    if (known !== undefined) return known;
    const columns = model.columns.map((name) => `${name} of member ${m + 1}`);
    const branch = { stages, columns, at: width };
    branches.set(key, branch);
    width += columns.length;
    return branch;
  });
  const terms = basisWidth(basis, width);
  /** Coefficients of an output of a member, among those of all columns. */
  const spread = (m: number, own: readonly number[]): number[] => {
    const { at, columns } = branchOf[m]!;
    const cells = new Array<number>(terms).fill(0);
    for (const [i, value] of own.entries()) {
      const isSquare = bases[m] === 'squares' && i >= columns.length;
      cells[isSquare ? width + at + i - columns.length : at + i] = value;
    }
    return cells;
  };
  const rows = models.map((model, m) => model.coefficients.map((own) => spread(m, own)));
  const intercepts = models.map((model) => model.intercepts);
  const isSummed = voting === 'decision';
  const { task, classes } = models[0]!;
  const all = [...branches.values()];
  const isEncoded = models.every(({ prepare }) => prepare === undefined) && all.length === 1;
  return {
    kind: 'linear',
    ...{ task, link },
    ...(basis === 'linear' ? {} : { basis }),
    ...(classes ? { classes } : {}),
    coefficients: isSummed ? summed(rows, weights) : rows.flat(),
    intercepts: isSummed ? summed(intercepts.map((own) => [own]), weights)[0]! : intercepts.flat(), // biome-ignore format: a choice
    ...(isEncoded
      ? { columns: encoded, imputed: models[0]!.imputed }
      : {
          columns: all.flatMap(({ columns }) => columns),
          imputed: {},
          prepare: [{ kind: 'beside', branches: all.map(({ stages }) => [...stages]) }],
          encoded,
        }),
  };
}

/** What makes a member's columns of the encoded ones. */
function stagesOf({ prepare, columns, imputed }: LinearModel): readonly BranchStage[] {
  // A member is no ensemble, so that none of its stages branches.
  if (prepare !== undefined) return prepare as readonly BranchStage[];
  if (Object.keys(imputed).length === 0) return [];
  const fill = columns.map((name) => imputed[name] ?? null);
  return [{ kind: 'columns', columns: [...columns], fill }];
}

/** By output. @param rows by member and output */
function summed(
  rows: readonly (readonly (readonly number[])[])[],
  weights: readonly number[],
): number[][] {
  return rows[0]!.map((first, k) =>
    first.map((_, j) => rows.reduce((sum, own, m) => sum + weights[m]! * own[k]![j]!, 0)),
  );
}
