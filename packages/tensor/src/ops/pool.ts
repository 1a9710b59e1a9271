import { checkAxes } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import { ndarray, sizeOf } from "../core/ndarray.ts";
import type { Spec } from "../core/tensor.ts";
import { asTensor, checkDType, defineOp, defineUnitOp, type Tensor, type UnitOp } from "../core/tensor.ts";
import type { GraphBuilder } from "../onnx/builder.ts";
import type { Value } from "../onnx/nchwc.ts";
import { mul } from "./arithmetic.ts";
import { paddedImage, tapSlice, taps, zeroStuffed } from "./conv/columns.ts";
import type { Border, Geometry, PerAxis } from "./conv/geometry.ts";
import {
  adjoint,
  geometryOf,
  onnxPads,
  outputSizes,
  perAxis,
  SPATIAL_AXES,
  unreached,
} from "./conv/geometry.ts";
import { scatterAddAlong } from "./gather.ts";
import { mean } from "./reduce.ts";
import { reshape } from "./structure.ts";

interface PoolAttributes extends Geometry {
  /** The public function, for errors. */
  readonly operation: string;
  readonly size: readonly number[];
}

export interface PoolOptions {
  /** Step of the window: one number, or one for each spatial axis. Default: its size. */
  readonly stride?: PerAxis;
  /** Border on both sides, smaller than the window: one number, or one for each spatial axis. Default 0. */
  readonly padding?: PerAxis;
}

function pooledShape([x]: readonly Spec[], { operation, size, ...geometry }: PoolAttributes): number[] {
  const { shape } = x as Spec;
  const sizes = outputSizes(operation, shape, size, geometry);
  return [...shape.slice(0, 2), ...sizes];
}

/** Checks x and the options of a pool over the last `rank` axes, and fills in defaults. */
function poolAttributes(
  operation: string,
  rank: number,
  x: Tensor,
  windowSize: PerAxis,
  options: PoolOptions,
): PoolAttributes {
  checkAxes(operation, { x: [x, `B C ${SPATIAL_AXES.slice(-rank).join(" ")}`] });
  const size = perAxis(operation, "size", windowSize, rank);
  const { stride = size, padding = 0 } = options;
  const geometry = geometryOf(operation, x.shape.slice(2), size, { stride, padding });
  geometry.padding.forEach(([border], i) => {
    if (border >= (size[i] as number))
      throw new ShapeError(
        `${operation}: a border of ${border} must be smaller than the window of ${size[i]}`,
      );
  });
  return { operation, size, ...geometry };
}

function onnxAttributes({ size, stride, padding }: PoolAttributes): Record<string, readonly number[]> {
  return { kernel_shape: size, strides: stride, pads: onnxPads(padding) };
}

const maxPoolOp = defineOp<PoolAttributes>({
  name: "maxPool",
  infer: (inputs, attributes) => {
    const shape = pooledShape(inputs, attributes);
    return [
      { shape, dtype: (inputs[0] as Spec).dtype },
      { shape, dtype: "int64" },
    ];
  },
  lower: (graph, inputs, attributes, { used }) =>
    graph.nodeWithOutputs("MaxPool", inputs, used[1] ? 2 : 1, onnxAttributes(attributes)),
  vjp: ({ inputs: [x], outputs: [, indices], cotangents: [dy] }) => {
    const { shape } = x as Tensor;
    const flat = scatterAddAlong(
      reshape(dy as Tensor, [-1]),
      reshape(indices as Tensor, [-1]),
      [sizeOf(shape)],
      0,
    );
    return [reshape(flat, shape)];
  },
});

function maxPool(operation: string, rank: number, x: Tensor, size: PerAxis, options: PoolOptions): Tensor {
  checkDType(operation, [x]);
  return maxPoolOp([x], poolAttributes(operation, rank, x, size, options))[0] as Tensor;
}

/**
 * Largest value in each window: [B, C, W] to [B, C, ⌊(W + 2p - size) / stride⌋ + 1]. The border is never chosen. Of
 * equal values the first gets the gradient.
 *
 * @throws ShapeError when the window does not fit or an option is out of range
 */
export function maxPool1d(x: Tensor, size: PerAxis, options: PoolOptions = {}): Tensor {
  return maxPool("maxPool1d", 1, x, size, options);
}

/** Largest value in each window, as `maxPool1d`: [B, C, H, W] to [B, C, ⌊(H + 2p - size) / stride⌋ + 1, …]. */
export function maxPool2d(x: Tensor, size: PerAxis, options: PoolOptions = {}): Tensor {
  return maxPool("maxPool2d", 2, x, size, options);
}

/** Largest value in each window, as `maxPool1d`: [B, C, D, H, W] to [B, C, ⌊(D + 2p - size) / stride⌋ + 1, …]. */
export function maxPool3d(x: Tensor, size: PerAxis, options: PoolOptions = {}): Tensor {
  return maxPool("maxPool3d", 3, x, size, options);
}

/** Mean over all taps of a window, borders counted as zeros, from slices: any float type, negative borders allowed. */
function meanOfSlices(
  graph: GraphBuilder,
  x: Value,
  positions: readonly number[],
  window: PoolAttributes,
): string {
  const source = paddedImage(graph, x, window.padding);
  const slices = taps(window.size).map((tap) => tapSlice(graph, source, tap, positions, window));
  const total = slices.length === 1 ? (slices[0] as string) : graph.node("Sum", slices);
  return graph.node("Mul", [total, graph.scalar(1 / slices.length, x.dtype)]);
}

