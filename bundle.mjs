/**
 * Puts the command line into `dist/bundle`: our modules and the packages that a run loads before it
 * reads data, up to 180 files each, as one file of CommonJS, since V8's compiled code of that can be
 * kept (`jobs/cli/load-bundle.ts`); and what threads begin with. Invariant: the bundle is put in its
 * place when it is whole, since commands may run from the one before it.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('.', import.meta.url));
const [made, place, former] = ['-new', '', '-old'].map((end) => `${root}dist/bundle${end}`);
const common = { bundle: true, platform: 'node', target: 'node20', logLevel: 'warning' };
const remove = (folder) => rmSync(folder, { recursive: true, force: true });
const { dependencies } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
const within = ['zod', 'yaml', 'commander', 'p-retry', '@dagrejs/dagre', '@duckdb/node-api'];
const command = `${made}/command.cjs`;

remove(made);
await Promise.all([
  build({
    ...common,
    entryPoints: [`${root}dist/jobs/cli/command.js`],
    outfile: command,
    format: 'cjs',
    // Node 20 can't import from a script with kept code.
    supported: { 'dynamic-import': false },
    external: Object.keys(dependencies).filter((name) => !within.includes(name)),
    alias: Object.fromEntries(
      ['zod', 'yaml'].map((name) => [name, fileURLToPath(import.meta.resolve(name))]),
    ),
    define: { 'import.meta.url': 'bundleUrl' },
    banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
    // Packages that are loaded by name. DuckDB's native part stays where npm put it.
    plugins: [
      {
        name: 'packages',
        setup: ({ onLoad }) =>
          onLoad({ filter: /driver\/support\/bundled-packages\.js$/ }, () => ({
            contents: `export const bundledPackages = new Map([
              ['@duckdb/node-api', () => require('@duckdb/node-api')],
            ]);`,
            resolveDir: root,
          })),
      },
    ],
  }),
  build({
    ...common,
    entryPoints: [
      'jobs/cli/watchdog',
      ...['rows/row-worker', 'rows/reducer-worker', 'native/product-worker'].map(
        (entry) => `gpu-executor/cpu/${entry}`,
      ),
    ].map((entry) => `${root}dist/${entry}.js`),
    entryNames: '[name]',
    outdir: made,
    format: 'esm',
    splitting: true,
    packages: 'external',
  }),
]);
// Compiled code that is kept is that of this content.
const text = readFileSync(command, 'latin1');
const content = createHash('sha256').update(text).digest('hex').slice(0, 16);
writeFileSync(command, `// ${content}\n${text}`, 'latin1');
for (const name of [...within, '@dagrejs/graphlib', 'is-network-error']) {
  const folder = `${root}node_modules/${name}/`;
  const licence = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
  copyFileSync(folder + licence, `${made}/LICENSE-${name.replace('/', '-')}`);
}
remove(former);
if (existsSync(place)) renameSync(place, former);
renameSync(made, place);
remove(former);
