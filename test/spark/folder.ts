/** A temporary folder; unlike `temporaryHome`, set-up's jars stay where they are. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export async function temporaryFolder(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'reprise-spark-test-'));
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}
