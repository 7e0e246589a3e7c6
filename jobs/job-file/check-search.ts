/**
 * Rules of `model` and `search` that span several keys: models of one task and each of its own name,
 * parameters either given or searched, values in range, and candidates not too many.
 */
import type { z } from 'zod';
import { type Distribution, endsOf, toldOf } from '../search/distributions.js';
import type { Problem } from './check-job.js';
import {
  expandValues,
  type GridValue,
  isSpread,
  MAX_CANDIDATES,
  modelsOf,
  type NamedModel,
  type NamedParameter,
  namedModels,
  parametersOf,
} from './model-schema.js';
import { checkPrepare, namedSteps, stepParameters } from './prepare-schema.js';
import { expectation } from './problems.js';
import { plain } from './read-options.js';
import type { JobDocument } from './schema.js';
import {
  isDistributionMap,
  namedType,
  SPACE_KEYS,
  type SubSpaceDocument,
  spacesGiven,
} from './space-schema.js';
import type { KeyPath } from './yaml-source.js';

/** Everything wrong with the models and the search of a document whose single keys are right. */
export function checkSearch(document: JobDocument): Problem[] {
  const models = namedModels(document) as readonly NamedModel[];
  return [
    ...checkPrepare(document.prepare, models),
    ...checkModels(document, models),
    ...checkSpaces(document, models),
    ...checkType(document),
  ];
}

function checkModels({ model }: JobDocument, models: readonly NamedModel[]): Problem[] {
  if (!Array.isArray(model)) return [];
  const { task } = models[0]!.estimator;
  return models.flatMap(({ name, estimator }, i): Problem[] => {
    const isNamed = (model as readonly { readonly name?: string }[])[i]!.name !== undefined;
    const path = ['model', i, isNamed ? 'name' : 'type'];
    if (estimator.task !== task) {
      const message = `expected models of one task, got ${estimator.name}, of ${estimator.task}, beside ${models[0]!.estimator.name}, of ${task}`;
      return [{ path: ['model', i, 'type'], message }];
    }
    if (models.findIndex((one) => one.name === name) === i) return [];
    const message = `expected each model's name once, got ${name} twice; give one of them another \`name\``;
    return [{ path, message }];
  });
}

function checkSpaces(document: JobDocument, models: readonly NamedModel[]): Problem[] {
  const { search } = document;
  const given = modelsOf(document);
  const steps = stepParameters(namedSteps(document));
  let candidates = 0;
  const problems = spacesGiven(search).flatMap(({ key, at, space }) => {
    const own = models.filter(({ name }) => space.model === undefined || space.model === name);
    const { model: _, ...values } = plain(space);
    const path: KeyPath = ['search', key, ...at];
    candidates += own.length * (key === 'grid' ? countOf(values) : 0);
    // In a list, what a model says holds where a sub-space does not search it.
    const fixed = at.length > 0 ? [] : own.map(({ name }) => given[models.findIndex((one) => one.name === name)]!); // biome-ignore format: a choice
    return Object.entries(values).flatMap(([name, value]) => [
      ...fixed.flatMap((one) => (one[name] === undefined ? [] : [both(path, name, document)])),
      ...checkValues(
        [...path, name],
        value as GridValue | Distribution,
        rangesOf(name, own, steps),
      ),
    ]);
  });
  if (candidates <= MAX_CANDIDATES) return problems;
  const message = `expected at most ${MAX_CANDIDATES} candidates, got ${candidates}`;
  return [...problems, { path: ['search', 'grid'], message }];
}

/** What a parameter may have: for each of the models, or of a step. */
function rangesOf(
  name: string,
  models: readonly NamedModel[],
  steps: readonly NamedParameter[],
): z.ZodType[] {
  const ofStep = steps.find((one) => one.name === name);
  if (ofStep !== undefined) return [ofStep.range];
  return models.map(({ estimator }) => parametersOf(estimator).find((one) => one.name === name)!.range); // biome-ignore format: a list
}

function both(path: KeyPath, name: string, { model }: JobDocument): Problem {
  const where = Array.isArray(model) ? 'in a model' : `\`model.${name}\``;
  const message = `expected no \`${name}\` in the grid together with ${where}, got both; remove one`;
  return { path: [...path, name], message, atKey: true };
}

