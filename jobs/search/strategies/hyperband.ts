/**
 * `hyperband`: brackets of successive halving that begin with ever fewer candidates and ever more
 * for each, so that a search need not know whether little tells candidates apart. Brackets do not
 * depend on each other, so rungs of all of them with the same resources are one rung here: what
 * trains together is as much as can be. Source: Li et al., "Hyperband" (JMLR 2018), algorithm 1.
 */
import * as z from 'zod';
import { ConfigError } from '../../../driver/index.js';
import { permutation } from '../../../driver/operators/kfold.js';
import type { Candidate } from '../candidates.js';
import { drawnCandidates, gridCandidates, isListed } from '../space.js';
import { drawingKeys } from './random.js';
import {
  bestPlaces,
  budgetOf,
  checkIterations,
  type ResourceRung,
  type ResourceSettings,
  resourceKeys,
  resourceRange,
  wholeLog,
} from './resources.js';
import type { RungDone, SearchType } from './strategy.js';

interface HyperbandSettings extends ResourceSettings {
  readonly seed: number;
}

/** The rungs of one bracket, of which the first is that with this number of the search's. */
export interface Bracket {
  readonly first: number;
  readonly rungs: readonly ResourceRung[];
}

export const hyperband: SearchType = {
  type: 'hyperband',
  description: 'Several halvings, from many candidates with little to few with all there is.',
  spaces: ['grid', 'distributions'],
  keys: {
    ...resourceKeys,
    min_resources: z
      .union([z.literal('smallest'), z.int().min(1)])
      .default('smallest')
      .meta({
        description:
          'What the first rung of the first bracket has; `smallest`: two rows a split and class, or one iteration. Default: smallest.',
      }),
    seed: drawingKeys.seed,
  },
  isAdaptive: () => true,
  begin: (space, given, facts) => {
    const settings = given as unknown as HyperbandSettings;
    const brackets = bracketsOf(settings.factor, resourceRange(settings, facts));
    const drawn = brackets.reduce((sum, { rungs }) => sum + rungs[0]!.candidates, 0);
    const { seed, resource } = settings;
    const isGrid = isListed(space);
    const { candidates, notes } = isGrid
      ? gridCandidates(space, facts.models)
      : drawnCandidates(space, facts.models, { trials: drawn, seed });
    if (resource === 'iterations') checkIterations(candidates);
    const begun = isGrid ? fromGrid(candidates, brackets, seed) : inTurn(candidates, brackets);
    const outline = brackets[0]!.rungs.map(({ resources }, r) => ({
      candidates: Math.min(
        candidates.length,
        brackets.reduce((sum, own, b) => {
          return sum + Math.min(rungOf(own, r)?.candidates ?? 0, begun[b]!.length);
        }, 0),
      ),
      budget: budgetOf(settings, resources),
    }));
    return {
      outline,
      candidates: begun.flat(),
      seed,
      notes: () => notes,
      next: (done) => {
        const rung = outline[done.length];
        if (rung === undefined) return undefined;
        const bracketOf = new Map<Candidate, number>();
        for (const [b, own] of brackets.entries()) {
          for (const candidate of membersOf(own, begun[b]!, done)) {
            if (!bracketOf.has(candidate)) bracketOf.set(candidate, b);
          }
        }
        const own = { candidates: [...bracketOf.keys()], brackets: [...bracketOf.values()] };
        return { ...own, budget: rung.budget };
      },
    };
  },
};

/** Brackets, the one of most candidates first. */
export function bracketsOf(
  factor: number,
  { least, most }: { readonly least: number; readonly most: number },
): Bracket[] {
  const last = wholeLog(most / least, factor);
  const resources = Array.from({ length: last + 1 }, (_, r) =>
    Math.max(1, Math.floor(most / factor ** (last - r) + ROUNDING)),
  );
  return resources.map((_, first): Bracket => {
    const s = last - first;
    const begins = Math.ceil(((last + 1) / (s + 1)) * factor ** s - ROUNDING);
    const rungs = resources.slice(first).map((own, i) => {
      return { candidates: Math.floor(begins / factor ** i + ROUNDING), resources: own };
    });
    return { first, rungs };
  });
}

/** Quotients of whole numbers that are whole are rounded down to themselves. */
const ROUNDING = 1e-9;

function rungOf({ first, rungs }: Bracket, rung: number): ResourceRung | undefined {
  return rungs[rung - first];
}

/** Who is in a bracket's rung after those that are done; nobody before its first. */
function membersOf(
  bracket: Bracket,
  begun: readonly Candidate[],
  done: readonly RungDone[],
): readonly Candidate[] {
  if (done.length < bracket.first) return [];
  let members = begun;
  for (let rung = bracket.first; rung < done.length; rung++) {
    const { candidates, scores } = done[rung]!;
    const scoreOf = new Map(candidates.map((candidate, i) => [candidate, scores[i]!]));
    const own = members.map((candidate) => scoreOf.get(candidate)!);
    const count = Math.max(1, rungOf(bracket, rung + 1)!.candidates);
    members = bestPlaces(own, count).map((place) => members[place]!);
  }
  return members;
}

/** Each bracket draws its own candidates of a grid, without repeats. */
function fromGrid(
  candidates: readonly Candidate[],
  brackets: readonly Bracket[],
  seed: number,
): Candidate[][] {
  return brackets.map(({ rungs }, b) => {
    const position = permutation(candidates.length, seed + b);
    const taken = new Set<number>();
    for (let i = 0; i < Math.min(rungs[0]!.candidates, candidates.length); i++)
      taken.add(position(i));
    return candidates.filter((_, at) => taken.has(at));
  });
}

/** What was drawn, bracket after bracket. @throws ConfigError for fewer than that */
function inTurn(candidates: readonly Candidate[], brackets: readonly Bracket[]): Candidate[][] {
  let from = 0;
  return brackets.map(({ rungs }) => {
    const own = candidates.slice(from, from + rungs[0]!.candidates);
    from += own.length;
    if (own.length > 0) return own;
    throw new ConfigError(
      `distributions: expected candidates for ${brackets.length} brackets, got ${candidates.length} that differ; use a grid`,
      { key: 'search.distributions' },
    );
  });
}
