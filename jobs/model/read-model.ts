/**
 * Finds and reads the model of a run: by its file, its folder, its id, or as the latest. Models of
 * runs before model files had a version say nothing of the encoding; it is read from the run's
 * lineage, which has it.
 */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ConfigError } from '../../driver/errors.js';
import { type EncodedFeature, encodedWidth } from '../../driver/operators/encode-block.js';
import type { ModelDocument } from '../job-file/model-schema.js';
import type { JobDocument } from '../job-file/schema.js';
import { findRun, requireJob } from '../runs/read-run.js';
import { modelFeatures } from './make-model.js';
import { MODEL_VERSION, type ModelFile, parseModel } from './model-file.js';

export interface FoundModel {
  readonly model: ModelFile;
  readonly path: string;
  /** SHA-256 of the file. */
  readonly digest: string;
}

/**
 * @param run a model file, a run folder, an id, the start of one, or `latest`
 * @param output folder that holds the run folders
 * @throws ConfigError when there is none, or it can't be used
 */
export async function readModel(run: string, output: string): Promise<FoundModel> {
  const stats = await stat(resolve(run)).catch(() => undefined);
  if (stats?.isFile()) return readFrom(resolve(run));
  const folder = await findRun(run, output);
  await requireJob(folder);
  return readFrom(join(folder, 'model.json'), folder);
}

async function readFrom(path: string, folder?: string): Promise<FoundModel> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const got =
      cause.code === 'ENOENT'
        ? 'none: its job says `refit: false`, or no candidate could be scored'
        : (cause.code ?? cause.message);
    throw wrong(path, 'the model of a run', got);
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong(path, 'a model', 'text that is not JSON');
  }
  const isEarlier = typeof value === 'object' && value !== null && !('version' in value);
  const model = isEarlier
    ? await earlierModel(path, folder ?? dirname(path))
    : parseModel(value, path);
  return { model, path, digest: createHash('sha256').update(text).digest('hex') };
}

/** The model of an earlier run, with the encoding that the run's lineage has. */
async function earlierModel(path: string, folder: string): Promise<ModelFile> {
  const { createRunLoader } = await import('../lineage/load-run.js');
  const { record, nodes } = await createRunLoader()(folder);
  const { model } = record.search;
  if (model === null) throw wrong(path, 'a model', 'that of a run without one');
  const document = record.job as JobDocument;
  const { columns, imputed } = model;
  const width = columns.length + Object.keys(imputed).length;
  const encoded = nodes
    .filter(({ op, cols }) => op.source === 'scan' && cols === width)
    .map(({ attrs }) => attrs.features as unknown as readonly EncodedFeature[])
    .find((features) => encodedWidth(features) === width);
  if (encoded === undefined) {
    throw wrong(path, 'a model that says how rows are encoded', 'one of an earlier version');
  }
  const features = modelFeatures(encoded, {
    specs: document.data.features?.map((f) => (typeof f === 'string' ? { name: f } : f)) as never,
    mean: (_, design) => imputed[columns[design]!],
  });
  return parseModel(
    {
      ...model,
      version: MODEL_VERSION,
      estimator: (document.model as ModelDocument).type,
      target: document.data.target,
      features,
      dtype: document.data.dtype ?? 'float64',
      inputs: [],
      read: {},
      trained: {
        job: record.name,
        rows: record.search.rows,
        files: 0,
        data: '',
        reprise: record.reprise,
      },
    },
    path,
  );
}

function wrong(path: string, expected: string, got: string): ConfigError {
  return new ConfigError(`${path}: expected ${expected}, got ${got}; run the job again`, {
    key: 'run',
    value: path,
    source: 'flag',
  });
}
