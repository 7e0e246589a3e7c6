import assert from 'node:assert/strict';
import fc from 'fast-check';
import { layoutGraph } from '../../../../jobs/report/graph-layout.js';
import { summarizeLineage } from '../../../../jobs/report/lineage-summary.js';
import type { LineageNode } from '../../../../jobs/runs/record.js';
import { sampleLineage } from '../../../support/sample-record.js';

function node(id: number, op: string, inputs: number[] = [], rest: Partial<LineageNode> = {}) {
  const made: LineageNode = {
    id,
    op,
    label: '',
    inputs,
    rows: 1,
    cols: 1,
    backend: 'cpu',
    state: inputs.length === 0 ? 'source' : 'computed',
    hits: 0,
    seconds: 0.5,
    key: null,
    ...rest,
  };
  return made;
}

/** A random DAG: each node reads up to three earlier ones. */
const lineages = fc
  .array(
    fc.record({
      op: fc.constantFrom('a', 'b', 'c', 'd'),
      rows: fc.constantFrom(1, 2),
      inputs: fc.array(fc.nat(), { maxLength: 3 }),
      hits: fc.nat(9),
      state: fc.constantFrom<LineageNode['state']>('source', 'computed', 'fused', 'reused'),
    }),
    { maxLength: 60 },
  )
  .map((drafts) =>
    drafts.map(({ op, rows, inputs, hits, state }, i) =>
      node(i + 1, op, i === 0 ? [] : inputs.map((input) => 1 + (input % i)), { rows, hits, state }),
    ),
  );

describe('report: lineage summary', function () {
  this.timeout(20_000);

  it('draws 400 solves of a search as one box and marks the reused ones', () => {
    const { groups, nodes } = summarizeLineage(sampleLineage(40, 10));
    const solves = groups.filter((group) => group.op === 'solve');
    assert.equal(solves.length, 1);
    assert.equal(solves[0]?.count, 400);
    assert.deepEqual(solves[0]?.states, { source: 0, computed: 350, fused: 0, reused: 50 });
    assert.equal(solves[0]?.hits, 50);
    assert.ok(groups.length <= 40 && nodes > 1500);
  });

  it('keeps what plays different parts apart: the two encodes of one frame', () => {
    const { groups } = summarizeLineage(sampleLineage(40, 10));
    const encodes = groups.filter((group) => group.op === 'encode');
    assert.deepEqual(encodes.map((group) => group.shape).sort(), [
      '3,000,000 x 1',
      '3,000,000 x 148',
    ]);
  });

  it('gives every result its own box while they are few', () => {
    const lineage = [node(1, 'a'), node(2, 'a'), node(3, 'add', [1, 2])];
    const { groups, edges, grouping } = summarizeLineage(lineage);
    assert.equal(groups.length, 3);
    assert.deepEqual(
      edges.map(({ from, to }) => [from, to]),
      [
        [0, 2],
        [1, 2],
      ],
    );
    assert.equal(grouping, 'one box a result');
  });

  it('draws short steps within their only reader and keeps the costly one in front', () => {
    const lineage = [node(1, 'frame')];
    for (let i = 0; i < 50; i++) {
      const at = 2 + 3 * i;
      lineage.push(
        node(at, 'addDiag', [1], { seconds: 0.1 }),
        node(at + 1, 'solve', [at], { seconds: 2 }),
        node(at + 2, 'div', [at + 1], { seconds: 0.1 }),
      );
    }
    const { groups, edges } = summarizeLineage(lineage, { maxGroups: 2 });
    assert.deepEqual(
      groups.map(({ op, opCount, count, with: within }) => ({ op, opCount, count, within })),
      [
        { op: 'frame', opCount: 1, count: 1, within: [] },
        { op: 'solve', opCount: 50, count: 150, within: ['addDiag', 'div'] },
      ],
    );
    assert.deepEqual(edges, [{ from: 0, to: 1, count: 50 }]);
  });

  it('keeps reused results in a box of their own', () => {
    const lineage = [node(1, 'frame')];
    for (let i = 0; i < 50; i++) {
      lineage.push(
        node(2 + 2 * i, 'gram', [1], { state: 'reused', backend: null }),
        node(3 + 2 * i, 'solve', [2 + 2 * i]),
      );
    }
    const { groups } = summarizeLineage(lineage, { maxGroups: 3 });
    assert.deepEqual(
      groups.map(({ op, states }) => [op, states.reused]),
      [
        ['frame', 0],
        ['gram', 50],
        ['solve', 0],
      ],
    );
  });

  it('folds a long loop into few boxes and says that they repeat', () => {
    const lineage = [node(1, 'start')];
    for (let i = 0; i < 300; i++) {
      lineage.push(node(2 * i + 2, 'matmul', [2 * i + 1]), node(2 * i + 3, 'add', [2 * i + 2, 1]));
    }
    const { groups, edges } = summarizeLineage(lineage, { maxGroups: 12 });
    assert.ok(groups.length <= 12, `${groups.length} groups`);
    const cyclic = edges.some((edge) =>
      edges.some((e) => e.from === edge.to && e.to === edge.from),
    );
    assert.ok(cyclic || groups.some((group) => group.repeats));
  });

  it('loses nothing: counts, seconds, hits, states and edges add up', () => {
    fc.assert(
      fc.property(lineages, fc.integer({ min: 1, max: 30 }), (lineage, maxGroups) => {
        const { groups, edges, nodes, states } = summarizeLineage(lineage, { maxGroups });
        const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
        assert.equal(nodes, lineage.length);
        assert.equal(sum(groups.map((group) => group.count)), lineage.length);
        assert.equal(sum(groups.map((group) => group.seconds)), lineage.length * 0.5);
        assert.equal(sum(groups.map((group) => group.hits)), sum(lineage.map(({ hits }) => hits)));
        assert.equal(sum(Object.values(states)), lineage.length);
        for (const group of groups) assert.equal(sum(Object.values(group.states)), group.count);
        const distinct = lineage.map(({ inputs }) => new Set(inputs).size);
        if (!groups.some((group) => group.repeats || group.with.length > 0)) {
          assert.equal(sum(edges.map((edge) => edge.count)), sum(distinct));
        }
        const ops = new Set(lineage.map(({ op }) => op)).size;
        assert.ok(groups.length <= Math.max(maxGroups, ops));
      }),
      { seed: 7 },
    );
  });

  it('does not depend on the order of the nodes', () => {
    fc.assert(
      fc.property(lineages, fc.integer({ min: 1, max: 30 }), (lineage, maxGroups) => {
        const shuffled = [...lineage].sort((a, b) => ((a.id * 7919) % 61) - ((b.id * 7919) % 61));
        assert.deepEqual(
          summarizeLineage(shuffled, { maxGroups }),
          summarizeLineage(lineage, { maxGroups }),
        );
      }),
      { seed: 7 },
    );
  });

  it('survives a damaged lineage: unknown inputs, repeated ids, a cycle', () => {
    const lineage = [
      node(1, 'a', [99, 3]),
      node(2, 'b', [1]),
      node(3, 'c', [2]),
      node(3, 'c', [2]),
    ];
    const { nodes, groups } = summarizeLineage(lineage, { maxGroups: 2 });
    assert.equal(nodes, 3);
    assert.equal(
      groups.reduce((sum, { count }) => sum + count, 0),
      3,
    );
    assert.deepEqual(summarizeLineage([]).groups, []);
  });

  it('folds 50,000 nodes in under two seconds of CPU time', () => {
    const lineage = sampleLineage(1000, 12);
    assert.ok(lineage.length > 50_000);
    const start = process.cpuUsage();
    const { groups } = summarizeLineage(lineage);
    const used = process.cpuUsage(start).user / 1e3;
    assert.ok(used < 2000, `${used} ms of CPU time`);
    assert.ok(groups.length <= 40);
  });
});

