/** Conformance cases of convolution and its gradients: the same geometries for all three. */
import type { Attrs } from '../ir/attrs.js';
import type { ConformanceCase } from '../ir/op-def.js';
import { dense, type Float64Matrix } from '../ir/value.js';
import { pixelsOf, placesOf, tapsOf, windowOf } from './image-window.js';
import { sample } from './product.js';

interface Geometry {
  readonly name: string;
  readonly rows: number;
  readonly filters: number;
  readonly attrs: Attrs;
}

const GEOMETRIES: readonly Geometry[] = [
  { name: 'plain', rows: 3, filters: 2, attrs: { image: [4, 3, 2], window: [3, 2] } },
  {
    name: 'stride and uneven padding',
    rows: 2,
    filters: 2,
    attrs: { image: [5, 4, 2], window: [3, 3], stride: [2, 3], padding: [0, 1, 2, 1] },
  },
  {
    name: 'dilated',
    rows: 2,
    filters: 2,
    attrs: { image: [4, 5, 1], window: [2, 3], dilation: [3, 2], padding: [1, 1, 1, 1] },
  },
  {
    name: 'groups',
    rows: 2,
    filters: 6,
    attrs: { image: [3, 2, 4], window: [3, 3], padding: [1, 1, 1, 1], groups: 2 },
  },
  {
    name: 'depthwise',
    rows: 2,
    filters: 19,
    attrs: { image: [2, 2, 19], window: [3, 3], padding: [1, 1, 1, 1], groups: 19 },
  },
  {
    name: 'depthwise, stride, no padding',
    rows: 2,
    filters: 4,
    attrs: { image: [5, 3, 4], window: [3, 3], stride: [2, 2], groups: 4 },
  },
  {
    name: 'two filters a channel',
    rows: 2,
    filters: 6,
    attrs: { image: [3, 3, 3], window: [2, 2], groups: 3 },
  },
  { name: 'pixel by pixel', rows: 4, filters: 5, attrs: { image: [3, 2, 3], window: [1, 1] } },
  {
    name: 'pixel by pixel, groups',
    rows: 2,
    filters: 4,
    attrs: { image: [2, 2, 6], window: [1, 1], groups: 2 },
  },
  {
    name: 'every other pixel',
    rows: 2,
    filters: 2,
    attrs: { image: [4, 3, 2], window: [1, 1], stride: [2, 2] },
  },
  { name: '1x1', rows: 1, filters: 1, attrs: { image: [1, 1, 1], window: [1, 1] } },
];

function operandsOf({ rows, filters, attrs }: Geometry) {
  const window = windowOf('conv2d', attrs);
  const groups = (attrs.groups as number | undefined) ?? 1;
  return {
    image: sample(rows, pixelsOf(window) * window.channels),
    filter: sample((tapsOf(window) * window.channels) / groups, filters, 2),
    bias: sample(1, filters, 3),
    output: sample(rows, placesOf(window) * filters, 4),
  };
}

function withNaN(value: Float64Matrix, at: number): Float64Matrix {
  return dense(value.rows, value.cols, value.data.with(at, NaN));
}

const [plain, , , , depthwise] = GEOMETRIES as [Geometry, ...Geometry[]];

export const CONVOLUTION_CASES: readonly ConformanceCase[] = [
  ...GEOMETRIES.flatMap((geometry, i) => {
    const { image, filter, bias } = operandsOf(geometry);
    const { name, attrs } = geometry;
    return i % 2 === 0
      ? [{ name, attrs, inputs: [image, filter, bias] }]
      : [{ name, attrs, inputs: [image, filter] }];
  }),
  ...[plain, depthwise!].map((geometry) => {
    const { image, filter, bias } = operandsOf(geometry);
    const inputs = [withNaN(image, image.cols + 3), filter, bias];
    const { attrs } = geometry;
    return { name: `${geometry.name}: NaN stays in its windows`, attrs, inputs };
  }),
];

export const INPUT_CASES: readonly ConformanceCase[] = GEOMETRIES.map((geometry) => {
  const { output, filter } = operandsOf(geometry);
  return { name: geometry.name, attrs: geometry.attrs, inputs: [output, filter] };
});

export const FILTER_CASES: readonly ConformanceCase[] = GEOMETRIES.map((geometry) => {
  const { output, image } = operandsOf(geometry);
  return { name: geometry.name, attrs: geometry.attrs, inputs: [image, output] };
});
