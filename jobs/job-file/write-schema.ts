/** Prints `job.schema.json` and `docs/estimators.md`; `npm run schema` runs it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../driver/support/package-root.js';
import { estimators } from '../estimators/index.js';
import { measuredAgreement } from './agreement.js';
import { estimatorsPage } from './estimators-page.js';
import { jobJsonSchema } from './json-schema.js';

const root = packageRoot();
writeFileSync(join(root, 'jobs/job-file/job.schema.json'), jobJsonSchema());
writeFileSync(
  join(root, 'docs/estimators.md'),
  estimatorsPage(estimators, measuredAgreement(root)),
);
