/** Writes `job.schema.json` beside the sources; `npm run schema` runs it after a schema change. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../driver/support/package-root.js';
import { jobJsonSchema } from './json-schema.js';

writeFileSync(join(packageRoot(), 'jobs/job-file/job.schema.json'), jobJsonSchema());
