/**
 * EfficientNet-Lite0 of a file of tensors, which has weights and no operations: what
 * `efficientnet_lite_pytorch` 0.1 does with them, as operations of ONNX. Sizes are halved as TensorFlow
 * pads, as there for images of even sizes. Source: Tan and Le, EfficientNet (ICML 2019), Lite variant.
 */
import { DataError } from '../../driver/index.js';
import type { Attribute, Constant, NetworkGraph, NetworkOperation } from './graph.js';

/** Repeats, window, stride, expansion, channels out; of each group of blocks. */
const BLOCKS = [
  [1, 3, 1, 1, 16],
  [2, 3, 2, 6, 24],
  [2, 5, 2, 6, 40],
  [3, 3, 2, 6, 80],
  [3, 5, 1, 6, 112],
  [4, 5, 2, 6, 192],
  [1, 3, 1, 6, 320],
] as const;

/**
 * Values: `_conv_stem`, `_blocks.0` .. `_blocks.15`, `_conv_head`, `_avg_pooling` and `_fc`.
 * @throws DataError for tensors of another network
 */
export function efficientNetLite0(
  tensors: ReadonlyMap<string, Constant>,
  path: string,
): NetworkGraph {
  const operations: NetworkOperation[] = [];
  const constants = new Map(tensors);
  const constant = (name: string, dims: readonly number[]): string => {
    const got = tensors.get(name)?.dims.join(' x ');
    if (got !== dims.join(' x ')) {
      throw new DataError(
        `torch: expected tensors of EfficientNet-Lite0 (${name} of ${dims.join(' x ')}), got ${got ?? 'none'}: ${path}; export other networks to ONNX`,
        { op: 'torch', path },
      );
    }
    return name;
  };
  const add = (
    op: string,
    inputs: readonly string[],
    output: string,
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string => {
    const all = new Map(Object.entries(attributes));
    operations.push({ name: output, op, inputs, outputs: [output], attributes: all });
    return output;
  };
  const normed = (x: string, name: string, channels: number, output: string): string => {
    const weights = ['weight', 'bias', 'running_mean', 'running_var'].map((one) =>
      constant(`${name}.${one}`, [channels]),
    );
    return add('BatchNormalization', [x, ...weights], output, { epsilon: 1e-3 });
  };
  const conv = (
    x: string,
    name: string,
    dims: readonly [out: number, channels: number, window: number],
    { stride = 1, group = 1 } = {},
  ): string => {
    const [out, channels, window] = dims;
    const weight = constant(`${name}.weight`, [out, channels, window, window]);
    const strides = [stride, stride];
    return add('Conv', [x, weight], `${name}.conv`, { strides, group, auto_pad: 'SAME_UPPER' });
  };
  const clipped = (x: string, output: string): string =>
    add('Clip', [x], output, { min: 0, max: 6 });

  let x = conv('images', '_conv_stem', [32, 3, 3], { stride: 2 });
  x = clipped(normed(x, '_bn0', 32, '_bn0'), '_conv_stem');
  let [channels, at] = [32, 0];
  for (const [repeats, window, first, expansion, out] of BLOCKS) {
    for (let i = 0; i < repeats; i++) {
      const name = `_blocks.${at++}`;
      const [before, stride, wide] = [x, i === 0 ? first : 1, channels * expansion];
      if (expansion > 1) {
        x = conv(x, `${name}._expand_conv`, [wide, channels, 1]);
        x = clipped(normed(x, `${name}._bn0`, wide, `${name}._bn0`), `${name}.expanded`);
      }
      x = conv(x, `${name}._depthwise_conv`, [wide, 1, window], { stride, group: wide });
      x = clipped(normed(x, `${name}._bn1`, wide, `${name}._bn1`), `${name}.deep`);
      x = conv(x, `${name}._project_conv`, [out, wide, 1]);
      const isKept = stride === 1 && channels === out;
      x = normed(x, `${name}._bn2`, out, isKept ? `${name}._bn2` : name);
      if (isKept) x = add('Add', [x, before], name);
      channels = out;
    }
  }
  x = conv(x, '_conv_head', [1280, channels, 1]);
  x = clipped(normed(x, '_bn1', 1280, '_bn1'), '_conv_head');
  x = add('Flatten', [add('GlobalAveragePool', [x], '_avg_pooling')], '_avg_pooling.flat');
  add('Gemm', [x, constant('_fc.weight', [1000, 1280]), constant('_fc.bias', [1000])], '_fc', {
    transB: 1,
  });
  return {
    format: 'onnx',
    opset: 11,
    operations,
    constants,
    inputs: [{ name: 'images', dims: [3, null, null] }],
    outputs: ['_fc'],
  };
}