describe('report: graph layout', function () {
  this.timeout(20_000);

  const box = { width: 100, height: 40 };
  const graphs = fc.integer({ min: 1, max: 24 }).chain((count) =>
    fc.array(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)), { maxLength: 50 }).map((pairs) => ({
      count,
      edges: pairs.filter(([from, to]) => from !== to).map(([from, to]) => ({ from, to })),
    })),
  );

  it('never lets boxes overlap, whatever the graph, cycles included', () => {
    fc.assert(
      fc.property(graphs, ({ count, edges }) => {
        const { boxes, routes, width, height } = layoutGraph(Array(count).fill(box), edges);
        assert.equal(routes.length, edges.length);
        for (const [x] of routes.flat()) assert.ok(x >= -1e-6 && x <= width + 1e-6);
        for (const [i, a] of boxes.entries()) {
          assert.ok(a.x >= -1e-6 && a.x + box.width <= width + 1e-6);
          assert.ok(a.y >= 0 && a.y + box.height <= height + 1e-6);
          for (const b of boxes.slice(i + 1)) {
            const apart = Math.abs(a.x - b.x) >= box.width || Math.abs(a.y - b.y) >= box.height;
            assert.ok(apart, `${JSON.stringify(a)} and ${JSON.stringify(b)}`);
          }
        }
      }),
      { seed: 7 },
    );
  });

  it('puts inputs above what reads them and joins the right boxes', () => {
    fc.assert(
      fc.property(graphs, ({ count, edges }) => {
        const down = edges.filter(({ from, to }) => from < to);
        const { boxes, routes } = layoutGraph(Array(count).fill(box), down);
        for (const [i, { from, to }] of down.entries()) {
          const route = routes[i] ?? [];
          const [source, target] = [boxes[from], boxes[to]];
          assert.ok(source && target && source.y < target.y);
          assert.deepEqual(route[0], [source.x + 50, source.y + 40]);
          assert.deepEqual(route.at(-1), [target.x + 50, target.y]);
        }
      }),
      { seed: 7 },
    );
  });

  it('keeps long edges off the boxes of the layers they pass', () => {
    fc.assert(
      fc.property(graphs, ({ count, edges }) => {
        const { boxes, routes } = layoutGraph(Array(count).fill(box), edges);
        for (const route of routes) {
          for (const [x, y] of route.slice(1, -1)) {
            const hit = boxes.some(
              (b) => x > b.x && x < b.x + box.width && y > b.y && y < b.y + box.height,
            );
            assert.ok(!hit);
          }
        }
      }),
      { seed: 7 },
    );
  });
});
