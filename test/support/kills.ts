/** What tests that kill processes at random moments share. */

import { random } from './random.js';

/** How many kills, and the seed of their moments. */
export const KILLS = Number(process.env.REPRISE_KILLS ?? 6);
export const KILLS_SEED = Number(process.env.REPRISE_KILLS_SEED ?? 1);

/** Two classes that columns tell apart badly. */
export function classesCsv(rows: number): string {
  const next = random(7);
  const lines = ['a,b,c,y'];
  for (let i = 0; i < rows; i++) {
    const [a, b, c] = [next() - 0.5, next() - 0.5, next() - 0.5];
    lines.push(`${a},${b},${c},${a - b + a * c + next() > 0.5 ? 'yes' : 'no'}`);
  }
  return `${lines.join('\n')}\n`;
}
