/** Which settings files count, whether they are right, and variables that name no setting. */
import { loadSettings } from '../config/current.js';
import { unknownVariables } from '../config/levels.js';
import type { Finding } from './finding.js';

const name = 'settings';

/** From then on the settings of the current folder hold, where they are right. */
export async function settingsCheck(): Promise<Finding> {
  const unknown = unknownVariables();
  try {
    const { project, user } = (await loadSettings(process.cwd())).files;
    const files = [project, user].filter((file) => file !== undefined);
    const found = files.length === 0 ? 'no settings files' : files.join(', ');
    if (unknown.length === 0) return { name, status: 'ok', found, remedy: null };
    const remedy = `correct or unset ${unknown.join(', ')}: no setting has that name`;
    return { name, status: 'degraded', found, remedy };
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return { name, status: 'missing', found, remedy: 'correct them; `reprise run` would end so' };
  }
}
