/**
 * The keys of a job file that depend on the estimator, made from its own parameters: each can be
 * set in `model` or searched in `search.grid`, as in scikit-learn. Invariant: an estimator adds
 * nothing here.
 */
import { z } from 'zod';
import type { Estimator, ParamValue } from '../estimators/estimator.js';
import { estimators } from '../estimators/index.js';
import { linspace, logspace } from './spaces.js';

/** Most candidates one grid may have; more is nearly always a typing error. */
export const MAX_CANDIDATES = 100_000;

type Space = readonly [number, number, number];

/** Values spread over a range. */
export interface SpaceDocument {
  readonly logspace?: Space;
  readonly linspace?: Space;
}

export type GridValue = ParamValue | readonly ParamValue[] | SpaceDocument;
export type GridDocument = Readonly<Record<string, GridValue>>;
/** The estimator's name as `type`, and parameters. */
export interface ModelDocument {
  readonly type: string;
  readonly [parameter: string]: ParamValue;
}

/** A parameter as its estimator states it: its range, its default and its doc. */
interface Parameter {
  readonly name: string;
  readonly range: z.ZodType;
  readonly fallback: ParamValue;
  readonly description: string;
}

export function parametersOf({ parameters }: Estimator): Parameter[] {
  return Object.entries(parameters.shape).map(([name, schema]) => {
    const { def, description = '' } = schema as z.ZodDefault<z.ZodType>;
    return { name, range: def.innerType, fallback: def.defaultValue as ParamValue, description };
  });
}

/** The keys of `model` for one estimator. Defaults come later: a searched parameter has none. */
export function modelOf(estimator: Estimator): z.ZodType<ModelDocument> {
  const keys = parametersOf(estimator).map(({ name, range, fallback, description }) => {
    const doc = `${description} Default: ${fallback}.`;
    return [name, range.optional().meta({ description: doc })] as const;
  });
  const { name, alias } = estimator;
  const type = z
    .literal(alias === undefined ? [name] : [name, alias])
    .meta({ description: estimator.description });
  const model = z.strictObject({ type, ...Object.fromEntries(keys) });
  return model as unknown as z.ZodType<ModelDocument>;
}

/** The keys of `search.grid` for one estimator. */
export function gridOf(estimator: Estimator): z.ZodType<GridDocument> {
  const keys = parametersOf(estimator).map(({ name, range, description }) => {
    const single = z.array(range).min(1).max(MAX_CANDIDATES);
    const values = range instanceof z.ZodNumber ? [single, spaceOf(range)] : [single];
    const options = [...alone(range), ...values];
    return [name, z.union(options).optional().meta({ description })] as const;
  });
  const grid = z.strictObject(Object.fromEntries(keys));
  return grid as unknown as z.ZodType<GridDocument>;
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
export const unknownGrid = z.unknown() as z.ZodType<GridDocument>;

function spaceOf(value: z.ZodNumber): z.ZodType {
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
  if (!isSpace(given)) return [given as ParamValue];
  return given.logspace ? logspace(...given.logspace) : linspace(...(given.linspace ?? [0, 0, 1]));
}

export function isSpace(given: GridValue): given is SpaceDocument {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}

/** The estimator that a document names, if there is one of that name. */
export function namedEstimator(document: unknown): Estimator | undefined {
  const type = (document as { model?: { type?: unknown } } | null)?.model?.type;
  return estimators.find(({ name, alias }) => name === type || (alias && alias === type));
}
