import { checkAxes, checkWindow } from "../core/axes.ts";
import { formatShape, ShapeError } from "../core/errors.ts";
import { ndarray, sizeOf } from "../core/ndarray.ts";
import type { Spec } from "../core/tensor.ts";
import { checkDType, defineOp, defineUnitOp, type Tensor, type UnitOp } from "../core/tensor.ts";
import { scatterAddAlong } from "./gather.ts";
import { mean } from "./reduce.ts";
import { reshape } from "./structure.ts";

interface PoolAttributes {
  readonly size: number;
  readonly stride: number;
  readonly padding: number;
}

function pooledShape(
  name: string,
  [x]: readonly Spec[],
  { size, stride, padding }: PoolAttributes,
): number[] {
  const { shape } = x as Spec;
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const [rows, columns] = [height, width].map((n) => Math.floor((n + 2 * padding - size) / stride) + 1) as [
    number,
    number,
  ];
  if (rows < 1 || columns < 1)
    throw new ShapeError(
      `${name}: a window of ${size} does not fit into ${formatShape(shape)} with padding ${padding}`,
    );
  return [batch, channels, rows, columns];
}

function poolAttributes(name: string, size: number, options: PoolOptions): PoolAttributes {
  const { stride = size, padding = 0 } = options;
  checkWindow(name, { size, stride, padding });
  if (padding >= size)
    throw new ShapeError(`${name}: a border of ${padding} must be smaller than the window of ${size}`);
  return { size, stride, padding };
}

function onnxAttributes({ size, stride, padding }: PoolAttributes): Record<string, readonly number[]> {
  return {
    kernel_shape: [size, size],
    strides: [stride, stride],
    pads: [padding, padding, padding, padding],
  };
}

const maxPoolOp = defineOp<PoolAttributes>({
  name: "maxPool2d",
  infer: (inputs, attributes) => {
    const shape = pooledShape("maxPool2d", inputs, attributes);
    return [
      { shape, dtype: (inputs[0] as Spec).dtype },
      { shape, dtype: "int64" },
    ];
  },
  lower: (graph, inputs, attributes) =>
    graph.nodeWithOutputs("MaxPool", inputs, 2, onnxAttributes(attributes)),
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

export interface PoolOptions {
  /** Step of the window. Default: its size. */
  readonly stride?: number;
  /** Border on every side, smaller than the window, never chosen by max pooling, counted as zeros by average pooling. Default 0. */
  readonly padding?: number;
}

/** Largest value in each window: [B, C, H, W] to [B, C, ⌊(H + 2p - size) / stride⌋ + 1, …]. */
export function maxPool2d(x: Tensor, size: number, options: PoolOptions = {}): Tensor {
  checkAxes("maxPool2d", { x: [x, "B C H W"] });
  return maxPoolOp([x], poolAttributes("maxPool2d", size, options))[0] as Tensor;
}

const averagePoolOp: UnitOp<PoolAttributes> = defineUnitOp<PoolAttributes>({
  name: "averagePool2d",
  infer: (inputs, attributes) => [
    { shape: pooledShape("averagePool2d", inputs, attributes), dtype: (inputs[0] as Spec).dtype },
  ],
  lower: (graph, inputs, attributes) => [
    graph.node("AveragePool", inputs, { ...onnxAttributes(attributes), count_include_pad: 1 }),
  ],
  vjp: ({ inputs: [x], cotangents: [dy], attributes }) => [
    averagePoolGradientOp([dy as Tensor], { ...attributes, shape: (x as Tensor).shape }),
  ],
});

const averagePoolGradientOp = defineUnitOp<PoolAttributes & { readonly shape: readonly number[] }>({
  name: "averagePool2dGradient",
  infer: ([dy], { shape }) => [{ shape, dtype: (dy as Spec).dtype }],
  lower: (graph, [dy], attributes, { inputs }) => {
    const { size, stride, padding, shape } = attributes;
    const [batch, channels, rows, columns] = (inputs[0] as Spec).shape as [number, number, number, number];
    const [, , height, width] = shape as [number, number, number, number];
    const kernel = graph.constant(
      ndarray(new Float32Array(size * size).fill(1 / (size * size)), {
        shape: [1, 1, size, size],
        dtype: (inputs[0] as Spec).dtype,
      }),
    );
    const planes = graph.node("Reshape", [dy as string, graph.int64s([batch * channels, 1, rows, columns])]);
    const unreached = [
      height - ((rows - 1) * stride + size - 2 * padding),
      width - ((columns - 1) * stride + size - 2 * padding),
    ];
    const spread = graph.node("ConvTranspose", [planes, kernel], {
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
      output_padding: unreached,
    });
    return [graph.node("Reshape", [spread, graph.int64s(shape)])];
  },
  vjp: ({ cotangents: [d], attributes: { size, stride, padding } }) => [
    averagePoolOp([d as Tensor], { size, stride, padding }),
  ],
});

/** Mean of each window, float32 only: [B, C, H, W] to [B, C, ⌊(H + 2p - size) / stride⌋ + 1, …]. */
export function averagePool2d(x: Tensor, size: number, options: PoolOptions = {}): Tensor {
  checkAxes("averagePool2d", { x: [x, "B C H W"] });
  checkDType("averagePool2d", [x], ["float32"]);
  return averagePoolOp([x], poolAttributes("averagePool2d", size, options));
}

/** Mean over all positions: [B, C, ...] to [B, C]. */
export function globalAveragePool(x: Tensor): Tensor {
  if (x.rank < 2)
    throw new ShapeError(`globalAveragePool: x needs the axes [B, C, ...], got ${formatShape(x.shape)}`);
  return mean(x, { axes: x.shape.map((_, axis) => axis).slice(2) });
}
