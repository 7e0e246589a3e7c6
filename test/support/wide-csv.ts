/** Rows of a wide category, small enough to fit with products of columns too. */

const ROWS = 3300;
const CATEGORIES = 1100;

/** A category, a number with gaps, a weight, and targets of each kind. */
export function wideCsv(): string {
  const lines = ['city,x,gap,w,y,kind,count'];
  for (let i = 0; i < ROWS; i++) {
    const city = (i * 7919) % CATEGORIES;
    const [x, other] = [Math.sin(i), Math.cos(3 * i)];
    const z = ((city % 7) - 3) / 4 + x - other / 2;
    const noise = Math.sin(12.9898 * i + 78.233) * 43758.5453;
    const u = noise - Math.floor(noise);
    const kind = u < 1 / (1 + Math.exp(-z)) ? 'b' : city % 5 === 0 ? 'c' : 'a';
    const cells = [`c${city}`, x, i % 9 === 0 ? '' : other + 2, 1 + (i % 3), z + u, kind];
    lines.push([...cells, Math.floor(u * Math.exp(z / 2) * 3)].join(','));
  }
  return `${lines.join('\n')}\n`;
}
