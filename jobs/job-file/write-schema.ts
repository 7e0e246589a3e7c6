/** Writes `job.schema.json` beside the sources; run by `npm run schema` after the schema changed. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../driver/support/package-root.js';
import { jobJsonSchema } from './json-schema.js';

writeFileSync(join(packageRoot(), 'jobs/job-file/job.schema.json'), jobJsonSchema());
