/**
 * Which cached value goes first: each policy gives an entry a score and the lowest goes. Invariant:
 * while an entry stays, its score never falls, as a `Budget` wants it. Source:
 * MEMPHIS (EDBT 2025) and LIMA (SIGMOD 2021).
 */

import type { CacheEntry } from '../backend/cache-entry.js';
import { ConfigError } from '../errors.js';
import { lossPerByte, type VictimRule } from '../support/budget.js';
import { env } from '../support/env.js';

export interface EvictionPolicy extends VictimRule<CacheEntry> {
  readonly name: 'costSize' | 'lru' | 'dagHeight';
}

export type PolicyName = EvictionPolicy['name'];

const costPerByte = ({ seconds, bytes }: CacheEntry): number => lossPerByte(0, seconds, bytes);
const lastUse = (entry: CacheEntry): number => entry.usedAt;

const policies: Readonly<Record<PolicyName, EvictionPolicy>> = {
  /** (hits + misses + 1) * time / size: what dropping it will cost, for what it frees. */
  costSize: {
    name: 'costSize',
    score: ({ hits, misses, seconds, bytes }) => lossPerByte(hits + misses, seconds, bytes),
    tieBreak: lastUse,
  },
  /** Least recently used first. */
  lru: { name: 'lru', score: lastUse, tieBreak: costPerByte },
  /** Longest lineage first: what lies near the inputs is shared by more programs. */
  dagHeight: {
    name: 'dagHeight',
    score: (entry) => 1 / entry.height,
    tieBreak: costPerByte,
  },
};

/** @param source where the name was given, for the message @throws ConfigError for other names */
export function evictionPolicy(name: string, source = 'SessionOptions.policy'): EvictionPolicy {
  if (Object.hasOwn(policies, name)) return policies[name as PolicyName];
  const allowed = Object.keys(policies);
  throw new ConfigError(`${source}: expected ${allowed.join(', ')}, got ${JSON.stringify(name)}`, {
    key: source,
    value: name,
    allowed,
  });
}

/** What the environment asks for, `costSize` if nothing. @throws ConfigError */
export function policyFromEnv(): EvictionPolicy {
  return evictionPolicy(env.cachePolicy() ?? 'costSize', 'REPRISE_CACHE_POLICY');
}
