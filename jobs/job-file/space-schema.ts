/**
 * The keys that say which candidates a search has: values or distributions by parameter, for one
 * model or several. Invariant: an estimator and a type of search add nothing here; both state their
 * own keys.
 */
import * as z from 'zod';
import type { Estimator, ParamValue } from '../estimators/estimator.js';
import { DISTRIBUTIONS, type Distribution } from '../search/distributions.js';
import type { SubSpace } from '../search/space.js';
import { searchTypes } from '../search/strategies/index.js';
import type { SearchType } from '../search/strategies/strategy.js';
import {
  expandValues,
  type GridValue,
  type NamedModel,
  type NamedParameter,
  parametersOf,
  spreadOf,
  valuesSchema,
} from './model-schema.js';
import { isMap } from './plain-data.js';
import { STEP_PATTERNS } from './prepare-schema.js';
import { plain } from './read-options.js';

export type SpaceKey = 'grid' | 'distributions';
export const SPACE_KEYS: readonly SpaceKey[] = ['grid', 'distributions'];

/** Values by parameter, and which model they are for. */
export type SubSpaceDocument = Readonly<Record<string, GridValue | Distribution>> & {
  readonly model?: string | undefined;
};
export type SpaceDocument = SubSpaceDocument | readonly SubSpaceDocument[];

/** `search` as users write it: keys of every type, then those of its own. */
export interface SearchDocument {
  readonly type?: string | undefined;
  readonly grid?: SpaceDocument | undefined;
  readonly distributions?: SpaceDocument | undefined;
  readonly max_failures?: number | undefined;
  readonly fail_fast?: boolean | undefined;
  readonly max_seconds?: number | undefined;
  readonly ensemble?: z.output<typeof ensemble> | undefined;
  readonly [setting: string]: unknown;
}

const limits = {
  max_failures: z.int().min(0).max(1e9).optional().meta({
    description:
      'Stop before the next wave when more candidates than this have failed. Default: go on.',
  }),
  fail_fast: z.boolean().optional().meta({
    description: 'Stop at the first candidate that fails: `max_failures: 0`. Default: false.',
  }),
  max_seconds: z.number().positive().max(1e9).optional().meta({
    description: 'Stop before the next wave when the search has taken as long. Default: go on.',
  }),
};

const ensemble = z
  .strictObject({
    members: z.int().min(2).max(100).default(2).meta({
      description: 'The best candidates, of several models first the best of each. Default: 2.',
    }),
    trials: z.int().min(0).max(100_000).default(100).meta({
      description: 'Weights to draw, besides each member alone and all alike. Default: 100.',
    }),
    seed: z.int().min(0).max(Number.MAX_SAFE_INTEGER).default(0).meta({
      description: 'Seed of the draws. Default: 0.',
    }),
    voting: z.enum(['soft', 'hard', 'decision']).optional().meta({
      description:
        'Of classes, what is summed: probabilities, votes, or decision values. Default: soft where every model has probabilities, else decision.',
    }),
  })
  .meta({ id: 'ensemble' });

const SPACES: Readonly<Record<SpaceKey, string>> = {
  grid: 'Values to try by parameter, every combination of them; or a list of such grids. Default: none.',
  distributions: 'Values or a distribution to draw from by parameter; or a list of such maps.',
};

/** The type that a document names, `grid` where it names none; undefined for an unknown one. */
export function namedType(document: unknown): SearchType | undefined {
  const type = (document as { search?: { type?: unknown } } | null)?.search?.type ?? 'grid';
  return searchTypes.find((one) => one.type === type);
}

/** What `search` is checked by, for a type of search. @param spaceOf the schema of a space */
export function searchSchema(
  type: SearchType,
  spaceOf: (key: SpaceKey) => z.ZodType,
): z.ZodType<SearchDocument> {
  const isGrid = type.type === 'grid';
  const own = z.literal(type.type).meta({ description: type.description });
  const spaces = type.spaces.map((key) => {
    const isOnly = type.spaces.length === 1 && key !== 'grid';
    const schema = isOnly ? spaceOf(key) : spaceOf(key).optional();
    return [key, schema.meta({ description: SPACES[key] })] as const;
  });
  return z.strictObject({
    type: isGrid ? own.optional() : own,
    ...Object.fromEntries(spaces),
    ...type.keys,
    ...limits,
    ensemble: ensemble.optional().meta({
      description:
        'At the end, make one model of the best candidates: their weighted sum. Default: the best alone.',
    }),
  }) as unknown as z.ZodType<SearchDocument>;
}

/** What stands for an unknown type, so that its name is the one problem there is. */
export const unknownSearch = z.looseObject({
  type: z.enum(searchTypes.map(({ type }) => type)),
}) as unknown as z.ZodType<SearchDocument>;

/** The space of a document, each sub-space checked by the model that it names. */
export function spaceSchema(
  key: SpaceKey,
  given: unknown,
  models: readonly NamedModel[],
  steps: readonly NamedParameter[],
): z.ZodType {
  if (!Array.isArray(given)) return subSpaceSchema(key, given, models, steps);
  const own = given.map((one) => subSpaceSchema(key, one, models, steps));
  if (own.length === 0) return z.array(z.unknown()).min(1);
  return z.tuple(own as [z.ZodType, ...z.ZodType[]]);
}

