/** Writes `docs/sql-functions.md`; `npm run sql-functions` runs it after the table changed. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sqlFunctionsPage } from '../../driver/frame/sql/page.js';
import { packageRoot } from '../../driver/support/package-root.js';

writeFileSync(join(packageRoot(), 'docs/sql-functions.md'), sqlFunctionsPage());
