/** Columns in folder names as SQL: constants of each file, told apart by its place in the call. */
import type { PartitionType, PartitionValue } from '../../../driver/ir/frame-engine.js';
import { quoteName, quoteText } from './database.js';

export const PARTITION_TYPES = { integer: 'BIGINT', date: 'DATE', text: 'VARCHAR' } as const;

/** Select item of a partition column over one call's files. @param partitions by file, in order */
export function partitionItem(
  name: string,
  partitions: readonly (readonly PartitionValue[] | undefined)[],
): string | undefined {
  const values = partitions.map((partition) => partition?.find((one) => one.name === name));
  const [first] = values;
  if (first === undefined) return undefined;
  const type = PARTITION_TYPES[first.type as PartitionType];
  const texts = values.map((one) => (one?.value == null ? 'NULL' : quoteText(one.value)));
  const isOne = texts.every((text) => text === texts[0]);
  const text = isOne
    ? texts[0]
    : `list_extract([${texts.join(', ')}], CAST(file_index AS BIGINT) + 1)`;
  return `CAST(${text} AS ${type}) AS ${quoteName(name)}`;
}
