/** What scores stand for want of better ones, counted by metric: scikit-learn's warnings. */
export class Notes {
  readonly #counts = new Map<string, number>();

  add(metric: string, text: string): void {
    const key = `${metric}: ${text}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** A warning for each. @param scores of each metric in all */
  warnings(scores: number): string[] {
    return [...this.#counts].map(
      ([text, count]) => `${text}, in ${Math.min(count, scores)} of ${scores} scores`,
    );
  }
}
