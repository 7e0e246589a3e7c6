/** Inputs on which Reprise once failed, each on both engines, with one session of each kind. */
import { existsSync } from 'node:fs';
import { type OpenSession, openSession } from '../../jobs/engines.js';
import { readJob } from '../../jobs/job-file/read-job.js';
import { runJob } from '../../jobs/run-job.js';
import { JobFolder } from '../support/job-folder.js';
import { sparkMissing } from '../support/spark.js';
import type { Case, CaseEngine, Outcome } from './case.js';
import { columnCases } from './columns.js';
import { EDGES } from './edges.js';
import { hostileCases } from './hostile.js';
import { SQL } from './sql.js';
import { TEXT } from './text.js';
import { WIDE } from './wide.js';

/** One list a kind of input; a new kind is a file beside this one and a line here. */
const CASES: readonly (readonly Case[])[] = [columnCases, EDGES, hostileCases, SQL, TEXT, WIDE];

for (const engine of ['local', 'spark'] as const) {
  describe(`cases on ${engine}`, function () {
    this.timeout(120_000);
    let open: OpenSession;
    let folder: JobFolder;

    before(async function () {
      const missing = engine === 'spark' ? sparkMissing() : undefined;
      if (missing !== undefined) return this.skip();
      open = await openSession(engine);
    });
    after(() => open?.session.close());
    beforeEach(() => {
      folder = new JobFolder();
    });
    afterEach(() => folder.remove());

    for (const one of CASES.flat()) {
      if (one.engines?.includes(engine) === false) continue;
      it(one.name, async () => one.check(await outcome(one, engine)));
    }

    async function outcome(one: Case, on: CaseEngine): Promise<Outcome> {
      await one.prepare(folder);
      const warnings: string[] = [];
      const onEvent = (event: { kind: string; message?: string }): void => {
        if (event.kind === 'warning') warnings.push(event.message ?? '');
      };
      try {
        const path = folder.file('job.yaml');
        if (!existsSync(path)) folder.job();
        const job = await readJob(path, { cwd: folder.path });
        const record = await runJob(job, { engine: on, open, onEvent });
        return { engine: on, record, warnings };
      } catch (error) {
        return { engine: on, error: error as Error, warnings };
      }
    }
  });
}
