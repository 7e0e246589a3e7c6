/**
 * The shape of a pipeline file: its own keys, and the keys that a step of any kind may have. Kinds
 * of steps bring the rest. Invariant: unknown keys are refused, and every key says its meaning and
 * default.
 */
import * as z from 'zod';
import { DURATION, parseDuration } from '../../driver/support/duration.js';
import { documentKeys } from '../job-file/document.js';
import { runKeys } from '../job-file/schema.js';
import { stepKinds } from '../steps/index.js';
import type { StepKind } from '../steps/step-kind.js';

const stepName = z.string().regex(/^[A-Za-z_][\w-]{0,63}$/, {
  error: 'a name of letters, digits, _ and - (up to 64)',
});

const duration = z
  .string()
  .refine((text) => parseDuration(text) !== undefined, { error: DURATION });

const stepKeys = {
  after: z
    .union([stepName, z.array(stepName)])
    .optional()
    .meta({ description: 'Steps to wait for besides those whose output is read.' }),
  retries: z
    .union([
      z.int().min(0).max(100),
      z.strictObject({
        times: z.int().min(0).max(100).meta({ description: 'How often to try again.' }),
        delay: duration.optional().meta({ description: 'Before each further try. Default: 0s.' }),
      }),
    ])
    .optional()
    .meta({ description: 'How often to try again when it fails. Default: 0.' }),
  timeout: duration.optional().meta({
    description: 'How long a try may take before it is stopped and fails. Default: no limit.',
  }),
  on_failure: z.enum(['stop', 'warn', 'continue']).optional().meta({
    description:
      '`stop`: steps after it do not run. `continue`: those that read nothing of it do; the run fails. `warn`: as continue, and the run does not fail. Default: stop.',
  }),
  always: z.boolean().optional().meta({
    description: 'Run it even if nothing changed. Default: false.',
  }),
};

/** Keys that a step of any kind may have. */
export type StepKeys = z.output<z.ZodObject<typeof stepKeys, z.core.$strict>>;
export const STEP_KEYS = Object.keys(stepKeys) as readonly (keyof StepKeys)[];

/** The schema of a step of a kind. */
export function stepSchema(kind: StepKind): z.ZodType {
  return kind.schema.safeExtend(stepKeys);
}

function pipelineWith<Step extends z.ZodType>(step: Step) {
  return z.strictObject({
    kind: z.literal('pipeline').meta({ description: 'What to run.' }),
    name: runKeys.name,
    ...documentKeys,
    store: runKeys.store,
    reuse: runKeys.reuse,
    devices: runKeys.devices,
    spark: runKeys.spark,
    output: runKeys.output,
    parallel: z.int().min(1).max(64).optional().meta({
      description: 'Steps that may run at once. Default: 2.',
    }),
    steps: z
      .record(stepName, step)
      .refine((steps) => Object.keys(steps).length > 0, { error: 'at least one step' })
      .meta({ description: 'What to do, by name; the order follows from what reads what.' }),
  });
}

/** What a pipeline's document is checked by first; each step then by that of its kind. */
export const pipelineSchema = pipelineWith(z.record(z.string(), z.unknown()));
export type PipelineDocument = z.output<typeof pipelineSchema>;

/** Every pipeline file there can be, for editors. */
export function pipelineEditorSchema(): z.ZodType {
  return pipelineWith(z.union(stepKinds.map(stepSchema))).meta({
    title: 'Reprise pipeline',
    description: 'A pipeline for `reprise run`.',
  });
}
