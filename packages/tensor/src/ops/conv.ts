import { checkAxes, checkWindow } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import type { Spec } from "../core/tensor.ts";
import { checkDType, defineUnitOp, type Tensor } from "../core/tensor.ts";
import { add } from "./arithmetic.ts";
import { matmul } from "./matmul.ts";
import { concat, pad, slice } from "./shape.ts";
import { reshape, transpose } from "./structure.ts";

interface ConvAttributes {
  readonly stride: readonly [number, number];
  /** Zeros added on every side: rows, columns. */
  readonly padding: readonly [number, number];
}

function outputSize(size: number, kernel: number, stride: number, padding: number): number {
  return Math.floor((size + 2 * padding - kernel) / stride) + 1;
}

const conv2dOp = defineUnitOp<ConvAttributes>({
  name: "conv2d",
  infer: ([x, w], { stride, padding }) => {
    const [batch, , height, width] = (x as Spec).shape as [number, number, number, number];
    const [channels, , kernelHeight, kernelWidth] = (w as Spec).shape as [number, number, number, number];
    const rows = outputSize(height, kernelHeight, stride[0], padding[0]);
    const columns = outputSize(width, kernelWidth, stride[1], padding[1]);
    if (rows < 1 || columns < 1) {
      throw new ShapeError(
        `conv2d: kernel ${kernelHeight}x${kernelWidth} does not fit into ${formatShape((x as Spec).shape)} with padding [${padding.join(", ")}]`,
      );
    }
    return [{ shape: [batch, channels, rows, columns], dtype: (x as Spec).dtype }];
  },
  lower: (graph, inputs, { stride, padding }) => [
    graph.node("Conv", inputs, { strides: stride, pads: [...padding, ...padding] }),
  ],
  vjp: ({ inputs, cotangents, attributes }) => {
    const [x, w] = inputs as [Tensor, Tensor];
    const dy = cotangents[0] as Tensor;
    return [
      conv2dInputGradient(dy, w, x.shape, attributes),
      conv2dWeightGradient(x, dy, w.shape, attributes),
    ];
  },
});

const inputGradientOp = defineUnitOp<ConvAttributes & { readonly shape: readonly number[] }>({
  name: "conv2dInputGradient",
  infer: ([dy], { shape }) => [{ shape, dtype: (dy as Spec).dtype }],
  lower: (graph, inputs, { stride, padding, shape }, { inputs: specs }) => {
    const [dy, w] = specs as [Spec, Spec];
    // Rows and columns at the far edge that no window reached.
    const unreached = [0, 1].map((i) => {
      const reached =
        ((dy.shape[i + 2] as number) - 1) * (stride[i] as number) +
        (w.shape[i + 2] as number) -
        2 * (padding[i] as number);
      return (shape[i + 2] as number) - reached;
    });
    return [
      graph.node("ConvTranspose", inputs, {
        strides: stride,
        pads: [...padding, ...padding],
        output_padding: unreached,
      }),
    ];
  },
  vjp: ({ inputs, cotangents, attributes }) => {
    const [dy, w] = inputs as [Tensor, Tensor];
    const d = cotangents[0] as Tensor;
    return [conv2dOp([d, w], attributes), conv2dWeightGradient(d, dy, w.shape, attributes)];
  },
});

function conv2dInputGradient(
  dy: Tensor,
  w: Tensor,
  shape: readonly number[],
  { stride, padding }: ConvAttributes,
): Tensor {
  return inputGradientOp([dy, w], { shape, stride, padding });
}

/**
 * dW[o, c, i, j] = Σ_{b, r, s} dy[b, o, r, s] · x̄[b, c, r·stride + i, s·stride + j], x̄ the padded input: one product
 * of all positions at once. Channels come last on the way, so that windows are copied in contiguous runs.
 */
function conv2dWeightGradient(
  x: Tensor,
  dy: Tensor,
  shape: readonly number[],
  { stride, padding }: ConvAttributes,
): Tensor {
  const [batch, channels] = x.shape as [number, number];
  const [filters, , kernelHeight, kernelWidth] = shape as [number, number, number, number];
  const [, , rows, columns] = dy.shape as [number, number, number, number];
  const channelsLast = [0, 2, 3, 1];
  const padded = pad(transpose(x, channelsLast), [
    [0, 0],
    [padding[0], padding[0]],
    [padding[1], padding[1]],
    [0, 0],
  ]);
  const windows: Tensor[] = [];
  for (let i = 0; i < kernelHeight; i++) {
    for (let j = 0; j < kernelWidth; j++) {
      const ends = [batch, i + (rows - 1) * stride[0] + 1, j + (columns - 1) * stride[1] + 1, channels];
      windows.push(slice(padded, [0, i, j, 0], ends, [1, stride[0], stride[1], 1]));
    }
  }
  const positions = batch * rows * columns;
  const patches = reshape(concat(windows, 3), [positions, kernelHeight * kernelWidth * channels]);
  const gradients = reshape(transpose(dy, channelsLast), [positions, filters]);
  const flat = matmul(gradients, patches, { transposeA: true });
  return transpose(reshape(flat, [filters, kernelHeight, kernelWidth, channels]), [0, 3, 1, 2]);
}

export interface Conv2dOptions {
  /** Step of the window: one number or [rows, columns]. Default 1. */
  readonly stride?: number | readonly [number, number];
  /** Zeros added on every side: one number or [rows, columns]. Default 0. */
  readonly padding?: number | readonly [number, number];
  /** [O], added to every position. */
  readonly bias?: Tensor;
}

function pair(value: number | readonly [number, number]): readonly [number, number] {
  return typeof value === "number" ? [value, value] : value;
}

/**
 * Two-dimensional cross-correlation (what deep learning calls convolution). float32 only.
 *
 *   y[b, o, r, s] = bias[o] + Σ_{c, i, j} w[o, c, i, j] · x[b, c, r·stride + i - padding, s·stride + j - padding]
 *
 * @param x        [B, C, H, W]
 * @param weights  [O, C, kh, kw]
 * @returns [B, O, ⌊(H + 2p - kh) / stride⌋ + 1, ⌊(W + 2p - kw) / stride⌋ + 1]
 * @throws ShapeError when channels differ, the kernel does not fit or an option is out of range
 */
export function conv2d(x: Tensor, weights: Tensor, options: Conv2dOptions = {}): Tensor {
  checkAxes("conv2d", {
    x: [x, "B C H W"],
    weights: [weights, "O C kh kw"],
    ...(options.bias && { bias: [options.bias, "O"] as const }),
  });
  checkDType("conv2d", [x, weights, options.bias], ["float32"]);
  const [stride, padding] = [pair(options.stride ?? 1), pair(options.padding ?? 0)];
  checkWindow("conv2d", { size: weights.shape.slice(2), stride, padding });
  const y = conv2dOp([x, weights], { stride, padding });
  return options.bias ? add(y, reshape(options.bias, [1, -1, 1, 1])) : y;
}
