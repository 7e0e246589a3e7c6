/**
 * What an ensemble is made of: whether what models say can be added, and as what the sum is read.
 * Invariant: what can't be added is refused before anything is fitted.
 */
import { ConfigError } from '../../driver/index.js';
import type { Basis } from '../estimators/basis.js';
import type { Estimator, Link } from '../estimators/estimator.js';
import type { Votes, Voting } from '../estimators/votes.js';
import type { Candidate } from './candidates.js';
import type { Search } from './prepare.js';
import type { TrialDone } from './rung-state.js';

/** What is asked of an ensemble. */
export interface EnsembleOptions {
  /** Candidates that are combined, the best of the search. */
  readonly members: number;
  /** Weights that are drawn, besides those of each member alone and of all alike. */
  readonly trials: number;
  readonly seed: number;
  /** Default: `soft` where every member has probabilities, else `decision`. */
  readonly voting?: Voting | 'decision' | undefined;
}

/** What a model says, as an ensemble reads it. */
interface Said {
  readonly name: string;
  readonly link: Link;
  readonly basis: Basis;
  readonly outputs: number;
}

/** What was expected of an ensemble, and what there is. */
type Mismatch = readonly [expected: string, got: string];

/**
 * Before anything is fitted: whether what all models say can be added.
 * @throws ConfigError naming the model whose can't
 */
export function checkEnsemble(
  { classes, scoring }: Search,
  candidates: readonly Candidate[],
  { voting }: EnsembleOptions,
  isNested: boolean,
): void {
  const all = candidates.map(({ model: { name, estimator }, all: params }): Said => {
    const link = estimator.link(params, classes.length);
    return { name, link, ...shapeOf(estimator, params, classes.length) };
  });
  const found = isNested
    ? (['no outer splits, for which weights would have to be found anew', 'some'] as const)
    : (modelMismatch(candidates, voting) ??
      saidMismatch(all, voting) ??
      metricMismatch(scoring, all, voting));
  if (found === undefined) return;
  const [expected, got] = found;
  throw new ConfigError(`search.ensemble: expected ${expected}, got ${got}`, {
    key: 'search.ensemble',
  });
}

function modelMismatch(
  candidates: readonly Candidate[],
  voting: EnsembleOptions['voting'],
): Mismatch | undefined {
  const { task } = candidates[0]!.model.estimator;
  const layered = candidates.find(({ model }) => model.estimator.network !== undefined);
  if (layered !== undefined) {
    return ['models whose decision values are linear in the columns', layered.model.name];
  }
  if (task !== 'regression' && task !== 'classification') {
    return ['regressions or classifications', task];
  }
  if (task === 'regression' && voting !== undefined && voting !== 'decision') {
    return ['no voting of regressions, whose predictions are summed', voting];
  }
  return undefined;
}

function saidMismatch(
  all: readonly Said[],
  asked: EnsembleOptions['voting'],
): Mismatch | undefined {
  const log = all.find(({ link }) => link === 'log');
  if (log !== undefined) {
    return ['predictions that are linear in the columns', `those of ${log.name}, exponentials`];
  }
  const bases = new Set(all.map(({ basis }) => JSON.stringify(basis)));
  const above = all.find(({ basis }) => typeof basis === 'object');
  if (above !== undefined && bases.size > 1) {
    return ['models of the columns or their squares', `${above.name} beside others`];
  }
  const voting = asked ?? votingOf(all.map(({ link }) => link));
  const margin = all.find(({ link }) => link === 'margin');
  if (voting === 'soft' && margin !== undefined) {
    return ['models with probabilities for soft votes', margin.name];
  }
  const widths = new Map(all.map(({ outputs, name }) => [outputs, name]));
  if (voting !== 'decision' || widths.size === 1) return undefined;
  const got = [...widths].map(([width, name]) => `${width} of ${name}`).join(' and ');
  return ['decision values of as many columns', got];
}

/** Votes have no probabilities, nor have sums of decision values that mean several things. */
function metricMismatch(
  scoring: Search['scoring'],
  all: readonly Said[],
  asked: EnsembleOptions['voting'],
): Mismatch | undefined {
  const metric = scoring.find(({ probabilities }) => probabilities)?.name;
  const links = new Set(all.map(({ link }) => link));
  const voting = asked ?? votingOf([...links]);
  const hasOne = links.size === 1 && !links.has('margin');
  const hasShares = voting === 'soft' || (voting === 'decision' && hasOne);
  if (metric === undefined || hasShares) return undefined;
  return [`a metric that needs no probabilities for voting: ${voting}`, metric];
}

/** What decision values are like. */
function shapeOf(
  estimator: Estimator,
  params: TrialDone['candidate']['all'],
  classes: number,
): { readonly basis: Basis; readonly outputs: number } {
  return {
    basis: estimator.basis?.(params) ?? 'linear',
    outputs: estimator.outputs(params, classes, 0),
  };
}

function votingOf(links: readonly Link[]): Voting | 'decision' {
  return links.every((link) => link === 'logit' || link === 'softmax') ? 'soft' : 'decision';
}

/** Of members, in their order. */
export interface Composition {
  readonly voting: Voting | 'decision';
  readonly links: readonly Link[];
  readonly outputs: readonly number[];
  /** That all of them have, padded with zeros where one has less. */
  readonly basis: Basis;
  readonly bases: readonly Basis[];
  readonly classes: number;
}

export function compositionOf(
  members: readonly TrialDone[],
  asked: EnsembleOptions['voting'],
): Composition {
  const { length: classes } = members[0]!.open.group.classes;
  const shapes = members.map(({ open: { group }, candidate: { all } }) => ({
    link: group.estimator.link(all, classes),
    ...shapeOf(group.estimator, all, classes),
  }));
  const links = shapes.map(({ link }) => link);
  const bases = shapes.map(({ basis }) => basis);
  return {
    voting: asked ?? votingOf(links),
    links,
    outputs: shapes.map(({ outputs }) => outputs),
    basis: bases.find((basis) => basis !== 'linear') ?? 'linear',
    bases,
    classes,
  };
}

/** How a member votes. */
export function voteLink(link: Link): Votes['members'][number]['link'] {
  return link === 'logit' || link === 'softmax' ? link : 'margin';
}

/** An estimator as the members together are read, which fits nothing. */
export function combined(
  members: readonly TrialDone[],
  { voting, links, basis }: Composition,
): Estimator {
  const all = members.map(({ open }) => open.group.estimator);
  const plain = all.find(({ reads }) => reads === 'moments') ?? all[0]!;
  const same = links.every((one) => one === links[0]) ? links[0]! : 'margin';
  const link = voting === 'decision' ? same : voting === 'soft' ? 'shares' : 'margin';
  const isRanking = all.every(({ ranksRows }) => ranksRows !== false);
  return {
    ...plain,
    name: 'ensemble',
    link: () => link,
    basis: () => basis,
    ranksBy: 'decision',
    ...(isRanking ? {} : { ranksRows: false as const }),
  };
}
