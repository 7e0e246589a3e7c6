/** The thread that draws ahead of the report: loads Vega at once, then answers each specification with its SVG. */
import { parentPort } from 'node:worker_threads';
import type { TopLevelSpec } from 'vega-lite';
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
