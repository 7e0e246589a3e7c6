/**
 * `prepare` of a job file, and the parameters of its steps in `search`, made from the steps' own
 * parameters. Invariant: a step adds nothing here.
 */
import * as z from 'zod';
import { NO_STEP, type StepDocument, stepName, stepOf } from '../prepare/chosen-steps.js';
import { prepareSteps } from '../prepare/index.js';
import type { PrepareStep } from '../prepare/step.js';
import type { Problem } from './check-job.js';
import { type NamedModel, type NamedParameter, parametersOf, shortName } from './model-schema.js';
import { isMap } from './plain-data.js';

const MOST_STEPS = 100;

/** The keys of one step. */
function stepSchema(step: PrepareStep): z.ZodType<StepDocument> {
  const keys = parametersOf(step).map(({ name, range, fallback, description }) => {
    const doc = `${description} Default: ${JSON.stringify(fallback)}.`;
    return [name, range.optional().meta({ description: doc })] as const;
  });
  return z.strictObject({
    step: z.literal(step.name).meta({ description: step.description }),
    name: shortName.optional().meta({
      description: 'What it is called in `search`. Default: its step.',
    }),
    ...Object.fromEntries(keys),
  }) as unknown as z.ZodType<StepDocument>;
}

const unknownStep = z.looseObject({
  step: z.enum(prepareSteps.map(({ name }) => name)),
}) as unknown as z.ZodType<StepDocument>;

const DESCRIPTION =
  'Cleaning steps, in order, fitted on the training rows of each split. Default: none.';

/** What `prepare` of a document is checked by. */
export function prepareSchema(document: unknown): z.ZodType<readonly StepDocument[] | undefined> {
  const { prepare } = (document ?? {}) as { prepare?: unknown };
  const own = listed(prepare).map((one) => {
    const step = prepareSteps.find(({ name }) => isMap(one) && one.step === name);
    return step === undefined ? unknownStep : stepSchema(step);
  });
  const schema =
    own.length === 0 || own.length > MOST_STEPS
      ? z.array(unknownStep).max(MOST_STEPS)
      : z.tuple(own as [z.ZodType, ...z.ZodType[]]);
  return (schema as unknown as z.ZodType<readonly StepDocument[]>)
    .optional()
    .meta({ description: DESCRIPTION });
}

/** Every `prepare` there can be, for editors. */
export function anyPrepareSchema(): z.ZodType<readonly StepDocument[] | undefined> {
  return z
    .array(z.union(prepareSteps.map(stepSchema)))
    .max(MOST_STEPS)
    .optional()
    .meta({ description: DESCRIPTION });
}

function listed(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The steps that a document names, but those there are not. */
export function namedSteps(document: unknown): readonly StepDocument[] {
  const { prepare } = (document ?? {}) as { prepare?: unknown };
  return listed(prepare).filter(
    (one): one is StepDocument => isMap(one) && prepareSteps.some(({ name }) => name === one.step),
  );
}

/** What of the steps may be searched: `name.parameter`, and `name` for the main one or `none`. */
export function stepParameters(steps: readonly StepDocument[]): NamedParameter[] {
  return steps.flatMap((document) => {
    const step = stepOf(document);
    const name = stepName(document);
    const own = parametersOf(step);
    const main = own.find((one) => one.name === step.main)!;
    const alternatives = z.union([z.literal(NO_STEP), main.range]);
    const said = `\`${step.main}\` of step ${name}, or \`${NO_STEP}\` to leave it out.`;
    return [
      { ...main, name, range: alternatives, description: said },
      ...own.map((one) => ({ ...one, name: `${name}.${one.name}` })),
    ];
  });
}

/** Steps of one name, or of a parameter's. */
export function checkPrepare(
  prepare: readonly StepDocument[] | undefined,
  models: readonly NamedModel[],
): Problem[] {
  const names = (prepare ?? []).map(stepName);
  return names.flatMap((name, i): Problem[] => {
    const path = ['prepare', i, prepare![i]!.name === undefined ? 'step' : 'name'];
    if (names.indexOf(name) < i) {
      const message = `expected each step's name once, got ${name} twice; give one of them another \`name\``;
      return [{ path, message }];
    }
    const model = models.find(({ estimator }) => name in estimator.parameters.shape);
    if (model === undefined) return [];
    const message = `expected a name that is no parameter of ${model.name}, got ${name}; give it a \`name\``;
    return [{ path, message }];
  });
}

/** For editors: parameters of steps by the form of their names. */
export const STEP_PATTERNS = {
  patternProperties: {
    '^[A-Za-z_][A-Za-z0-9_-]*\\.[a-z_]+$': { description: 'A parameter of a cleaning step.' },
    [`^(${prepareSteps.map(({ name }) => name).join('|')})$`]: {
      description: `The main parameter of a cleaning step, or \`${NO_STEP}\` to leave it out.`,
    },
  },
};
