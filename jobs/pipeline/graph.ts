/**
 * Which step needs which: by the outputs they read, by `after`, and by templates that name a step.
 * Invariant: what comes out has no cycle, no step reads what another writes without saying so, and
 * no two write to one place.
 */
import { isGlob } from '../../driver/frame/glob.js';
import { isRemote } from '../../driver/frame/identity.js';
import { fixedPart } from '../../driver/frame/partitions.js';
import { closestText } from '../../driver/support/closest.js';
import type { Problem } from '../job-file/check-job.js';
import type { KeyPath } from '../job-file/yaml-source.js';
import type { StepInput, StepWork } from '../steps/step-kind.js';
import { ofStep } from '../steps/step-source.js';

/** A step before its place is known. */
export interface GraphStep {
  readonly name: string;
  readonly after: readonly string[];
  readonly work: StepWork;
}

const STEP_TEMPLATE = /\{\{\s*steps\.([\w-]+)(?:\.([\w-]+))?\s*\}\}/g;

/** All that the reading of files left for steps to fill. */
const LEFT_TEMPLATE = /\{\{\s*steps(?:\.[\w.-]*)?\s*\}\}/g;

/** What templates of a step's keys name, as inputs beside those it has. */
export function templateInputs(document: unknown, given: readonly StepInput[]): StepInput[] {
  const found = new Map<string, StepInput>();
  for (const [text, at] of textsOf(document)) {
    for (const [, step = '', output] of text.matchAll(STEP_TEMPLATE)) {
      const from = ofStep({ step, output });
      const name = `steps.${step}${output === undefined ? '' : `.${output}`}`;
      const isThere = given.some(({ from: own }) => isSame(own, from));
      if (!isThere) found.set(name, { name, from, isAnyFile: true, at });
    }
  }
  return [...found.values()];
}

/** Templates that nobody would fill. @param filled the keys that have paths put in */
export function strayTemplates(document: unknown, filled: readonly string[]): Problem[] {
  return textsOf(document).flatMap(([text, path]) => {
    const isFilled = filled.includes(String(path[0]));
    const [got] = (isFilled ? text.replace(STEP_TEMPLATE, '') : text).match(LEFT_TEMPLATE) ?? [];
    if (got === undefined) return [];
    const message = isFilled
      ? `expected {{ steps.NAME }} or {{ steps.NAME.OUTPUT }}, got ${got}; name outputs as \`outputs: {NAME: path}\``
      : `expected {{ steps.NAME }} in \`run\` and \`environment\` of commands only, got ${got}; what a step left is read as {step: NAME}`;
    return [{ path, message }];
  });
}

