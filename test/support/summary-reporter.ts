/**
 * Mocha's `spec` reporter with a count at the end: the last line reads `N passed, N failed`, for scripts. Skipped
 * tests are listed above it with their titles, so that a skip is never silent.
 */
import Mocha from 'mocha';

const { EVENT_TEST_FAIL, EVENT_TEST_PASS, EVENT_TEST_PENDING } = Mocha.Runner.constants;

class SummaryReporter extends Mocha.reporters.Spec {
  #passed = 0;
  #failed = 0;
  readonly #skipped: string[] = [];

  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
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
    for (const title of this.#skipped) console.log(`SKIPPED: ${title}`);
    console.log(`${this.#passed} passed, ${this.#failed} failed`);
  }
}

export default SummaryReporter;
