/**
 * The `reuse` setting: which of its mechanisms a session may use. Each value allows what one of the
 * systems that Reprise is compared with can do and no more, so that a claim of reuse is a ratio of
 * two settings. One table; whoever decides whether something is kept or found again asks its own
 * field. Sources: LIMA (SIGMOD 2021), HELIX (VLDB 2018), Cachew (ATC 2022), CoorDL (VLDB 2021),
 * Clipper (NSDI 2017), Vista (SIGMOD 2020), Nautilus (SIGMOD 2022), MEMPHIS (EDBT 2025).
 */
import { ConfigError } from '../errors.js';
import { env } from '../support/env.js';
import { REUSE_WORDS, type ReuseSetting } from '../support/reuse-words.js';

/** What a result is to the program that asks for it. */
export type ResultRole = 'data' | 'layer' | 'model' | 'score' | 'prediction';

export interface ReusePolicy {
  readonly setting: ReuseSetting;
  /** Results that outlive their plan: all, those this machine made, or those of these roles. */
  readonly results: 'all' | 'here' | readonly ResultRole[];
  /** Results are built upon that answer a part of a step. */
  readonly partial: boolean;
  /** Calls of reusable functions, trained models among them, are answered from earlier ones. */
  readonly functions: boolean;
  /** Loops go on from where an equal one took all its iterations. */
  readonly loops: boolean;
  /** What was learned of data files. */
  readonly profiles: boolean;
  /** Later processes find what is kept. */
  readonly store: boolean;
  /** Steps of a pipeline are skipped whose outputs are there. */
  readonly steps: boolean;
  /** Files of predictions stay that were made of the same rows; equal rows are predicted for once. */
  readonly predictions: boolean;
  /** Trials train and are scored together. Else each is run by itself. */
  readonly together: boolean;
}

const NOTHING: Omit<ReusePolicy, 'setting'> = {
  results: [],
  partial: false,
  functions: false,
  loops: false,
  profiles: false,
  store: false,
  steps: false,
  predictions: false,
  together: false,
};

const ALL: Omit<ReusePolicy, 'setting'> = {
  results: 'all',
  partial: true,
  functions: true,
  loops: true,
  profiles: true,
  store: true,
  steps: true,
  predictions: true,
  together: true,
};

const POLICIES: Readonly<Record<ReuseSetting, ReusePolicy>> = {
  // MEMPHIS's Base.
  off: { setting: 'off', ...NOTHING },
  // LIMA: operators, whole and in part, in this machine's memory.
  operators: { setting: 'operators', ...NOTHING, results: 'here', partial: true },
  // HELIX: whole steps between runs. A fit is a step, and so are the data it reads and its score.
  steps: {
    setting: 'steps',
    ...NOTHING,
    results: ['data', 'model', 'score'],
    functions: true,
    profiles: true,
    store: true,
    steps: true,
  },
  // tf.data, Cachew, CoorDL: what the input pipeline makes.
  input: { setting: 'input', ...NOTHING, results: ['data'], profiles: true, store: true },
  // Clipper: predictions of a model for rows.
  predictions: {
    setting: 'predictions',
    ...NOTHING,
    results: ['prediction'],
    predictions: true,
  },
  // Vista, Nautilus: values inside networks, where they are cut.
  layers: { setting: 'layers', ...NOTHING, results: ['layer'], store: true },
  // Models that were trained before.
  functions: {
    setting: 'functions',
    ...NOTHING,
    results: ['model'],
    functions: true,
    store: true,
  },
  full: { setting: 'full', ...ALL },
};

/** Whether results of a role are kept as such. */
export function keepsRole({ results }: ReusePolicy, role: ResultRole | undefined): boolean {
  return role !== undefined && typeof results !== 'string' && results.includes(role);
}

/**
 * What a setting allows.
 * @param setting default: `REPRISE_REUSE`, else `full`
 * @throws ConfigError for no setting
 */
export function reusePolicy(setting: string = env.reuse() ?? 'full'): ReusePolicy {
  const known = REUSE_WORDS.find((word) => word === setting);
  if (known === undefined) {
    throw new ConfigError(
      `reuse: expected one of ${REUSE_WORDS.join(', ')}, got \`${setting}\`; leave it out for \`full\``,
      { key: 'reuse', value: setting, allowed: REUSE_WORDS },
    );
  }
  return POLICIES[known];
}
