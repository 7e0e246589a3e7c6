/**
 * A pretrained network as a model file has it: by its path and the content of its files, which stay
 * where they are. Invariant: a network of other content is refused, never applied.
 */
import { basename, dirname, join, resolve } from 'node:path';
import * as z from 'zod';
import { ConfigError, type Matrix } from '../../driver/index.js';
import { networkDigest } from '../networks/network.js';
import { type BringOptions, isOfPackage, localPath } from '../npm-data.js';
import { cutOf, type NetworkParams, networkParameters, openNetwork } from './network.js';

export const storedNetwork = z.strictObject({
  kind: z.literal('network'),
  columns: z.array(z.string()).meta({ description: 'Names of what comes out.' }),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .meta({
      description: 'Of the file; of a model.json and its shards over their digests, line by line.',
    }),
  ...networkParameters.shape,
});

export type StoredNetwork = z.output<typeof storedNetwork>;

/** What the step says of rows that it made. */
export type NetworkFacts = NetworkParams & { readonly sha256: string };

export function networkStage(facts: NetworkFacts, columns: readonly string[]): StoredNetwork {
  const path = isOfPackage(facts.path) ? facts.path : resolve(facts.path);
  return { kind: 'network', columns: [...columns], ...facts, path };
}

/** @param X [n, cells of an image], none missing @throws ConfigError where it was not opened */
export function networkColumns(X: Matrix, stage: StoredNetwork): Matrix {
  return cutOf(X, stage, stage.sha256).pooled;
}

/**
 * Reads the networks of stages: where they were in training, or beside the model file.
 * @param model the model file
 * @throws ConfigError for one that is not there or is another by now
 */
export async function openNetworks(
  stages: readonly StoredNetwork[],
  model: string,
  options: BringOptions,
): Promise<void> {
  for (const { path, sha256 } of stages) {
    const beside = join(dirname(model), basename(path));
    const places = isOfPackage(path) ? [path] : [path, beside];
    const found: string[] = [];
    for (const place of places) {
      const digest = await networkDigest(await localPath(place, options));
      if (digest === sha256) found.push(place);
    }
    if (found.length === 0) {
      throw new ConfigError(
        `model: expected its network with SHA-256 ${sha256} at ${places.join(' or ')}, got another or none; bring that file back, or run the job again with the new one`,
        { key: 'model', value: path },
      );
    }
    await openNetwork(found[0]!, options);
  }
}
