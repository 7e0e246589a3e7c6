/** Zod schema of a feature of a job file; rules over several of its keys are in `check-job.ts`. */
import * as z from 'zod';
import { MAX_HASH_COLUMNS } from '../../driver/frame/feature-spec.js';

const text = (max: number) => z.string().min(1).max(max);

const featureObject = z
  .strictObject({
    name: text(500).meta({ description: 'Name of the feature; a column unless `sql` is given.' }),
    sql: text(10_000).optional().meta({
      description: 'Expression over the columns; docs/sql-functions.md lists what it may use.',
    }),
    encode: z.enum(['number', 'onehot', 'bin', 'hash']).optional().meta({
      description:
        '`number` (default) as is, `onehot` a column a category, `bin` a column a bin, `hash` counts of the words of a text.',
    }),
    top: z.int().min(1).max(100_000).optional().meta({
      description: 'Keep the most frequent categories; the rest become `other`. Default: all.',
    }),
    bins: z
      .union([z.int().min(2).max(10_000), z.array(z.number()).min(1).max(10_000)])
      .optional()
      .meta({
        description: 'Number of bins of equal count, or the inner edges in ascending order.',
      }),
    impute: z
      .union([z.number(), text(500)])
      .optional()
      .meta({
        description:
          'What stands in for a missing value: `mean` (of the training rows), `zero`, a number, or a category.',
      }),
    columns: z.int().min(1).max(MAX_HASH_COLUMNS).optional().meta({
      description: '`hash`: how many columns the words are hashed into. Default: 4096.',
    }),
    ngrams: z
      .tuple([z.int().min(1).max(10), z.int().min(1).max(10)])
      .optional()
      .meta({
        description: '`hash`: least and most words of the runs that are counted. Default: [1, 1].',
      }),
    lowercase: z.boolean().optional().meta({
      description: '`hash`: whether capital letters count as small ones. Default: true.',
    }),
    norm: z.enum(['l1', 'l2', 'none']).optional().meta({
      description: '`hash`: by which the counts of a row are divided. Default: `l2`.',
    }),
    alternate_sign: z.boolean().optional().meta({
      description: '`hash`: whether half of the words count negatively. Default: true.',
    }),
  })
  .meta({ id: 'feature' });

/** A feature: the name of a column, or more. */
export const feature = z.union([text(500), featureObject]);
