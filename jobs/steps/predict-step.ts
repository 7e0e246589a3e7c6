/** `predict`: scores data by a model: of a step, of a run's folder, or a model file. */
import { stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import * as z from 'zod';
import { isRemote } from '../../driver/frame/identity.js';
import { formatCount, plural } from '../format.js';
import type { ModelFile } from '../model/model-file.js';
import type { FoundModel } from '../model/read-model.js';
import { OUTPUTS } from '../predict/output-names.js';
import { engineByData } from './step-data.js';
import {
  defineStep,
  type StepContext,
  type StepInput,
  type StepOutput,
  type StepPlace,
  type StepPlanContext,
  type StepResult,
} from './step-kind.js';
import { ofStep, ofStepSchema, sourceInput, sourceSchema } from './step-source.js';

const names = z.array(z.string().min(1).max(500)).max(1000);

const schema = z.strictObject({
  predict: z
    .union([z.string().min(1).max(4096), ofStepSchema])
    .meta({ description: 'The model: `{step: NAME}` of a search, a run folder or a model file.' }),
  data: sourceSchema.meta({ description: 'The data to score.' }),
  columns: z
    .array(z.enum(OUTPUTS))
    .min(1)
    .optional()
    .meta({ description: 'What to write. Default: predictions, or components.' }),
  keep: names.optional().meta({ description: 'Columns of the data to write before them.' }),
  output: z.string().min(1).max(4096).optional().meta({
    description:
      "A .parquet or .csv file, a folder for a file each, or with Spark hdfs://.., s3a://.., table://NAME. Default: kept in the pipeline's own folder.",
  }),
});

type PredictKeys = z.output<typeof schema>;

export const predictStep = defineStep({
  name: 'predict',
  version: 1,
  schema,
  bind: async (keys, place) => {
    const model = await modelInput(keys.predict, place);
    const data = sourceInput('data', keys.data, ['data'], place);
    return {
      inputs: [model, data],
      outputs: [outputOf(keys, place)],
      parameters: { columns: keys.columns ?? null, keep: keys.keep ?? null },
      run: (context) => score(keys, context),
      engine: async (context) => {
        const { model } = await modelOf(context);
        return engineFor(model, context);
      },
    };
  },
});

async function modelInput(given: PredictKeys['predict'], place: StepPlace): Promise<StepInput> {
  const at = ['predict'];
  const shared = { name: 'model', isAnyFile: true, at };
  if (typeof given !== 'string') return { ...shared, from: ofStep(given) };
  const path = place.path(at, given);
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
  return { ...shared, from: { path: isFolder ? join(path, 'model.json') : path } };
}

function outputOf({ output }: PredictKeys, place: StepPlace): StepOutput {
  const shared = { name: 'predictions', file: 'predictions.parquet', at: ['output'] };
  if (output === undefined) return shared;
  const path = place.path(['output'], output);
  // Into a folder file by file, those that are new.
  const isDirect = !isRemote(path) && extname(path) === '';
  return { ...shared, path, ...(isDirect ? { isDirect } : {}) };
}

async function score({ columns, keep }: PredictKeys, context: StepContext): Promise<StepResult> {
  const { predict } = await import('../predict/predict.js');
  const found = await modelOf(context);
  const { path } = context.input('data');
  const engine = await engineFor(found.model, context);
  const open = await context.open(engine);
  const { summary } = await predict(found, path, {
    engine,
    open,
    out: context.output('predictions'),
    ...(columns === undefined ? {} : { outputs: columns }),
    ...(keep === undefined ? {} : { keep }),
    signal: context.signal,
    onEvent: context.onEvent,
  });
  const { rows, files, filesScored } = summary;
  const some = filesScored < files ? `, ${plural(filesScored, 'file')} of ${files} scored now` : '';
  context.report({ note: `${formatCount(rows)} rows${some}` });
  return { rows: { predictions: rows } };
}

async function modelOf(context: StepPlanContext): Promise<FoundModel> {
  const { readModel } = await import('../model/read-model.js');
  return readModel(context.input('model').path, '');
}

function engineFor({ features }: ModelFile, context: StepPlanContext): Promise<'local' | 'spark'> {
  const dialect = features.find((feature) => feature.dialect !== undefined)?.dialect;
  return engineByData(context, 'data', dialect);
}
