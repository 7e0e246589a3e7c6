/** Drawings of the report, made here or on the thread that is prepared ahead. */
import assert from 'node:assert/strict';
import type { TopLevelSpec } from 'vega-lite';
import { drawVega } from '../../jobs/report/draw-vega.js';
import { drawSvg, prepareDrawing } from '../../jobs/report/drawing-ahead.js';

const spec = (mark: string): TopLevelSpec =>
  ({
    data: { values: [1, 2, 4].map((x) => ({ x, y: x * x })) },
    mark,
    encoding: { x: { field: 'x', type: 'quantitative' }, y: { field: 'y', type: 'quantitative' } },
  }) as TopLevelSpec;

describe('drawing ahead', () => {
  it('gives what drawing here gives, several at once, and the same refusal', async () => {
    const here = await Promise.all([drawSvg(spec('line')), drawSvg(spec('bar'))]);
    prepareDrawing();
    prepareDrawing();
    const there = await Promise.all([drawSvg(spec('line')), drawSvg(spec('bar'))]);
    assert.deepEqual(there, here);
    assert.match(there[0]!, /^<svg /);
    const refused = (draw: Promise<string>): Promise<string> =>
      draw.then(
        () => assert.fail('expected a refusal'),
        (error: Error) => error.message,
      );
    const broken = { mark: 'line', encoding: { x: { field: 'x', scale: { type: 'no' } } } };
    const wrong = {
      ...broken,
      transform: [{ calculate: '1 +', as: 'z' }],
    } as unknown as TopLevelSpec;
    assert.equal(await refused(drawSvg(wrong)), await refused(drawVega(wrong)));
  });
});
