/**
 * The keys of a job file that depend on the estimator, made from its own parameters: each can be
 * set in `model` or searched in `search.grid`, as in scikit-learn. Invariant: an estimator adds
 * nothing here.
 */
import * as z from 'zod';
import type { Estimator, ParamValue } from '../estimators/estimator.js';
import { estimators } from '../estimators/index.js';
import { shownParam } from '../format.js';
import { isMap } from './plain-data.js';
import { linspace, logspace } from './spaces.js';

/** Most candidates one grid may have; more is nearly always a typing error. */
export const MAX_CANDIDATES = 100_000;

type Space = readonly [number, number, number];

/** Values spread over a range. */
export interface SpreadDocument {
  readonly logspace?: Space;
  readonly linspace?: Space;
}

export type GridValue = ParamValue | readonly ParamValue[] | SpreadDocument;
/** The estimator's name as `type`, and parameters. */
export interface ModelDocument {
  readonly type: string;
  readonly name?: string | undefined;
  readonly [parameter: string]: ParamValue | undefined;
}

/** One model, or several of one task. */
export type ModelsDocument = ModelDocument | readonly ModelDocument[];

export const shortName = z.string().regex(/^[A-Za-z_][\w-]{0,99}$/, {
  error: 'a name of letters, digits, _ and - (up to 100)',
});

/** A parameter as its estimator states it: its range, its default and its doc. */
export interface NamedParameter {
  readonly name: string;
  readonly range: z.ZodType;
  readonly fallback: ParamValue;
  readonly description: string;
}

export function parametersOf({ parameters }: Pick<Estimator, 'parameters'>): NamedParameter[] {
  return Object.entries(parameters.shape).map(([name, schema]) => {
    const { def, description = '' } = schema as z.ZodDefault<z.ZodType>;
    return { name, range: def.innerType, fallback: def.defaultValue as ParamValue, description };
  });
}

/** The keys of `model`, or of one of several, for one estimator. Defaults come later: a searched parameter has none. */
export function modelOf(estimator: Estimator, isOfSeveral: boolean): z.ZodType<ModelDocument> {
  const keys = parametersOf(estimator).map(({ name, range, fallback, description }) => {
    const doc = `${description} Default: ${shownParam(fallback)}.`;
    return [name, range.optional().meta({ description: doc })] as const;
  });
  const { name, alias } = estimator;
  const type = z
    .literal(alias === undefined ? [name] : [name, alias])
    .meta({ description: estimator.description });
  const called = shortName.optional().meta({
    description: 'What it is called in `search` and in results. Default: its type.',
  });
  const naming = isOfSeveral ? { name: called } : {};
  const model = z.strictObject({ type, ...naming, ...Object.fromEntries(keys) });
  return model as unknown as z.ZodType<ModelDocument>;
}

/** What a parameter may have in a space: one value, a list of them, or values spread over a range. */
export function valuesSchema(range: z.ZodType, spread?: z.ZodType): z.ZodType[] {
  const single = z.array(range).min(1).max(MAX_CANDIDATES);
  const values = range instanceof z.ZodNumber ? [single, spread ?? spreadOf(range)] : [single];
  return [...alone(range), ...values];
}

/** What may stand in a grid without a list round it: no list, which is one of values, and no map. */
function alone(range: z.ZodType): z.ZodType[] {
  if (range instanceof z.ZodNullable) {
    const own = alone(range.unwrap() as z.ZodType);
    return own.length === 0 ? [] : [range];
  }
  if (range instanceof z.ZodUnion) return (range.options as z.ZodType[]).flatMap(alone);
  return range instanceof z.ZodArray || range instanceof z.ZodRecord ? [] : [range];
}

/** What stands for an unknown estimator, so that its name is the one problem there is. */
export const unknownModel = z.looseObject({
  type: z.enum(
    estimators.flatMap(({ name, alias }) => (alias === undefined ? [name] : [name, alias])),
  ),
}) as unknown as z.ZodType<ModelDocument>;

export function spreadOf(value: z.ZodNumber): z.ZodType {
  const exponent = z.number().min(-300).max(300);
  const count = z.int().min(1).max(MAX_CANDIDATES);
  return z.strictObject({
    logspace: z.tuple([exponent, exponent, count]).optional().meta({
      description: '[from, to, n]: n values from 10^from to 10^to, evenly spaced in log.',
    }),
    linspace: z
      .tuple([value, value, count])
      .optional()
      .meta({ description: '[from, to, n]: n values from `from` to `to`, evenly spaced.' }),
  });
}

/** The values of one key of `search.grid`, in order. */
export function expandValues(given: GridValue): readonly ParamValue[] {
  if (Array.isArray(given)) return given as readonly ParamValue[];
  if (!isSpread(given)) return [given as ParamValue];
  return given.logspace ? logspace(...given.logspace) : linspace(...(given.linspace ?? [0, 0, 1]));
}

export function isSpread(given: unknown): given is SpreadDocument {
  return isMap(given);
}

/** A model that a document names. */
export interface NamedModel {
  /** Its `name`, else its type as it is written. */
  readonly name: string;
  readonly estimator: Estimator;
}

/** The models that a document names, in order: undefined where an estimator is unknown. */
export function namedModels(document: unknown): (NamedModel | undefined)[] {
  const { model } = (document ?? {}) as { model?: unknown };
  return (Array.isArray(model) ? model : [model]).map((one: unknown) => {
    const { type, name } = (one ?? {}) as { type?: unknown; name?: unknown };
    const estimator = estimators.find((each) => each.name === type || (each.alias && each.alias === type)); // biome-ignore format: a rule
    return estimator && { name: typeof name === 'string' ? name : String(type), estimator };
  });
}

/** The estimator of the first model that a document names, if there is one of that name. */
export function namedEstimator(document: unknown): Estimator | undefined {
  return namedModels(document)[0]?.estimator;
}

/** The models of a document that was checked. */
export function modelsOf({ model }: { readonly model: ModelsDocument }): readonly ModelDocument[] {
  return Array.isArray(model) ? (model as readonly ModelDocument[]) : [model as ModelDocument];
}
