import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MinCut } from '../../driver/compiler/min-cut.js';

interface Network {
  readonly vertices: number;
  readonly edges: readonly (readonly [number, number, number])[];
}

const networks: fc.Arbitrary<Network> = fc
  .integer({ min: 2, max: 8 })
  .chain((vertices) =>
    fc
      .array(
        fc.tuple(
          fc.nat({ max: vertices - 1 }),
          fc.nat({ max: vertices - 1 }),
          fc.integer({ min: 0, max: 20 }),
        ),
        { maxLength: 24 },
      )
      .map((edges) => ({ vertices, edges })),
  );

function cutOf({ edges }: Network, isSinkSide: (vertex: number) => boolean): number {
  let capacity = 0;
  for (const [from, to, weight] of edges) {
    if (!isSinkSide(from) && isSinkSide(to)) capacity += weight;
  }
  return capacity;
}

/** Every way to divide the vertices but source and sink. */
function leastCut(network: Network): number {
  let least = Infinity;
  for (let sides = 0; sides < 2 ** (network.vertices - 2); sides++) {
    const isSinkSide = (vertex: number): boolean =>
      vertex === 1 || (vertex > 1 && ((sides >> (vertex - 2)) & 1) === 1);
    least = Math.min(least, cutOf(network, isSinkSide));
  }
  return least;
}

describe('minimal cut', () => {
  it('is as small as the smallest of all cuts, on random networks', () => {
    fc.assert(
      fc.property(networks, (network) => {
        const cut = new MinCut();
        for (let i = 2; i < network.vertices; i++) assert.equal(cut.vertex(), i);
        for (const [from, to, capacity] of network.edges) cut.edge(from, to, capacity);
        const sides = cut.solve();
        assert.equal(sides[cut.source], false);
        assert.equal(sides[cut.sink], true);
        assert.equal(
          cutOf(network, (vertex) => sides[vertex]!),
          leastCut(network),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('leaves on the source side what may be on either', () => {
    const cut = new MinCut();
    const vertex = cut.vertex();
    cut.edge(cut.source, vertex, 3);
    cut.edge(vertex, cut.sink, 3);
    assert.equal(cut.solve()[vertex], false);
  });

  it('follows a chain of a hundred thousand vertices', () => {
    const cut = new MinCut();
    let last = cut.source;
    for (let i = 0; i < 100_000; i++) {
      const vertex = cut.vertex();
      cut.edge(last, vertex, i === 70_000 ? 1 : 5);
      last = vertex;
    }
    cut.edge(last, cut.sink, 5);
    assert.equal(cut.solve().filter((side) => side).length, 100_000 - 70_000 + 1);
  });
});