function textsOf(value: unknown, at: KeyPath = []): (readonly [string, KeyPath])[] {
  if (typeof value === 'string') return [[value, at]];
  if (Array.isArray(value)) return value.flatMap((item, i) => textsOf(item, [...at, i]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => textsOf(item, [...at, key]));
}

function isSame(one: StepInput['from'], other: StepInput['from']): boolean {
  return 'step' in one && 'step' in other && one.step === other.step && one.output === other.output;
}

/** A text with templates of steps as the paths they stand for. */
export function fillSteps(
  text: string,
  pathOf: (step: string, output: string | undefined) => string,
): string {
  return text.replace(STEP_TEMPLATE, (_, step: string, output?: string) => pathOf(step, output));
}

/** What is wrong between steps; empty when each of them can have its turn. */
export function checkGraph(steps: readonly GraphStep[]): Problem[] {
  const unknown = steps.flatMap((step) => unknownNames(step, steps));
  if (unknown.length > 0) return unknown;
  const clashes = [...sharedOutputs(steps), ...hiddenNeeds(steps)];
  const cycle = findCycle(steps);
  if (cycle === undefined) return clashes;
  const message = `expected steps that wait for others without a circle, got ${cycle.join(' -> ')}`;
  return [...clashes, { path: ['steps', cycle[0]!], message, atKey: true }];
}

function unknownNames({ name, after, work }: GraphStep, steps: readonly GraphStep[]): Problem[] {
  const names = steps.map((step) => step.name);
  const missing = (given: string): string =>
    `expected a step of this pipeline, got ${given}; its steps: ${closestText(given, names)}`;
  const wrongAfter = after.flatMap((given, i) =>
    names.includes(given)
      ? []
      : [
          {
            path: ['steps', name, 'after', ...(after.length > 1 ? [i] : [])],
            message: missing(given),
          },
        ],
  );
  const wrongInputs = work.inputs.flatMap(({ from, at }): Problem[] => {
    if (!('step' in from)) return [];
    const path = ['steps', name, ...at];
    const source = steps.find((step) => step.name === from.step);
    if (source === undefined) return [{ path, message: missing(from.step) }];
    const outputs = source.work.outputs.map((output) => output.name);
    if (outputs.length === 0)
      return [{ path, message: `expected a step that leaves something to read, got ${from.step}` }];
    if (from.output === undefined || outputs.includes(from.output)) return [];
    const message = `expected an output of ${from.step}, got ${from.output}; it has ${outputs.join(', ')}`;
    return [{ path, message }];
  });
  return [...wrongAfter, ...wrongInputs];
}

/** Steps a step waits for, each once. */
export function needsOf({ after, work }: Pick<GraphStep, 'after' | 'work'>): string[] {
  return [...new Set([...readsOf(work), ...after])];
}

export function readsOf({ inputs }: StepWork): string[] {
  return [...new Set(inputs.flatMap(({ from }) => ('step' in from ? [from.step] : [])))];
}

/** The steps, each after all it needs, else in their order. They have no cycle. */
export function stepsInOrder<S extends GraphStep>(steps: readonly S[]): S[] {
  const ordered: S[] = [];
  const isDone = (name: string): boolean => ordered.some((step) => step.name === name);
  while (ordered.length < steps.length) {
    const next = steps.find((step) => !isDone(step.name) && needsOf(step).every(isDone));
    if (next === undefined) break;
    ordered.push(next);
  }
  return ordered;
}

function findCycle(steps: readonly GraphStep[]): string[] | undefined {
  const done = stepsInOrder(steps).map(({ name }) => name);
  const stuck = steps.filter(({ name }) => !done.includes(name));
  if (stuck.length === 0) return undefined;
  const path: string[] = [];
  // Each stuck step needs a stuck one, so the walk comes back to where it was.
  for (let step = stuck[0]; step !== undefined && !path.includes(step.name); ) {
    path.push(step.name);
    const needed = needsOf(step).find((name) => !done.includes(name));
    step = stuck.find(({ name }) => name === needed);
    if (needed !== undefined && path.includes(needed)) {
      return [...path.slice(path.indexOf(needed)), needed];
    }
  }
  return path;
}

interface Written {
  readonly step: string;
  readonly path: string;
  readonly at: KeyPath;
}

function writtenBy(steps: readonly GraphStep[]): Written[] {
  return steps.flatMap(({ name, work }) =>
    work.outputs.flatMap(({ path, at }) => (path === undefined ? [] : [{ step: name, path, at }])),
  );
}

function sharedOutputs(steps: readonly GraphStep[]): Problem[] {
  const written = writtenBy(steps);
  return written.flatMap(({ step, path, at }, i) => {
    const other = written
      .slice(0, i)
      .find((one) => isWithin(path, one.path) || isWithin(one.path, path));
    if (other === undefined) return [];
    const where = other.step === step ? 'twice' : `that ${other.step} writes too`;
    return [
      {
        path: ['steps', step, ...at],
        message: `expected a place of its own, got one ${where}: ${path}`,
      },
    ];
  });
}

/** Paths that another step writes: which comes first would be chance. */
function hiddenNeeds(steps: readonly GraphStep[]): Problem[] {
  const written = writtenBy(steps);
  return steps.flatMap(({ name, work }) =>
    work.inputs.flatMap(({ from, at }): Problem[] => {
      if ('step' in from) return [];
      const writer = written.find(({ path }) => mayRead(from.path, path));
      if (writer === undefined) return [];
      const message =
        writer.step === name
          ? `expected data that this step does not write itself, got ${from.path} beside the output ${writer.path}`
          : `expected {step: ${writer.step}}, which writes there, got the path ${from.path}`;
      return [{ path: ['steps', name, ...at], message }];
    }),
  );
}

function mayRead(input: string, output: string): boolean {
  if (!isGlob(input) || isRemote(input)) return isWithin(output, input);
  return isWithin(output, fixedPart(input)) && extensionOf(input) === extensionOf(output);
}

const extensionOf = (path: string): string => /\.[^./*]*$/.exec(path)?.[0] ?? '';

/** Whether a path is another one, or in it. */
function isWithin(path: string, other: string): boolean {
  const folder = other.replace(/\/+$/, '');
  return path.replace(/\/+$/, '') === folder || path.startsWith(`${folder}/`);
}
