/**
 * Convolution, its gradients and products by operations of TensorFlow.js: images are NHWC and
 * filters HWIO there as here. Both gradients are convolutions: of the output's, with zeros between
 * for strides, by turned filters; and of images with their channels as rows. Depthwise convolutions
 * took twice the time of our own there (WASM), and its pools lose NaN, so neither is here.
 */
import type { Attrs } from '../../../driver/ir/attrs.js';
import { type Cells, type DenseMatrix, dense, heldCells } from '../../../driver/ir/value.js';
import { type Convolution, convolutionOf } from '../../../driver/operators/conv2d.js';
import { placesOf, windowOf } from '../../../driver/operators/image-window.js';
import { ops } from '../../../driver/operators/index.js';
import { kernelOf as ownKernels } from '../kernels/index.js';
import type { Kernel, KernelCall } from '../kernels/kernel.js';
import { RowSumReducer } from '../kernels/products.js';
import type { KernelProvider, ProvidedForm } from './provider.js';
import type { TensorFlow, TfTensor, Two } from './tensorflow.js';

/** An operator over values: operands as they lie, shapes in the attributes. */
type Compute = (tf: TensorFlow, operands: readonly TfTensor[], attrs: Attrs) => TfTensor;

interface TensorOp {
  readonly compute: Compute;
  readonly fits: (form: ProvidedForm) => boolean;
}

/** Pads before and after along each side of an image. */
interface Pads {
  readonly down: Two;
  readonly across: Two;
}

const asNhwc = ({ down, across }: Pads): Two[] => [[0, 0], down, across, [0, 0]];
const isWithin = ({ down, across }: Pads): boolean => Math.min(...down, ...across) >= 0;

const filterShape = (c: Convolution): number[] => [
  ...[c.windowHeight, c.windowWidth],
  ...[c.channels, c.filters],
];
const imageShape = (c: Convolution): number[] => [-1, c.height, c.width, c.channels];
const outputShape = (c: Convolution): number[] => [-1, c.outHeight, c.outWidth, c.filters];

/** Beyond the image under the last place of the window; less than nothing where pixels are left. */
function padsOf(c: Convolution): Pads {
  const reach = (places: number, stride: number, window: number, dilation: number): number =>
    (places - 1) * stride + (window - 1) * dilation + 1;
  const down = reach(c.outHeight, c.strideDown, c.windowHeight, c.dilationDown);
  const across = reach(c.outWidth, c.strideAcross, c.windowWidth, c.dilationAcross);
  return { down: [c.top, down - c.height - c.top], across: [c.left, across - c.width - c.left] };
}

/** Around the gradient of the output, with zeros between its places, for that of the image. */
function turnedPads(c: Convolution): Pads {
  const top = (c.windowHeight - 1) * c.dilationDown - c.top;
  const left = (c.windowWidth - 1) * c.dilationAcross - c.left;
  return {
    down: [top, c.height + c.top - c.outHeight * c.strideDown],
    across: [left, c.width + c.left - c.outWidth * c.strideAcross],
  };
}

const conv2d: TensorOp = {
  fits: ({ attrs, inputs }) => {
    const c = convolutionOf('conv2d', attrs, inputs[1]!.cols);
    return c.groups === 1 && isWithin(padsOf(c)) && isOneOf(c);
  },
  compute: (tf, [x, f, bias], attrs) => {
    const c = convolutionOf('conv2d', attrs, f!.shape[1]!);
    const images = tf.reshape(x!, imageShape(c));
    const filters = tf.reshape(f!, filterShape(c));
    const strides: Two = [c.strideDown, c.strideAcross];
    const dilations: Two = [c.dilationDown, c.dilationAcross];
    const out = tf.conv2d(images, filters, strides, asNhwc(padsOf(c)), 'NHWC', dilations);
    return bias ? tf.add(out, bias) : out;
  },
};

const conv2dInputGradient: TensorOp = {
  fits: ({ attrs, inputs }) => {
    const c = convolutionOf('conv2dInputGradient', attrs, inputs[1]!.cols);
    return c.groups === 1 && isWithin(turnedPads(c));
  },
  compute: (tf, [y, f], attrs) => {
    const c = convolutionOf('conv2dInputGradient', attrs, f!.shape[1]!);
    const filters = tf.reverse(tf.reshape(f!, filterShape(c)), [0, 1]);
    return tf.conv2d(
      spread(tf, y!, c),
      tf.transpose(filters, [0, 1, 3, 2]),
      [1, 1],
      asNhwc(turnedPads(c)),
      'NHWC',
      [c.dilationDown, c.dilationAcross],
    );
  },
};

