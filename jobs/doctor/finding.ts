/** What one check of `reprise doctor` found. */
export interface Finding {
  readonly name: string;
  /** `missing`: an engine can't run; `degraded`: all work, but slower or on fewer engines. */
  readonly status: 'ok' | 'degraded' | 'missing';
  /** What was found, in a few words. */
  readonly found: string;
  /** How to get what is missing; null when all is well. */
  readonly remedy: string | null;
}
