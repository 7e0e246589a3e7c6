/**
 * Puts the command line into `dist/bundle`: our modules in some 60 files, and the packages that a run
 * loads before it reads data, which come in up to 180 files each. Invariant: the bundle is put in its
 * place when it is whole, since commands may run from the one before it.
 */
import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('.', import.meta.url));
const [made, place, former] = ['-new', '', '-old'].map((end) => `${root}dist/bundle${end}`);
const common = { bundle: true, platform: 'node', target: 'node20', logLevel: 'warning' };
const remove = (folder) => rmSync(folder, { recursive: true, force: true });

remove(made);
await Promise.all([
  build({
    ...common,
    entryPoints: [
      ...['jobs/cli/command', 'jobs/cli/watchdog'],
      ...['rows/row-worker', 'rows/reducer-worker', 'native/product-worker'].map(
        (entry) => `gpu-executor/cpu/${entry}`,
      ),
    ].map((entry) => `${root}dist/${entry}.js`),
    entryNames: '[name]',
    outdir: made,
    format: 'esm',
    splitting: true,
    packages: 'external',
    alias: Object.fromEntries(
      ['zod', 'yaml'].map((name) => [name, fileURLToPath(import.meta.resolve(name))]),
    ),
    // What is CommonJS in there asks for modules of Node.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
    },
  }),
  // By `loadPackage`. Its native part stays where npm put it.
  build({
    ...common,
    entryPoints: { '@duckdb/node-api': fileURLToPath(import.meta.resolve('@duckdb/node-api')) },
    outdir: `${made}/packages`,
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    external: ['@duckdb/node-bindings'],
  }),
]);
for (const name of ['zod', 'yaml', '@duckdb/node-api']) {
  const licence = `LICENSE-${name.replace('/', '-')}`;
  copyFileSync(`${root}node_modules/${name}/LICENSE`, `${made}/${licence}`);
}
remove(former);
if (existsSync(place)) renameSync(place, former);
renameSync(made, place);
remove(former);
