/**
 * Fits of the rung before the one that runs, where those of this one begin or go on. Invariant: a
 * search that is taken up again begins where it would have: what its journal has the scores of is
 * asked for again, wave by wave, which a store or this process answers, or the same models train
 * together once more.
 */
import type { Run } from '../../driver/index.js';
import type { Fit } from '../estimators/estimator.js';
import type { Candidate } from './candidates.js';
import { fitAll, type SearchFits } from './fits.js';
import type { SearchGroup, SearchTrial } from './groups.js';

/** By split; undefined for those that failed. */
type FitsOfTrial = readonly (Fit | undefined)[];

interface RungWaves {
  /** The rung before, while that may be asked for. */
  last: RungWaves | undefined;
  /** The trial of each candidate. */
  readonly trials: ReadonlyMap<Candidate, number>;
  /** Groups of those of one wave. */
  readonly waves: SearchGroup[];
  readonly fits: Map<number, FitsOfTrial>;
}

export class RungFits {
  readonly #run: Run;
  #own: RungWaves | undefined;

  constructor(run: Run) {
    this.#run = run;
  }

  /** A rung begins. */
  begin(trials: readonly SearchTrial[]): void {
    const last = this.#own;
    // Where a rung's fits are all there, nobody asks where they began.
    if (last?.waves.every((wave) => last.fits.has(wave.trials[0]!))) last.last = undefined;
    const own = new Map(trials.map(({ number, candidate }) => [candidate, number]));
    this.#own = { last, trials: own, waves: [], fits: new Map() };
  }

  /** A wave of this rung. @param fitted what became of it; absent where only its scores are known */
  add(group: SearchGroup, fitted?: SearchFits): void {
    if (group.rung === undefined || group.estimator.reads !== 'rows') return;
    this.#own!.waves.push(group);
    if (fitted !== undefined) keep(this.#own!, group, fitted);
  }

  /** The group with the fits of its candidates in the rung before; trials by themselves have none. */
  before(group: SearchGroup): Promise<SearchGroup> {
    return group.together ? this.#before(group, this.#own!) : Promise.resolve(group);
  }

  async #before(group: SearchGroup, { last, trials }: RungWaves): Promise<SearchGroup> {
    const { rung, model, estimator } = group;
    if (rung === undefined || last === undefined || estimator.reads !== 'rows') return group;
    if (!this.#run.reuse.loops) return group;
    // Steps fitted on more rows make other columns, for which weights of fewer say little.
    if (group.prepared !== undefined && rung.budget.rows !== undefined) return group;
    for (const wave of last.waves) {
      if (wave.model !== model || last.fits.has(wave.trials[0]!)) continue;
      keep(last, wave, await fitAll(this.#run, await this.#before(wave, last), false, false));
    }
    const before = new Map<number, FitsOfTrial>();
    for (const [candidate, number] of trials) {
      const fits = last.fits.get(last.trials.get(candidate) ?? Number.NaN);
      if (fits !== undefined && group.trials.includes(number)) before.set(number, fits);
    }
    return { ...group, rung: { ...rung, before } };
  }
}

function keep(
  rung: RungWaves,
  { trials, folds }: SearchGroup,
  { fits, failures }: SearchFits,
): void {
  for (const [t, number] of trials.entries()) {
    const own = Array.from({ length: folds }, (_, f) => {
      return failures[t * folds + f] === undefined ? fits[t * folds + f] : undefined;
    });
    rung.fits.set(number, own);
  }
}
