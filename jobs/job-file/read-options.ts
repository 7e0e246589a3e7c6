/** How files are read, as keys of a job or of a pipeline's step say it. */
import type { DescribeOptions } from '../../driver/index.js';
import { PANDAS_NULLS } from './null-tokens.js';
import type { ReadKeys } from './schema.js';

/** Options of the engines; a word in `null` such as `pandas` stands for its list of tokens. */
export function readOptions(keys: ReadKeys): DescribeOptions {
  const tokens = keys.csv?.null === undefined ? [] : [keys.csv.null].flat();
  const nulls = tokens.flatMap((token) => (token === 'pandas' ? PANDAS_NULLS : [String(token)]));
  const { null: _, ...csv } = keys.csv ?? {};
  return {
    ...(keys.format ? { format: keys.format } : {}),
    ...(keys.csv ? { csv: { ...plain(csv), ...(nulls.length > 0 ? { null: nulls } : {}) } } : {}),
    ...(keys.schema ? { schema: keys.schema } : {}),
    ...(keys.partitions === undefined ? {} : { partitions: keys.partitions }),
  };
}

/** Drops keys that zod carries as undefined. */
export function plain<T extends object>(keys: T): Plain<T> {
  return Object.fromEntries(
    Object.entries(keys).filter(([, value]) => value !== undefined),
  ) as Plain<T>;
}

/** The same keys, those that may be undefined absent instead. */
type Plain<T> = { [K in keyof T]: Exclude<T[K], undefined> };
