/**
 * The thread that draws ahead of the report: loads Vega at once and draws a curve nobody sees, since the first drawing takes
 * twice as long as the next; then answers each specification with its SVG.
 */
import { parentPort } from 'node:worker_threads';
import type { TopLevelSpec } from 'vega-lite';
import { curveSpec } from './curve-spec.js';
import { drawVega } from './draw-vega.js';

export interface DrawingRequest {
  readonly id: number;
  readonly spec: TopLevelSpec;
}

export type DrawingAnswer = { readonly id: number } & (
  | { readonly svg: string }
  | { readonly error: string }
);

parentPort?.on('message', ({ id, spec }: DrawingRequest) => {
  drawVega(spec).then(
    (svg) => parentPort!.postMessage({ id, svg } satisfies DrawingAnswer),
    (error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      parentPort!.postMessage({ id, error: reason } satisfies DrawingAnswer);
    },
  );
});

const points = [1, 10, 100].map((x) => {
  const label = String(x);
  return { x, label, mean: x, low: x, high: x, text: label, best: x === 10, tip: label };
});
const folds = points.map(({ x, label }) => ({ x, label, fold: 0, score: x }));
const unseen = {
  metric: 'r2',
  axis: 'lambda',
  scale: 'log',
  kind: 'curve',
  points,
  folds,
} as const;
drawVega(curveSpec(unseen, { size: 'wide', withFolds: true })).catch(() => undefined);
