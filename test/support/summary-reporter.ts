/**
 * Mocha's `spec` reporter with a count at the end: the last line reads `N passed, N failed`, for
 * scripts. Skipped tests are listed above it with their titles, so that a skip is never silent, and
 * so are the seconds of the slowest files and of each folder.
 */
import { relative, sep } from 'node:path';
import Mocha from 'mocha';
import { packageRoot } from '../../driver/support/package-root.js';

const { EVENT_HOOK_END, EVENT_TEST_END, EVENT_TEST_FAIL, EVENT_TEST_PASS, EVENT_TEST_PENDING } =
  Mocha.Runner.constants;

class SummaryReporter extends Mocha.reporters.Spec {
  #passed = 0;
  #failed = 0;
  readonly #skipped: string[] = [];
  /** Of tests and hooks, by the folder of their file below `test/`. @units ms */
  readonly #folders = new Map<string, number>();
  /** The same by file. @units ms */
  readonly #files = new Map<string, number>();

  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    const tests = `${packageRoot()}${sep}dist${sep}test`;
    const count = ({ file, duration = 0 }: Mocha.Runnable): void => {
      const path = file ? relative(tests, file) : 'elsewhere';
      const folder = path.split(sep)[0] ?? '';
      this.#folders.set(folder, (this.#folders.get(folder) ?? 0) + duration);
      this.#files.set(path, (this.#files.get(path) ?? 0) + duration);
    };
    runner.on(EVENT_TEST_END, count);
    runner.on(EVENT_HOOK_END, count);
    runner.on(EVENT_TEST_PASS, () => {
      this.#passed++;
    });
    // Hooks that fail come as failures too.
    runner.on(EVENT_TEST_FAIL, () => {
      this.#failed++;
    });
    runner.on(EVENT_TEST_PENDING, (test: Mocha.Test) => {
      this.#skipped.push(test.fullTitle());
    });
  }

  override epilogue(): void {
    super.epilogue();
    const slowest = [...this.#files].sort(([, a], [, b]) => b - a).slice(0, 20);
    for (const [path, ms] of [...slowest, ...this.#folders]) {
      console.log(`${String(Math.round(ms / 1000)).padStart(6)} s  test/${path}`);
    }
    for (const title of this.#skipped) console.log(`SKIPPED: ${title}`);
    console.log(`${this.#passed} passed, ${this.#failed} failed`);
  }
}

export default SummaryReporter;