/** The gradient of the output with a stride's zeros behind each place. */
function spread(tf: TensorFlow, y: TfTensor, c: Convolution): TfTensor {
  const { strideDown, strideAcross, outHeight, outWidth, filters } = c;
  let places = tf.reshape(y, outputShape(c));
  if (strideAcross > 1) {
    const apart = tf.reshape(y, [-1, outWidth, 1, filters]);
    places = tf.pad(apart, [
      [0, 0],
      [0, 0],
      [0, strideAcross - 1],
      [0, 0],
    ]);
  }
  if (strideDown > 1) {
    const apart = tf.reshape(places, [-1, 1, outWidth * strideAcross, filters]);
    places = tf.pad(apart, [
      [0, 0],
      [0, strideDown - 1],
      [0, 0],
      [0, 0],
    ]);
  }
  return tf.reshape(places, [-1, outHeight * strideDown, outWidth * strideAcross, filters]);
}

const conv2dFilterGradient: TensorOp = {
  fits: ({ attrs, out }) => {
    const c = convolutionOf('conv2dFilterGradient', attrs, out.cols);
    return c.groups === 1 && isWithin(padsOf(c)) && isOneOf(c);
  },
  compute: (tf, [x, y], attrs) => {
    const places = placesOf(windowOf('conv2dFilterGradient', attrs));
    const c = convolutionOf('conv2dFilterGradient', attrs, y!.shape[1]! / places);
    const images = tf.reshape(x!, imageShape(c));
    const outputs = tf.reshape(y!, outputShape(c));
    const sums = tf.conv2d(
      tf.transpose(images, [3, 1, 2, 0]),
      tf.transpose(outputs, [1, 2, 0, 3]),
      [c.dilationDown, c.dilationAcross],
      asNhwc(padsOf(c)),
      'NHWC',
      [c.strideDown, c.strideAcross],
    );
    return tf.transpose(sums, [1, 2, 0, 3]);
  },
};

const matmul: TensorOp = {
  fits: () => true,
  compute: (tf, [a, b], { transposeA, transposeB }) => {
    // The WASM backend takes twenty times as long where a flag says it.
    const left = transposeA ? tf.transpose(a!) : a!;
    return tf.matMul(left, transposeB ? tf.transpose(b!) : b!, false, false);
  },
};

/** The library takes strides or dilations. */
function isOneOf(c: Convolution): boolean {
  return (
    (c.strideDown === 1 && c.strideAcross === 1) || (c.dilationDown === 1 && c.dilationAcross === 1)
  );
}

export function tensorKernels(tf: TensorFlow): Pick<KernelProvider, 'has' | 'kernelOf'> {
  const table = { conv2d, conv2dInputGradient, conv2dFilterGradient, matmul };
  const kernelOf = new Map(
    Object.entries(table).map(([op, { compute }]) => [op, kernelBy(tf, op as OpName, compute)]),
  );
  return {
    kernelOf,
    has: (form) => {
      const isFloat32 = [form.out, ...form.inputs].every(({ dtype }) => dtype === 'float32');
      return isFloat32 && table[form.op as OpName]?.fits(form) === true;
    },
  };
}

type OpName = 'conv2d' | 'conv2dInputGradient' | 'conv2dFilterGradient' | 'matmul';

function kernelBy(tf: TensorFlow, op: OpName, compute: Compute): Kernel<Cells> {
  const own = ownKernels.get(op)!;
  const isPlain = (inputs: readonly DenseMatrix[]): boolean =>
    inputs.every((input) => heldCells(input) !== undefined);
  const cellsFrom = (inputs: readonly DenseMatrix[], attrs: Attrs, take: (cells: Cells) => void) =>
    tf.tidy(() => {
      const tensors = inputs.map(({ data, rows, cols }) =>
        tf.tensor(data as Float32Array, [rows, cols]),
      );
      take(compute(tf, tensors, attrs).dataSync());
    });
  const reducer: Kernel<Cells>['reducer'] = (call, context) => {
    const others = own.reducer!(call, context);
    const sums = new RowSumReducer(call, context, (inputs, start, rows, total) => {
      const parts = inputs.map((one) => {
        const from = start * one.cols;
        return dense(rows, one.cols, one.data.subarray(from, from + rows * one.cols));
      });
      cellsFrom(parts, call.attrs, (cells) => {
        for (let i = 0; i < total.length; i++) total[i]! += cells[i]!;
      });
    });
    let chosen: typeof others | undefined;
    return {
      // Compressed and coded rows are what our own kernels read as they are.
      add: (inputs, block) => {
        chosen ??= isPlain(inputs) ? sums : others;
        return chosen.add(inputs, block);
      },
      result: () => (chosen ?? sums).result(),
    };
  };
  const run = (call: KernelCall<Cells>, context: Parameters<typeof reducer>[1]): DenseMatrix => {
    const { inputs, attrs, out } = call;
    if (!isPlain(inputs)) return own.run!(call, context);
    const result = context.allocate(out.rows * out.cols, out.dtype);
    cellsFrom(inputs, attrs, (cells) => result.set(cells));
    return dense(out.rows, out.cols, result);
  };
  return {
    op: ops[op],
    isThreaded: true,
    ...(own.run ? { run } : {}),
    ...(own.reducer ? { reducer } : {}),
  };
}
