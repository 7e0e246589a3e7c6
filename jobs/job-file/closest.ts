/** Finds the word a user most likely meant; used in messages about unknown keys and words. */
import { editDistance } from '../../driver/frame/closest.js';

/** The candidate nearest to `word` when near enough to be a slip of typing; undefined otherwise. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}
