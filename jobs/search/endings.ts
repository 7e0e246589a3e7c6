/** What a search says of fits that ended badly, as scikit-learn's ConvergenceWarning does. */
import type { Fit } from '../estimators/estimator.js';

interface Ending {
  readonly fit: Fit;
  /** Undefined for a fit that failed, or one of an estimator whose fits all end alike. */
  readonly ending: number | undefined;
  /** `{"alpha":0.1}, fold 2`. */
  readonly where: string;
}

/** One warning: how many fits, and what there is to say of the first. */
export function endingWarnings(endings: readonly Ending[]): string[] {
  const ended = endings.filter(({ fit }) => fit.ending !== undefined);
  const said = ended.flatMap(({ fit, ending, where }) => {
    const text = ending === undefined ? undefined : fit.warn?.(ending);
    return text === undefined ? [] : [`${where}: ${text}`];
  });
  if (said.length === 0) return [];
  return [`${said.length} of ${ended.length} fits did not converge, the first ${said[0]}`];
}