/** Every space of a kind that there can be, for editors. */
export function anySpaceSchema(key: SpaceKey, estimators: readonly Estimator[]): z.ZodType {
  const one = z.union(
    estimators.map((estimator) =>
      parameterSpace(key, [estimator], { model: modelName, spread: anySpread, steps: [] }).meta(
        STEP_PATTERNS,
      ),
    ),
  );
  return z.union([one, z.array(one).min(1)]);
}

const modelName = z.string().max(100);
/** Editors are told its form, not the range of each parameter. */
const anySpread = spreadOf(z.number()).meta({ id: 'spread' });

function subSpaceSchema(
  key: SpaceKey,
  given: unknown,
  models: readonly NamedModel[],
  steps: readonly NamedParameter[],
): z.ZodType {
  const names = models.map(({ name }) => name);
  const asked = isMap(given) ? given.model : undefined;
  if (asked === undefined) {
    const model = names.length > 1 ? z.enum(names) : undefined;
    return parameterSpace(key, models.map(({ estimator }) => estimator), { model, steps }); // biome-ignore format: a call
  }
  const model = models.find(({ name }) => name === asked);
  // An unknown name is the one problem there is.
  if (model === undefined) return z.looseObject({ model: z.enum(names) });
  return parameterSpace(key, [model.estimator], { model: z.literal(model.name), steps });
}

/** The parameters that all of the estimators have, and those of cleaning steps. */
function parameterSpace(
  key: SpaceKey,
  estimators: readonly Estimator[],
  {
    model,
    spread,
    steps,
  }: {
    readonly model: z.ZodType | undefined;
    readonly spread?: z.ZodType;
    readonly steps: readonly NamedParameter[];
  },
): z.ZodType {
  const [first, ...others] = estimators;
  const shared = parametersOf(first!).filter(({ name }) =>
    others.every((other) => name in other.parameters.shape),
  );
  const keys = [...shared, ...steps].map(({ name, range, description }) => {
    const options = valuesSchema(range, spread);
    const drawn = key === 'distributions' && isNumeric(range) ? [distribution] : [];
    return [
      name,
      z
        .union([...options, ...drawn])
        .optional()
        .meta({ description }),
    ] as const;
  });
  const of = model?.optional().meta({
    description: 'The name of the model that this is for. Default: every model.',
  });
  return z.strictObject({ ...(of ? { model: of } : {}), ...Object.fromEntries(keys) });
}

/** Whether some of its values are numbers. */
export function isNumeric(range: z.ZodType): boolean {
  if (range instanceof z.ZodNumber) return true;
  if (range instanceof z.ZodNullable) return isNumeric(range.unwrap() as z.ZodType);
  return range instanceof z.ZodUnion && (range.options as z.ZodType[]).some(isNumeric);
}

const two = z.tuple([z.number(), z.number()]);
const distribution = z
  .strictObject({
    uniform: two.optional().meta({ description: '[from, to]: any number between, alike.' }),
    loguniform: two.optional().meta({
      description: '[from, to], both above 0: any number between, its logarithm alike.',
    }),
    randint: two.optional().meta({
      description: '[from, to]: whole numbers from `from` on, below `to`, as in SciPy.',
    }),
    normal: two.optional().meta({
      description: '[mean, deviation]: numbers that the parameter does not take are drawn again.',
    }),
    quniform: z.tuple([z.number(), z.number(), z.number()]).optional().meta({
      description: '[from, to, step]: as uniform, rounded to a multiple of `step`.',
    }),
  })
  .meta({ id: 'distribution' });

/** The sub-spaces of `search`, in order; models that a grid does not name are tried as they are. */
export function subSpaces(search: SearchDocument, models: readonly NamedModel[]): SubSpace[] {
  const names = models.map(({ name }) => name);
  const given = spacesGiven(search).map(({ space: { model, ...values } }): SubSpace => {
    return { models: model === undefined ? names : [model], values: expandedValues(values) };
  });
  const named = new Set(given.flatMap((one) => one.models));
  const others = names.filter((name) => !named.has(name));
  return others.length === 0 ? given : [...given, { models: others, values: {} }];
}

/** Sub-spaces as they stand in `search`, and where. */
export function spacesGiven(search: SearchDocument): {
  readonly key: SpaceKey;
  /** Where it stands under `key`. */
  readonly at: readonly number[];
  readonly space: SubSpaceDocument;
}[] {
  return SPACE_KEYS.flatMap((key) => {
    const space = search[key];
    if (space === undefined) return [];
    if (!Array.isArray(space)) return [{ key, at: [], space: space as SubSpaceDocument }];
    return (space as readonly SubSpaceDocument[]).map((one, i) => ({ key, at: [i], space: one }));
  });
}

/** Lists written out, distributions as they are. */
function expandedValues(values: Omit<SubSpaceDocument, 'model'>): SubSpace['values'] {
  return Object.fromEntries(
    Object.entries(plain(values)).map(([name, value]) => [
      name,
      isDistributionMap(value)
        ? plain(value)
        : (expandValues(value as GridValue) as readonly ParamValue[]),
    ]),
  ) as SubSpace['values'];
}

export function isDistributionMap(value: unknown): value is Distribution {
  return isMap(value) && DISTRIBUTIONS.some((name) => value[name] !== undefined);
}
