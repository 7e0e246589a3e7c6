/** Drawings of the report, made here or on the thread that is prepared ahead. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TopLevelSpec } from 'vega-lite';
import { DurableStore } from '../../driver/reuse/store/durable-store.js';
import { beginCurves, curvesSection } from '../../jobs/report/charts.js';
import { drawVega } from '../../jobs/report/draw-vega.js';
import { drawSvg, prepareDrawing } from '../../jobs/report/drawing-ahead.js';
import { drawingsKept, keptDrawings } from '../../jobs/report/kept-drawing.js';
import { temporaryHome } from '../support/frame-data.js';
import { sampleRecord } from '../support/sample-record.js';

const spec = (mark: string): TopLevelSpec =>
  ({
    data: { values: [1, 2, 4].map((x) => ({ x, y: x * x })) },
    mark,
    encoding: { x: { field: 'x', type: 'quantitative' }, y: { field: 'y', type: 'quantitative' } },
  }) as TopLevelSpec;

describe('drawings of a report', function () {
  this.timeout(60_000);
  let home: Awaited<ReturnType<typeof temporaryHome>>;
  before(async () => {
    home = await temporaryHome();
    process.env.REPRISE_STORE = join(home.folder, 'store');
  });
  after(async () => {
    await drawingsKept();
    delete process.env.REPRISE_STORE;
    await home.remove();
  });

  const kept = async (): Promise<number> => {
    await drawingsKept();
    const store = await DurableStore.open(join(home.folder, 'store'));
    return (await store.entries()).filter(({ header }) => header.op === 'drawing').length;
  };

  it('are kept once for each metric, and are then not drawn again', async () => {
    const { search } = sampleRecord();
    assert.equal(await kept(), 0);
    const drawn = String(await curvesSection(search));
    assert.equal(await kept(), search.metrics.length);
    const source = { specs: 'of one metric' };
    const draw = (): Promise<string[]> => Promise.resolve(['<svg/>', '<svg></svg>']);
    const look = { isNew: false };
    assert.deepEqual(await keptDrawings(source, draw, look), await draw());
    assert.equal(await kept(), search.metrics.length + 1);
    const again = keptDrawings(source, () => assert.fail('drawn again'), look);
    assert.deepEqual(await again, await draw());
    assert.equal(String(await curvesSection(search)), drawn);
    assert.equal(await kept(), search.metrics.length + 1);
  });

  it('that are known to be new are drawn without a look, and kept all the same', async () => {
    const source = { specs: 'of a new run' };
    const before = await kept();
    await keptDrawings(source, () => Promise.resolve(['a']), { isNew: true });
    assert.deepEqual(await keptDrawings(source, () => Promise.resolve(['b']), { isNew: true }), [
      'b',
    ]);
    assert.equal(await kept(), before + 1);
  });

  it('begun early are what is drawn later, and are drawn once', async () => {
    const { search } = sampleRecord({ lambdas: 7 });
    const later = String(await curvesSection(search));
    const begun = { ...search };
    beginCurves(begun);
    const sections = [curvesSection(begun), curvesSection(begun)];
    assert.equal(String(await sections[0]), later);
    assert.equal(await sections[0], await sections[1]);
  });
});

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
