/** What a search says of fits that ended badly, as scikit-learn's ConvergenceWarning does. */
import type { Fit } from '../estimators/estimator.js';
import type { RungFacts } from './budgets.js';

export interface Endings {
  /** Fits that say how they ended. */
  readonly ended: number;
  /** What there is to say of some, by place. */
  readonly said: Readonly<Record<number, string>>;
}

/**
 * @param endings undefined for fits that failed, and those of estimators whose fits all end alike
 * @param rung of the fits: the search may limit their iterations, whatever their parameters say
 */
export function endingsOf(
  fits: readonly Fit[],
  endings: readonly (number | undefined)[],
  rung: RungFacts | undefined,
): Endings {
  const limit = rung?.budget.iterations === undefined ? undefined : 'search.max_resources';
  const said = fits.flatMap((fit, i) => {
    const text = endings[i] === undefined ? undefined : fit.warn?.(endings[i], limit);
    return text === undefined ? [] : [[i, text] as const];
  });
  return {
    ended: fits.filter(({ ending }) => ending !== undefined).length,
    said: Object.fromEntries(said),
  };
}

/** One warning: how many fits, and what there is to say of the first. @param of all fits that say */
export function endingWarnings(said: readonly string[], of: number): string[] {
  if (said.length === 0) return [];
  return [`${said.length} of ${of} fits did not converge, the first ${said[0]}`];
}
