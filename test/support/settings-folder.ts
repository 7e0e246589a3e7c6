/** A folder with a project and a user's settings, where the environment says nothing of ours. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setMemory } from '../../driver/support/memory.js';
import { loadSettings } from '../../jobs/config/current.js';
import { type EffectiveSetting, effectiveSettings } from '../../jobs/config/effective.js';
import type { Job } from '../../jobs/job-file/job.js';
import { type ReadJobOptions, readJob } from '../../jobs/job-file/read-job.js';

export const JOB = 'kind: grid-search\ndata: {path: d.csv, target: y}\nmodel: {type: ridge}\n';

/** Made anew for each test of a suite; afterwards no settings hold. */
export class SettingsFolder {
  root = '';
  readonly #before = { ...process.env };

  get project(): string {
    return join(this.root, 'project');
  }

  begin(): void {
    this.root = realpathSync(mkdtempSync(join(tmpdir(), 'reprise-settings-')));
    this.files({ 'project/package.json': '{}' });
    this.#forget();
    this.set({ XDG_CONFIG_HOME: join(this.root, 'user') });
  }

  async end(): Promise<void> {
    // What the environment says now would hold for later tests too, whatever they set.
    this.#forget();
    this.set({ REPRISE_CONFIG: 'off' });
    await loadSettings(this.root);
    this.#forget();
    Object.assign(process.env, this.#before);
    setMemory(undefined);
    rmSync(this.root, { recursive: true });
  }

  #forget(): void {
    for (const name of Object.keys(process.env)) {
      const isOurs = name.startsWith('REPRISE_') && name !== 'REPRISE_HOME';
      if (isOurs || !(name in this.#before)) delete process.env[name];
    }
  }

  files(texts: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(texts)) {
      mkdirSync(dirname(join(this.root, name)), { recursive: true });
      writeFileSync(join(this.root, name), text);
    }
  }

  user(text: string): void {
    this.files({ 'user/reprise/config.yaml': text });
  }

  settings(text: string): void {
    this.files({ 'project/reprise.yaml': text });
  }

  set(values: Readonly<Record<string, string>>): void {
    Object.assign(process.env, values);
  }

  /** Reads a job of the project as the command line does. */
  async jobIn(text: string, options: ReadJobOptions = {}): Promise<Job> {
    this.files({ 'project/jobs/job.yaml': text });
    await loadSettings(join(this.project, 'jobs'));
    return readJob(join(this.project, 'jobs/job.yaml'), { cwd: this.root, ...options });
  }

  /** What holds for a setting. */
  async held(key: string): Promise<EffectiveSetting | undefined> {
    const { settings } = await effectiveSettings(this.project);
    return settings.find((one) => one.key === key);
  }
}