const averagePoolOp: UnitOp<PoolAttributes> = defineUnitOp<PoolAttributes>({
  name: "averagePool",
  infer: (inputs, attributes) => [
    { shape: pooledShape(inputs, attributes), dtype: (inputs[0] as Spec).dtype },
  ],
  lower: (graph, [x], attributes, { inputs, outputs }) => {
    const input = inputs[0] as Spec;
    // ONNX Runtime's kernel knows float32 only.
    if (input.dtype === "float32")
      return [
        graph.node("AveragePool", [x as string], { ...onnxAttributes(attributes), count_include_pad: 1 }),
      ];
    const value: Value = { ...input, name: x as string };
    return [meanOfSlices(graph, value, (outputs[0] as Spec).shape.slice(2), attributes)];
  },
  vjp: ({ inputs: [x], cotangents: [dy], attributes }) => [
    averagePoolGradientOp([dy as Tensor], { ...attributes, shape: (x as Tensor).shape }),
  ],
});

/** The transpose of `averagePoolOp`. */
const averagePoolGradientOp = defineUnitOp<PoolAttributes & { readonly shape: readonly number[] }>({
  name: "averagePoolGradient",
  infer: ([dy], { shape }) => [{ shape, dtype: (dy as Spec).dtype }],
  lower: (graph, [dy], attributes, { inputs }) => {
    const { size, shape } = attributes;
    const { shape: pooled, dtype } = inputs[0] as Spec;
    const [image, positions] = [shape.slice(2), pooled.slice(2)];
    if (dtype !== "float32") {
      const back = adjoint(image, positions, size, attributes);
      const spread = zeroStuffed(graph, { name: dy as string, shape: pooled, dtype }, attributes.stride);
      return [meanOfSlices(graph, spread, image, { ...attributes, ...back })];
    }
    const taps = sizeOf(size);
    const kernel = ndarray(new Float32Array(taps).fill(1 / taps), { shape: [1, 1, ...size] });
    const planes = graph.reshape(dy as string, [sizeOf(pooled.slice(0, 2)), 1, ...positions]);
    const spread = graph.node("ConvTranspose", [planes, graph.constant(kernel)], {
      strides: attributes.stride,
      pads: onnxPads(attributes.padding),
      output_padding: unreached(image, positions, size, attributes),
    });
    return [graph.reshape(spread, shape)];
  },
  vjp: ({ cotangents: [d], attributes }) => [averagePoolOp([d as Tensor], attributes)],
});

export interface AveragePoolOptions extends PoolOptions {
  /** Whether zeros of the border count in the mean; otherwise it is over the entries inside. Default true. */
  readonly countPadding?: boolean;
}

/** Entries of a full window for each entry that really is inside, at every position: [1, 1, ...positions]. */
function shares(
  { size, stride, padding }: PoolAttributes,
  image: readonly number[],
  pooled: readonly number[],
) {
  const along = pooled.map((n, i) =>
    Array.from({ length: n }, (_, position) => {
      const start = position * (stride[i] as number) - (padding[i] as Border)[0];
      const end = Math.min(start + (size[i] as number), image[i] as number);
      return (size[i] as number) / (end - Math.max(start, 0));
    }),
  );
  return along.reduce((all, axis) => all.flatMap((a) => axis.map((b) => a * b)), [1]);
}

function averagePool(
  operation: string,
  rank: number,
  x: Tensor,
  size: PerAxis,
  { countPadding = true, ...options }: AveragePoolOptions,
): Tensor {
  checkDType(operation, [x]);
  const attributes = poolAttributes(operation, rank, x, size, options);
  const y = averagePoolOp([x], attributes);
  if (countPadding || attributes.padding.every(([border]) => border === 0)) return y;
  const positions = y.shape.slice(2);
  const factors = ndarray(shares(attributes, x.shape.slice(2), positions), {
    shape: [1, 1, ...positions],
    dtype: x.dtype,
  });
  return mul(y, asTensor(factors));
}

/**
 * Mean of each window: [B, C, W] to [B, C, ⌊(W + 2p - size) / stride⌋ + 1].
 *
 * @throws ShapeError when the window does not fit or an option is out of range
 */
export function averagePool1d(x: Tensor, size: PerAxis, options: AveragePoolOptions = {}): Tensor {
  return averagePool("averagePool1d", 1, x, size, options);
}

/** Mean of each window, as `averagePool1d`: [B, C, H, W] to [B, C, ⌊(H + 2p - size) / stride⌋ + 1, …]. */
export function averagePool2d(x: Tensor, size: PerAxis, options: AveragePoolOptions = {}): Tensor {
  return averagePool("averagePool2d", 2, x, size, options);
}

/** Mean of each window, as `averagePool1d`: [B, C, D, H, W] to [B, C, ⌊(D + 2p - size) / stride⌋ + 1, …]. */
export function averagePool3d(x: Tensor, size: PerAxis, options: AveragePoolOptions = {}): Tensor {
  return averagePool("averagePool3d", 3, x, size, options);
}

function checkSpatial(operation: string, x: Tensor): void {
  if (x.rank < 2)
    throw new ShapeError(`${operation}: x needs the axes [B, C, ...], got ${formatShape(x.shape)}`);
}

/** Mean over all positions: [B, C, ...] to [B, C]. */
export function globalAveragePool(x: Tensor): Tensor {
  checkSpatial("globalAveragePool", x);
  return mean(x, { axes: x.shape.map((_, axis) => axis).slice(2) });
}

/** Largest value over all positions: [B, C, ...] to [B, C]. Of equal values the first gets the gradient. */
export function globalMaxPool(x: Tensor): Tensor {
  checkSpatial("globalMaxPool", x);
  const [batch, channels, ...image] = x.shape as [number, number, ...number[]];
  const positions = sizeOf(image);
  return reshape(maxPool1d(reshape(x, [batch, channels, positions]), positions), [batch, channels]);
}
