/** What scores stand for want of better ones: scikit-learn's warnings, each score counted once. */
export class Notes {
  readonly #counts = new Map<string, number>();

  /** A score of a metric, noting what is said while it is computed. */
  score(metric: string, compute: (note: (text: string) => void) => number): number {
    const said = new Set<string>();
    const score = compute((text) => said.add(`${metric}: ${text}`));
    for (const text of said) this.#counts.set(text, (this.#counts.get(text) ?? 0) + 1);
    return score;
  }

  /** A warning for each. @param scores of each metric in all */
  warnings(scores: number): string[] {
    return [...this.#counts].map(([text, count]) => `${text}, in ${count} of ${scores} scores`);
  }
}
