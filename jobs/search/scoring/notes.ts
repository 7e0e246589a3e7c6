/** What scores stand for want of better ones: scikit-learn's warnings, each score counted once. */
export class Notes {
  /** Scores by what is said of them. */
  readonly counts = new Map<string, number>();

  /** A score of a metric, noting what is said while it is computed. */
  score(metric: string, compute: (note: (text: string) => void) => number): number {
    const said = new Set<string>();
    const score = compute((text) => said.add(`${metric}: ${text}`));
    this.add(Object.fromEntries([...said].map((text) => [text, 1])));
    return score;
  }

  /** What was said of further scores. */
  add(counts: Readonly<Record<string, number>>): void {
    for (const [text, count] of Object.entries(counts)) {
      this.counts.set(text, (this.counts.get(text) ?? 0) + count);
    }
  }

  /** A warning for each. @param scores of each metric in all */
  warnings(scores: number): string[] {
    return [...this.counts].map(([text, count]) => `${text}, in ${count} of ${scores} scores`);
  }
}
