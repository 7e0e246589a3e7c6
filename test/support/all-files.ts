/**
 * Mocha's settings for `npm test`, and a hook. Set-up is itself among the tests: it waits for
 * downloads and one compiler, so it is first in one process while the other runs files that need no
 * engine. A file that needs one waits for it. Invariant: every test file is run, whatever its folder.
 */
import { readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { packageRoot } from '../../driver/support/package-root.js';
import { reprise } from './cli.js';

const tests = join(packageRoot(), 'dist', 'test');

/** In this order; what is in none comes last. */
const ORDER: readonly RegExp[] = [
  /^set-up\/engines/,
  /^(plan|types|unit)\//,
  /^set-up\//,
  /^(device|faults|e2e|livy)\//,
];
/** Those that need nothing but what `npm test` brings before. */
const FREE = 2;

function rank(path: string): number {
  const name = path.split(sep).join('/');
  const at = ORDER.findIndex((pattern) => pattern.test(name));
  return at < 0 ? ORDER.length : at;
}

const files = readdirSync(tests, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.test.js'))
  .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));

export default {
  exit: true,
  'forbid-only': true,
  parallel: true,
  jobs: 2,
  timeout: 300_000,
  reporter: join(tests, 'support', 'summary-reporter.js'),
  require: ['java-options', 'no-store', 'all-files'].map((name) =>
    join(tests, 'support', `${name}.js`),
  ),
  spec: files.map((path) => join(tests, path)),
};

let ready: ReturnType<typeof reprise> | undefined;

export const mochaHooks = {
  /** Before each file: one set-up waits for another, and does nothing where all is there. */
  async beforeAll(this: Mocha.Context): Promise<void> {
    const file = this.test?.parent?.suites[0]?.file;
    if (file !== undefined && rank(relative(tests, file)) < FREE) return;
    this.timeout(0);
    ready ??= reprise(['setup']);
    await ready;
  },
};
