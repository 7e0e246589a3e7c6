/**
 * Set-up: brings what runs need into the home folder, each part once. Invariant: parts are
 * independent and idempotent, and one process sets up at a time; a part that fails does not keep
 * the next from being tried.
 */
import { join } from 'node:path';
import { env } from '../../driver/support/env.js';
import { withLock } from './lock.js';

export type SetupEngine = 'all' | 'local' | 'spark';

export interface SetupOptions {
  readonly engine: SetupEngine;
  /** Called with a line for people. */
  readonly onProgress: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface SetupOutcome {
  readonly part: string;
  /** Where the part lies; absent when it failed. */
  readonly path?: string;
  readonly error?: Error;
  /** Runs work without it, if slower. */
  readonly isOptional: boolean;
}

interface PartOptions {
  readonly onProgress: (message: string) => void;
  readonly signal?: AbortSignal;
}

interface Part {
  readonly name: string;
  readonly engines: readonly SetupEngine[];
  readonly isOptional: boolean;
  readonly install: (options: PartOptions) => Promise<string>;
}

const PARTS: readonly Part[] = [
  {
    name: 'openblas',
    engines: ['all', 'local', 'spark'],
    isOptional: true,
    install: async (options) => {
      const { installOpenBlas } = await import('../../gpu-executor/cpu/index.js');
      return installOpenBlas(options);
    },
  },
  {
    name: 'spark',
    engines: ['all', 'spark'],
    isOptional: false,
    install: async (options) => {
      const { installSpark } = await import('../../spark-bridge/index.js');
      return (await installSpark(options)).jars;
    },
  },
  {
    name: 'shim',
    engines: ['all', 'spark'],
    isOptional: false,
    install: async (options) => {
      const { buildShim } = await import('../../spark-bridge/index.js');
      return buildShim(options);
    },
  },
  {
    name: 'classes',
    engines: ['all', 'spark'],
    isOptional: true,
    install: async (options) => {
      const { recordClasses } = await import('./record-classes.js');
      return recordClasses(options);
    },
  },
];

/**
 * Sets up what `engine` needs; parts already there are skipped by their installers.
 * @throws LockedError when another set-up does not end, the signal's reason when it is aborted
 */
export async function setUp(options: SetupOptions): Promise<SetupOutcome[]> {
  const parts = PARTS.filter((part) => part.engines.includes(options.engine));
  const signal = options.signal ? { signal: options.signal } : {};
  const lock = {
    ...signal,
    onWait: (holder: number) => options.onProgress(`waiting for the set-up of process ${holder}`),
  };
  return withLock(join(env.home(), 'setup.lock'), lock, async () => {
    const outcomes: SetupOutcome[] = [];
    for (const part of parts) {
      options.signal?.throwIfAborted();
      outcomes.push(await setUpPart(part, { onProgress: options.onProgress, ...signal }));
    }
    return outcomes;
  });
}

async function setUpPart(part: Part, options: PartOptions): Promise<SetupOutcome> {
  const { name, isOptional } = part;
  try {
    return { part: name, isOptional, path: await part.install(options) };
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    const error = cause instanceof Error ? cause : new Error(String(cause));
    return { part: name, isOptional, error };
  }
}
