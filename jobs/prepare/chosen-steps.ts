/**
 * From what a job says of its steps, and a candidate's parameters, to the steps of the candidate.
 * `name.parameter` is a parameter of a step, `name` its main one, of which `none` leaves it out.
 */
import { ConfigError } from '../../driver/index.js';
import { closestText } from '../../driver/support/closest.js';
import type { Params, ParamValue } from '../estimators/estimator.js';
import type { BringOptions } from '../npm-data.js';
import { prepareSteps } from './index.js';
import type { ChosenStep } from './preparation.js';
import type { PrepareStep } from './step.js';

/** A step as job files say it: its type, its name among the job's, and parameters. */
export interface StepDocument {
  readonly step: string;
  /** Default: the type. */
  readonly name?: string;
  readonly [parameter: string]: unknown;
}

/** What leaves a step out. */
export const NO_STEP = 'none';

export function stepName({ step, name = step }: StepDocument): string {
  return name;
}

/** @throws ConfigError for a type there is not */
export function stepOf({ step: type }: StepDocument): PrepareStep {
  const step = prepareSteps.find((one) => one.name === type);
  if (step !== undefined) return step;
  const names = prepareSteps.map((one) => one.name);
  throw new ConfigError(
    `prepare: expected a step there is, got ${JSON.stringify(type)}; the steps are ${closestText(type, names)}`,
    { key: 'prepare', value: type },
  );
}

/** A searched parameter of steps: which step's, and which. */
interface StepParameter {
  readonly document: StepDocument;
  readonly parameter: string;
}

/** @returns undefined for a parameter that is none of the steps' */
export function stepParameter(
  steps: readonly StepDocument[],
  key: string,
): StepParameter | undefined {
  for (const document of steps) {
    const name = stepName(document);
    if (key === name) return { document, parameter: stepOf(document).main };
    if (key.startsWith(`${name}.`)) return { document, parameter: key.slice(name.length + 1) };
  }
  return undefined;
}

export interface SplitParams {
  /** Of the estimator. */
  readonly own: Params;
  readonly steps: readonly ChosenStep[];
}

/** A candidate's parameters by whose they are. @throws as `chosenStep` */
export function splitParams(documents: readonly StepDocument[], params: Params): SplitParams {
  const own: Record<string, ParamValue> = {};
  const given = new Map<StepDocument, Record<string, ParamValue>>();
  const leftOut = new Set<StepDocument>();
  for (const [key, value] of Object.entries(params)) {
    const found = stepParameter(documents, key);
    if (found === undefined) own[key] = value;
    else if (value === NO_STEP && key === stepName(found.document)) leftOut.add(found.document);
    else given.set(found.document, { ...given.get(found.document), [found.parameter]: value });
  }
  const kept = documents.filter((document) => !leftOut.has(document));
  return {
    own,
    steps: kept.map((document) => chosenStep({ ...document, ...given.get(document) })),
  };
}

/** Reads what steps work with. @throws as `chosenStep`, and as they do */
export async function openSteps(
  documents: readonly StepDocument[],
  options: BringOptions = {},
): Promise<void> {
  for (const document of documents) {
    const { step, params } = chosenStep(document);
    await step.open?.(params, options);
  }
}

/** @throws ConfigError for a step or parameter there is not, or a value out of its range */
export function chosenStep(document: StepDocument): ChosenStep {
  const { step: _, name: __, ...given } = document;
  const name = stepName(document);
  const step = stepOf(document);
  const parsed = step.parameters.safeParse(given);
  if (parsed.success) return { step, params: parsed.data };
  const [issue] = parsed.error.issues;
  const at = issue!.path.map(String).join('.') || 'its keys';
  const value = JSON.stringify(given[String(issue!.path[0])]) ?? Object.keys(given).join(', ');
  throw new ConfigError(
    `prepare ${name}: expected ${at}: ${issue!.message.toLowerCase()}, got ${value}`,
    { key: `prepare.${name}.${at}` },
  );
}
