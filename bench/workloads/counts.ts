/**
 * Large sparse matrices of counts. WordNet: how often each word stands in each of its glosses, words
 * being runs of letters a to z in lower case. Ratings: made by seed, of MovieLens-20M's size, users and
 * films of long-tailed popularity, marks from half a star to five.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CsrBuilder, type CsrMatrix } from '../../driver/ir/csr.js';
import { bringData } from '../bring-data.js';

const PARTS = ['noun', 'verb', 'adj', 'adv'];

/** A row a gloss, a column a word, alphabetically: 117,791 x 54,007 with 1,332,443 counts. */
export async function wordCounts(): Promise<CsrMatrix<Float64Array>> {
  const folder = await bringData('wordnet');
  const glosses = PARTS.flatMap((part) => glossesOf(join(folder, `data.${part}`)));
  const bags = glosses.map((gloss) => {
    const counts = new Map<string, number>();
    for (const [word] of gloss.toLowerCase().matchAll(/[a-z]+/g)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    return counts;
  });
  const words = [...new Set(bags.flatMap((bag) => [...bag.keys()]))].sort();
  const columnOf = new Map(words.map((word, column) => [word, column]));
  const builder = new CsrBuilder(bags.length, words.length, 'float64', 1_400_000);
  for (const bag of bags) {
    const cells = [...bag].map(([word, count]) => [columnOf.get(word)!, count] as const);
    for (const [column, count] of cells.sort(([a], [b]) => a - b)) builder.add(column, count);
    builder.endRow();
  }
  return builder.value as CsrMatrix<Float64Array>;
}

/** What follows the bar in the lines of synsets; lines of the licence begin with blanks. */
function glossesOf(path: string): string[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines
    .filter((line) => line !== '' && !line.startsWith('  '))
    .map((line) => line.slice(line.indexOf('|') + 1));
}

/** MovieLens-20M's users, films and ratings. */
const USERS = 138_493;
const FILMS = 26_744;
const RATINGS = 20_000_263;

/**
 * @param share of the users, each with as many ratings
 * @param ofFilms share of the films
 */
export function madeRatings(share: number, ofFilms = 1, seed = 20): CsrMatrix<Float64Array> {
  const random = generator(seed);
  const filmCount = Math.round(FILMS * ofFilms);
  const users = Math.round(USERS * share);
  // Half a lognormal above 20: few rate thousands of films, as there.
  const sizes = Float64Array.from({ length: users }, () => Math.exp(1.3 * normal(random)));
  const scale = (RATINGS * share - 20 * users) / sizes.reduce((sum, size) => sum + size, 0);
  const films = popular(random, filmCount);
  const builder = new CsrBuilder(users, filmCount, 'float64', RATINGS * share);
  const isRated = new Uint8Array(filmCount);
  for (const size of sizes) {
    const count = Math.min(filmCount >> 2, 20 + Math.round(size * scale));
    const rated: number[] = [];
    while (rated.length < count) {
      const film = films();
      if (isRated[film] === 1) continue;
      isRated[film] = 1;
      rated.push(film);
    }
    const mean = 3.5 + 0.4 * normal(random);
    for (const film of Int32Array.from(rated).sort()) {
      const mark = Math.round(2 * (mean + normal(random))) / 2;
      builder.add(film, Math.min(5, Math.max(0.5, mark)));
      isRated[film] = 0;
    }
    builder.endRow();
  }
  return builder.value as CsrMatrix<Float64Array>;
}

/** Draws films: the nth most popular in proportion to 1 / (n + 60), in an order of its own. */
function popular(random: () => number, count: number): () => number {
  const order = Int32Array.from({ length: count }, (_, film) => film);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  // The integral of the popularity, inverted.
  const total = Math.log((count + 60) / 60);
  return () => order[Math.min(count - 1, Math.floor(60 * Math.exp(total * random()) - 60))]!;
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Mulberry32: numbers from 0 up to 1, the same for a seed on every machine. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