function countOf(values: Omit<SubSpaceDocument, 'model'>): number {
  return Object.values(values).reduce<number>(
    (product, value) =>
      product * (isDistributionMap(value) ? 1 : expandValues(value as GridValue).length),
    1,
  );
}

/** A choice of exactly one key where there are several, and values that every model takes. */
function checkValues(
  path: KeyPath,
  value: GridValue | Distribution,
  ranges: readonly z.ZodType[],
): Problem[] {
  const isMapped = isSpread(value) || isDistributionMap(value);
  const keys = isMapped ? Object.keys(plain(value)) : [];
  if (isMapped && keys.length !== 1) {
    const got = keys.length > 0 ? keys.join(' and ') : 'neither';
    const known =
      path[1] === 'grid' ? 'logspace and linspace' : 'logspace, linspace and the distributions';
    return [{ path, message: `expected one of ${known}, got ${got}` }];
  }
  if (isDistributionMap(value)) return checkDistribution(path, value, ranges);
  // Of lists the schema has looked at every value, by the first model's range.
  const tested = isSpread(value) ? ranges : ranges.slice(1);
  return tested.flatMap((range) => {
    for (const one of expandValues(value)) {
      const issue = range.safeParse(one).error?.issues[0];
      if (issue === undefined) continue;
      const message = `expected ${expectation(issue, one)}, got ${one} among its values`;
      return [{ path: isMapped ? [...path, keys[0]!] : path, message }];
    }
    return [];
  });
}

/** Ends in order, above 0 where logarithms are taken, and values that every model takes. */
function checkDistribution(
  path: KeyPath,
  value: Distribution,
  ranges: readonly z.ZodType[],
): Problem[] {
  const [kind, told] = toldOf(plain(value) as Distribution);
  const at: KeyPath = [...path, kind];
  const shown = `[${told.join(', ')}]`;
  const wrong = (expected: string): Problem[] => [
    { path: at, message: `expected ${expected}, got ${shown}` },
  ];
  const [first, second, step] = told;
  if (kind === 'normal')
    return second! > 0 ? [] : wrong('[mean, deviation] with a deviation above 0');
  if (!(first! < second!)) return wrong('[from, to] with `from` below `to`');
  if (kind === 'loguniform' && !(first! > 0)) return wrong('[from, to] with both above 0');
  if (kind === 'quniform' && !(step! > 0)) return wrong('[from, to, step] with a step above 0');
  if (kind === 'randint' && !told.every(Number.isSafeInteger))
    return wrong('[from, to] of whole numbers');
  return ranges.flatMap((range) => {
    for (const end of endsOf(plain(value) as Distribution)) {
      const issue = range.safeParse(end).error?.issues[0];
      if (issue === undefined) continue;
      const message = `expected ${expectation(issue, end)}, got ${end} among what may be drawn`;
      return [{ path: at, message }];
    }
    return [];
  });
}

/** A type's own rules: one space, every model in it, and no nested search that depends on results. */
function checkType(document: JobDocument): Problem[] {
  const { search, cv } = document;
  const type = namedType(document)!;
  const problems: Problem[] = [];
  const given = SPACE_KEYS.filter((key) => search[key] !== undefined);
  if (given.length > 1) {
    const message = 'expected either `grid` or `distributions`, got both; remove one';
    problems.push({ path: ['search', 'distributions'], message, atKey: true });
  }
  const { distributions } = search;
  if (Array.isArray(distributions)) {
    const named = (distributions as readonly SubSpaceDocument[]).map(({ model }) => model);
    const missing = (namedModels(document) as readonly NamedModel[]).find(
      ({ name }) => !named.includes(undefined) && !named.includes(name),
    );
    if (missing !== undefined) {
      const message = `expected distributions for every model, got none for ${missing.name}; add {model: ${missing.name}}`;
      problems.push({ path: ['search', 'distributions'], message });
    }
  }
  if (type.isAdaptive(search) && cv.outer !== undefined) {
    const message = `expected no outer splits for search type ${type.type}, which goes by results of all splits, got some; remove \`outer\`, or search by grid, or by random without stop_after`;
    problems.push({ path: ['cv', 'outer'], message, atKey: true });
  }
  return problems;
}
