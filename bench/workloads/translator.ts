/**
 * The network that translates words: a word's vector through three hidden layers of 64 to scores of
 * the 4,096 most frequent Spanish words, as MEMPHIS's EN2DE has it. It is trained once, on the Spanish
 * word that most goes with each English one (Dice's coefficient over verses), and kept in the home
 * folder beside the vectors.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  adam,
  crossEntropy,
  descentFrom,
  type Evaluator,
  fill,
  gradient,
  type Matrix,
  matrix,
  oneHot,
  rand,
  relu,
  Session,
} from '../../driver/index.js';
import { env } from '../../driver/support/env.js';
import { replaceFile } from '../../driver/support/replace-file.js';
import type { CpuBackend } from '../../gpu-executor/cpu/index.js';
import { DIMENSIONS, type Verses } from './verses.js';

export const TARGETS = 4096;
const SIZES = [DIMENSIONS, 64, 64, 64, TARGETS] as const;
/** Raised when training changes. */
const VERSION = 1;
const [EPOCHS, BATCH, RATE] = [30, 1024, 0.003] as const;

/** Weights and intercepts, layer by layer. */
export type Layers = readonly Matrix[];

/** Scores of the Spanish words, whose softmax are probabilities. @shape x: [n, 100] -> [n, 4096] */
export function scoresOf(layers: Layers, x: Matrix): Matrix {
  let cells = x;
  for (let i = 0; i < layers.length; i += 2) {
    if (i > 0) cells = relu(cells);
    cells = cells.matmul(layers[i]!).add(layers[i + 1]!);
  }
  return cells;
}

/** Sides of weights and intercepts, as their cells follow each other. */
export const SHAPES: readonly (readonly [rows: number, cols: number])[] = SIZES.slice(1).flatMap(
  (cols, i) => [[SIZES[i]!, cols] as const, [1, cols] as const],
);

/** The layers in a session, from the cells of all of them. */
export function layersOf(session: Evaluator, cells: Float32Array): Layers {
  let from = 0;
  return SHAPES.map(([rows, cols]) => {
    const own = cells.subarray(from, from + rows * cols);
    from += own.length;
    return matrix(session, rows, cols, own, { copy: false });
  });
}

/** Cells of all layers; trained when first asked for (a minute). */
export async function trainedCells(local: CpuBackend, verses: Verses): Promise<Float32Array> {
  const path = join(env.home(), 'data', `translator-${VERSION}.f32`);
  if (!existsSync(path)) {
    process.stderr.write('bench: training the translator\n');
    const cells = await train(local, verses);
    await replaceFile(path, new Uint8Array(cells.buffer));
  }
  return new Float32Array(Uint8Array.from(readFileSync(path)).buffer);
}

async function train(local: CpuBackend, verses: Verses): Promise<Float32Array> {
  const session = new Session({ local, reuse: 'off' });
  const of = labels(verses).flatMap((label, word) => (label < 0 ? [] : [{ word, label }]));
  const optimiser = adam();
  let state = SHAPES.map(([rows, cols], i) => {
    const scale = rows === 1 ? 0 : Math.sqrt(6 / rows);
    const first = rand(session, rows, cols, { seed: i + 1, min: -1, max: 1 }).mul(scale);
    const { moments } = descentFrom(optimiser, first.cast('float32'));
    return [first.cast('float32'), ...moments];
  });
  const batches = Math.ceil(of.length / BATCH);
  for (let taken = 0; taken < EPOCHS * batches; taken++) {
    // Every batch has frequent words and rare ones.
    const rows = of.filter((_, i) => i % batches === taken % batches);
    const cells = Float32Array.from(rows.flatMap(({ word }) => [...vectorOf(verses, word)]));
    const x = matrix(session, rows.length, DIMENSIONS, cells);
    const y = matrix(
      session,
      rows.length,
      1,
      Float32Array.from(rows, ({ label }) => label),
    );
    const layers = state.map(([parameter]) => parameter!);
    const slopes = gradient(crossEntropy(scoresOf(layers, x), oneHot(y, TARGETS)), layers);
    const numbers = { rate: fill(session, 1, 1, RATE), taken: fill(session, 1, 1, taken) };
    const next = state.map(([parameter, ...moments], i) => {
      const step = optimiser.step({ parameter: parameter!, moments }, slopes[i]!, numbers);
      return [step.parameter, ...step.moments];
    });
    const values = await session.evaluate(next.flat().map(({ expr }) => expr));
    let at = 0;
    state = next.map((matrices) =>
      matrices.map(({ rows, cols }) => {
        const value = values[at++]!;
        if (value.kind !== 'dense') throw new TypeError('translator: expected dense cells');
        return matrix(session, rows, cols, Float32Array.from(value.data));
      }),
    );
  }
  const last = await session.evaluate(state.map(([parameter]) => parameter!.expr));
  return Float32Array.from(
    last.flatMap((value) => (value.kind === 'dense' ? [...value.data] : [])),
  );
}

function vectorOf({ vectors }: Verses, word: number): Float32Array {
  return vectors.subarray(word * DIMENSIONS, (word + 1) * DIMENSIONS);
}

/** By English word, the Spanish one it shares most verses with for their number; -1 for no vector. */
function labels(verses: Verses): number[] {
  const { english, spanish, words } = verses;
  const own = spanish.map((verse) => [...new Set(verse)].filter((target) => target < TARGETS));
  const versesOf: number[][] = words.map(() => []);
  for (const [v, verse] of english.entries()) for (const word of new Set(verse)) versesOf[word]!.push(v); // biome-ignore format: one line
  const counts = new Float64Array(TARGETS);
  for (const verse of own) for (const target of verse) counts[target]!++;
  return versesOf.map((found, word) => {
    if (vectorOf(verses, word).every((cell) => cell === 0)) return -1;
    const shared = new Float64Array(TARGETS);
    for (const v of found) for (const target of own[v]!) shared[target]!++;
    let best = 0;
    for (let t = 1; t < TARGETS; t++) {
      const dice = (target: number): number => shared[target]! / (counts[target]! + found.length);
      if (dice(t) > dice(best)) best = t;
    }
    return best;
  });
}
