import { checkAxes } from "../core/axes.ts";
import type { DType } from "../core/ndarray.ts";
import { ndarray } from "../core/ndarray.ts";
import { checkDType, defineOp, type Tensor } from "../core/tensor.ts";
import type { GraphBuilder } from "../onnx/builder.ts";
import { add, div, mul, sub } from "./arithmetic.ts";
import { nodesOf } from "./elementwise.ts";
import type { NormOptions } from "./norm-options.ts";
import { mean } from "./reduce.ts";
import { broadcastTo, sumTo } from "./structure.ts";

/**
 * Nodes of (x - μ) / √(σ² + ε) by row, μ and 1 / √(σ² + ε). For float64: the kernel of LayerNormalization has ε and
 * the statistics in float32.
 */
function emitStandardized(
  graph: GraphBuilder,
  x: string,
  dtype: DType,
  epsilon: number,
): [standardized: string, average: string, inverse: string] {
  const nodes = nodesOf(graph, dtype);
  const rowMean = (value: string): string =>
    graph.node("ReduceMean", [value, graph.int64s([-1])], { keepdims: 1 });
  const average = rowMean(x);
  const centred = nodes("Sub", x, average);
  const variance = rowMean(nodes("Mul", centred, centred));
  const inverse = nodes("Reciprocal", nodes("Sqrt", nodes("Add", variance, epsilon)));
  return [nodes("Mul", centred, inverse), average, inverse];
}

/**
 * Gradient of x for its standardised rows z and for 1 / √(σ² + ε), which only higher derivatives reach:
 *
 *   dx = (dz - mean(dz) - z mean(dz ∘ z)) / √(σ² + ε)
 */
function standardizedGradient(
  z: Tensor,
  inverseDeviation: Tensor,
  dz: Tensor | null,
  dInverse: Tensor | null,
): Tensor[] {
  const onRow = { axes: -1, keepDims: true };
  const parts: Tensor[] = [];
  if (dz) {
    const projection = mul(z, mean(mul(dz, z), onRow));
    parts.push(mul(sub(sub(dz, mean(dz, onRow)), projection), inverseDeviation));
  }
  if (dInverse) {
    const width = z.shape.at(-1) as number;
    parts.push(mul(z, mul(mul(dInverse, mul(inverseDeviation, inverseDeviation)), -1 / width)));
  }
  return parts;
}

const layerNormOp = defineOp<
  { readonly epsilon: number },
  [x: Tensor, gain: Tensor, bias: Tensor],
  [y: Tensor, average: Tensor, inverseDeviation: Tensor]
>({
  name: "layerNorm",
  infer: (inputs) => {
    checkDType("layerNorm", inputs);
    const [x] = inputs;
    const { shape, dtype } = x;
    const perRow = { shape: [...shape.slice(0, -1), 1], dtype };
    return [x, perRow, perRow];
  },
  lower: (graph, inputs, { epsilon }, { inputs: specs, used }) => {
    const { dtype } = specs[0];
    if (dtype !== "float32") {
      const [x, gain, bias] = inputs;
      const [standardized, average, inverse] = emitStandardized(graph, x, dtype, epsilon);
      return [graph.node("Add", [graph.node("Mul", [standardized, gain]), bias]), average, inverse];
    }
    const count = used[1] || used[2] ? 3 : 1;
    return graph.nodeWithOutputs("LayerNormalization", inputs, count, {
      axis: -1,
      epsilon: { float: epsilon },
    });
  },
  vjp: ({ inputs, outputs, cotangents }) => {
    const [x, gain, bias] = inputs;
    const [, average, inverseDeviation] = outputs;
    const [dy, dAverage, dInverse] = cotangents;
    const standardized = mul(sub(x, average), inverseDeviation);
    const parts = standardizedGradient(standardized, inverseDeviation, dy && mul(dy, gain), dInverse);
    if (dAverage) parts.push(broadcastTo(div(dAverage, x.shape.at(-1) as number), x.shape));
    return [
      parts.length === 0 ? null : parts.reduce(add),
      dy ? sumTo(mul(dy, standardized), gain.shape) : null,
      dy ? sumTo(dy, bias.shape) : null,
    ];
  },
});

/**
 * Standardises each row of the last axis, then scales and shifts: y = (x - μ) / √(σ² + ε) · gain + bias.
 *
 * @param x     [..., D]
 * @param gain  [D]
 * @param bias  [D]
 * @returns [..., D]
 * @throws ShapeError when gain or bias has not one entry for each of the last axis; DTypeError for integers
 * @source Ba, Kiros, Hinton 2016
 */
export function layerNorm(x: Tensor, gain: Tensor, bias: Tensor, options: NormOptions = {}): Tensor {
  checkAxes("layerNorm", { x: [x, "... D"], gain: [gain, "D"], bias: [bias, "D"] });
  return layerNormOp([x, gain, bias], { epsilon: options.epsilon ?? 1e-5 })[0];
}

const standardizeOp = defineOp<
  { readonly epsilon: number },
  [x: Tensor],
  [z: Tensor, inverseDeviation: Tensor]
>({
  name: "standardize",
  infer: ([x]) => {
    checkDType("standardize", [x]);
    const { shape, dtype } = x;
    return [x, { shape: [...shape.slice(0, -1), 1], dtype }];
  },
  lower: (graph, [x], { epsilon }, { inputs, used }) => {
    const { shape, dtype } = inputs[0];
    if (dtype !== "float32") {
      const [standardized, , inverse] = emitStandardized(graph, x, dtype, epsilon);
      return [standardized, inverse];
    }
    const width = shape.at(-1) as number;
    const vector = (value: number): string =>
      graph.constant(ndarray(new Float32Array(width).fill(value), { shape: [width] }));
    const operands = [x, vector(1), vector(0)];
    const attributes = { axis: -1, epsilon: { float: epsilon } };
    const outputs = graph.nodeWithOutputs("LayerNormalization", operands, used[1] ? 3 : 1, attributes);
    return [outputs[0] as string, outputs[2] ?? ""];
  },
  vjp: ({ outputs, cotangents }) => {
    const [z, inverseDeviation] = outputs;
    const [dz, dInverse] = cotangents;
    const parts = standardizedGradient(z, inverseDeviation, dz, dInverse);
    return [parts.length === 0 ? null : parts.reduce(add)];
  },
});

/**
 * Standardises each row of the last axis: z = (x - μ) / √(σ² + ε), layer norm without gain and bias.
 * Where a linear map follows, drawing gain and bias of a layer norm into its weights saves passes over memory.
 *
 * @param x  [..., D]
 * @returns [..., D]
 * @throws ShapeError when x has no axis; DTypeError for integers
 * @source Ba, Kiros, Hinton 2016
 */
export function standardize(x: Tensor, options: NormOptions = {}): Tensor {
  checkAxes("standardize", { x: [x, "... D"] });
  return standardizeOp([x], { epsilon: options.epsilon ?? 1e-5 })[0];
}
