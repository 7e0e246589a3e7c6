/** Names near a misspelt one, for messages about words that are not known. */

/** `names` ordered by edit distance to `name` (case ignored), nearest first. */
export function closestNames(name: string, names: readonly string[], limit = 8): string[] {
  const lower = name.toLowerCase();
  return names
    .map((candidate, i) => ({
      candidate,
      i,
      distance: editDistance(lower, candidate.toLowerCase()),
    }))
    .sort((a, b) => a.distance - b.distance || a.i - b.i)
    .slice(0, limit)
    .map(({ candidate }) => candidate);
}

/** `a, b, c` of the closest names, with how many more there are. */
export function closestText(name: string, names: readonly string[]): string {
  const near = closestNames(name, names);
  const more = names.length - near.length;
  return near.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** The name nearest to `word` when near enough to be a slip of typing; undefined otherwise. */
export function closest(word: string, names: readonly string[]): string | undefined {
  const [best] = closestNames(word, names, 1);
  if (best === undefined) return undefined;
  const distance = editDistance(word.toLowerCase(), best.toLowerCase());
  return distance <= Math.max(2, Math.floor(word.length / 3)) ? best : undefined;
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, change));
    }
    row = next;
  }
  return row[b.length]!;
}
