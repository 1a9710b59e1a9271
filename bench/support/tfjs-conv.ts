import * as tf from "@tensorflow/tfjs-core";
import { withGradient } from "./tfjs.ts";

/** [B, H, W, C] with zeros around, or cropped where the border is negative. */
function border(x: tf.Tensor4D, before: number, rows: number, columns: number): tf.Tensor4D {
  const [, height, width] = x.shape;
  const after = [rows - height - before, columns - width - before] as const;
  if (before === 0 && after[0] === 0 && after[1] === 0) return x;
  const grown = (size: number): number => Math.max(size, 0);
  return tf.pad(x, [
    [0, 0],
    [grown(before), grown(after[0])],
    [grown(before), grown(after[1])],
    [0, 0],
  ]);
}

/** Puts stride - 1 zeros between rows and between columns. */
function spread(x: tf.Tensor4D, stride: number): tf.Tensor4D {
  if (stride === 1) return x;
  const [batch, rows, columns, channels] = x.shape;
  const cells = tf.pad(tf.reshape(x, [batch * rows, 1, columns, channels]), [
    [0, 0],
    [0, stride - 1],
    [0, 0],
    [0, 0],
  ]);
  const wide = tf.pad(tf.reshape(cells, [batch * rows * stride * columns, 1, channels]), [
    [0, 0],
    [0, stride - 1],
    [0, 0],
  ]);
  return tf.reshape(wide, [batch, rows * stride, columns * stride, channels]);
}

/**
 * Convolution of [B, H, W, C] with a square kernel [k, k, C, O] and zeros around.
 *
 * The WebAssembly backend has no kernel for the gradient of the weights (Conv2DBackpropFilter), and its gradient of the
 * input is a plain loop, about ten times slower than XNNPACK's convolution. So both are convolutions here: that of dy,
 * spread by the stride, with the flipped kernel; and that of x with dy as the kernel, where batch and channels change
 * places.
 */
export function conv2d(x: tf.Tensor, kernel: tf.Tensor, stride: number, padding: number): tf.Tensor {
  const size = kernel.shape[0] as number;
  const forward = withGradient(
    (image, weight) => tf.conv2d(image as tf.Tensor4D, weight as tf.Tensor4D, stride, padding),
    (dy, [image, weight]) => {
      const [, height, width] = (image as tf.Tensor4D).shape;
      const spreadOut = border(
        spread(dy as tf.Tensor4D, stride),
        size - 1 - padding,
        height + size - 1,
        width + size - 1,
      );
      const flipped = tf.transpose(tf.reverse(weight as tf.Tensor4D, [0, 1]), [0, 1, 3, 2]) as tf.Tensor4D;
      const rows = (dy.shape[1] as number) * stride - stride + size;
      const columns = (dy.shape[2] as number) * stride - stride + size;
      const padded = border(
        image as tf.Tensor4D,
        padding,
        Math.max(rows, height + padding),
        Math.max(columns, width + padding),
      );
      const used = tf.slice(
        padded,
        [0, 0, 0, 0],
        [padded.shape[0], rows, columns, padded.shape[3]],
      ) as tf.Tensor4D;
      const dWeight = tf.conv2d(
        tf.transpose(used, [3, 1, 2, 0]) as tf.Tensor4D,
        tf.transpose(dy, [1, 2, 0, 3]) as tf.Tensor4D,
        1,
        "valid",
        "NHWC",
        stride,
      );
      return [tf.conv2d(spreadOut, flipped, 1, "valid"), tf.transpose(dWeight, [1, 2, 0, 3])];
    },
  );
  return forward(x, kernel);
}

/** Row i, i + stride, i + 2 stride, … of the first `count` of [B, D, X], D a multiple of the stride. */
function every(x: tf.Tensor, start: number, count: number, stride: number): tf.Tensor {
  const [batch, depth, rest] = x.shape as [number, number, number];
  const grouped = tf.reshape(x, [batch, depth / stride, stride * rest]);
  return tf.slice(grouped, [0, Math.floor(start / stride), (start % stride) * rest], [batch, count, rest]);
}

/**
 * Convolution of [B, D, H, W, C] with a cubic kernel [k, k, k, C, O]: for every slice of the kernel a two-dimensional
 * one, depth folded into the batch, summed. The backend's own 3-D convolution is a plain loop, more than thirty times
 * slower.
 */
export function conv3d(x: tf.Tensor, kernel: tf.Tensor, stride: number, padding: number): tf.Tensor {
  const [batch, depth, height, width, channels] = x.shape as [number, number, number, number, number];
  const [size, , , , filters] = kernel.shape as [number, number, number, number, number];
  const slices = Math.floor((depth + 2 * padding - size) / stride) + 1;
  const whole = Math.ceil((depth + 2 * padding) / stride) * stride;
  const flat = tf.reshape(x, [batch, depth, height * width * channels]);
  const padded = tf.pad(flat, [
    [0, 0],
    [padding, whole - depth - padding],
    [0, 0],
  ]);
  const kernels = tf.reshape(kernel, [size, size * size * channels * filters]);
  let total: tf.Tensor | undefined;
  for (let i = 0; i < size; i++) {
    const images = tf.reshape(every(padded, i, slices, stride), [batch * slices, height, width, channels]);
    const slice = tf.reshape(tf.slice(kernels, [i, 0], [1, -1]), [size, size, channels, filters]);
    const part = conv2d(images, slice, stride, padding);
    total = total ? tf.add(total, part) : part;
  }
  const [, rows, columns] = (total as tf.Tensor).shape;
  return tf.reshape(total as tf.Tensor, [batch, slices, rows as number, columns as number, filters]);
}

/** Sums over positions, [B, N, C] to [B, 1, C], as products. */
function sumPositions(x: tf.Tensor): tf.Tensor {
  const [batch, positions] = x.shape as [number, number];
  return tf.matMul(tf.ones([batch, 1, positions]), x);
}

/** Instance normalisation of [B, ...space, C], its gradient written out and its sums as products. */
export function instanceNorm(x: tf.Tensor, gain: tf.Tensor, bias: tf.Tensor): tf.Tensor {
  const normalise = tf.customGrad((...args) => {
    const [input, scale, shift, save] = args as unknown as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
      (tensors: tf.Tensor[]) => void,
    ];
    const [batch, channels] = [input.shape[0] as number, input.shape.at(-1) as number];
    const flat = tf.reshape(input, [batch, -1, channels]);
    const positions = flat.shape[1] as number;
    const centred = tf.sub(flat, tf.div(sumPositions(flat), positions));
    const variance = tf.div(sumPositions(tf.square(centred)), positions);
    const inverse = tf.rsqrt(tf.add(variance, 1e-5));
    const standardized = tf.mul(centred, inverse);
    save([standardized, tf.mul(inverse, scale)]);
    return {
      value: tf.reshape(tf.add(tf.mul(standardized, scale), shift), input.shape),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [normal, factor] = saved as [tf.Tensor, tf.Tensor];
        const dFlat = tf.reshape(dy, normal.shape);
        const along = sumPositions(tf.mul(dFlat, normal));
        const total = sumPositions(dFlat);
        const projected = tf.div(tf.add(tf.mul(normal, along), total), positions);
        const dx = tf.reshape(tf.mul(tf.sub(dFlat, projected), factor), dy.shape);
        return [dx, tf.sum(along, [0, 1]), tf.sum(total, [0, 1])];
      },
    };
  });
  return normalise(x, gain, bias);
}
