// Pictures of emoji as a table: a row each, its category and 32 x 32 pixels of red, green and blue from 0 to 255.
//   node emoji.mjs FILE.csv EVERY
// Of npm emoji-datasource-google 16.0.0, brought into the home folder (74 MB): pictures Apache-2.0, table MIT.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { localPath, pngRows } from 'reprise';

const [out, every = '1'] = process.argv.slice(2);
const folder = await localPath('npm://emoji-datasource-google@16.0.0/.');
const shown = JSON.parse(readFileSync(join(folder, 'emoji.json'), 'utf8'))
  .filter((one) => one.has_img_google && one.category !== 'Component')
  .sort((a, b) => a.sort_order - b.sort_order)
  .filter((_, i) => i % Number(every) === 0);
const paths = shown.map(({ image }) => join(folder, 'img/google/64', image));
const { cells, rows } = await pngRows(paths, 2);
const width = cells.length / rows;
const lines = shown.map(({ category }, i) => {
  const pixels = cells.subarray(i * width, (i + 1) * width);
  return `${JSON.stringify(category)},${Array.from(pixels, Math.round).join()}`;
});
const names = Array.from({ length: width }, (_, j) => `p${j}`);
writeFileSync(out, `category,${names.join()}\n${lines.join('\n')}\n`);
