import { describe, expect, it } from "vitest";
import type { DType, NDArray } from "../../src/index.ts";
import { ndarray, supportedOnnxOps } from "../../src/index.ts";
import type { AttributeInput } from "./support.ts";
import { bytesOf, expectSameAsOrt, graphOf, modelOf, numbers } from "./support.ts";

interface Case {
  readonly op: string;
  /** Fed when the model runs, in the order of the node's inputs. */
  readonly feeds?: readonly NDArray[];
  /** Stored in the model; they follow the fed inputs, null leaves one out. */
  readonly stored?: readonly (NDArray | null)[];
  readonly attributes?: Readonly<Record<string, AttributeInput>>;
  readonly opset?: number;
  readonly domain?: string;
  readonly outputs?: readonly DType[];
  readonly tolerance?: number;
  readonly note?: string;
}

const ints = (values: readonly number[], shape = [values.length]): NDArray =>
  ndarray([...values], { shape, dtype: "int64" });
const scalar = (value: number, dtype: DType = "float32"): NDArray => ndarray([value], { shape: [], dtype });
const x = numbers([2, 3, 4]);
const positive = ndarray(
  Array.from(numbers([2, 3, 4]).data as Float32Array, (v) => Math.abs(v) + 0.1),
  { shape: [2, 3, 4] },
);
const bits = ndarray([1, 0, 1, 0, 0, 1], { shape: [2, 3], dtype: "bool" });
const image = numbers([2, 4, 7, 6], 3);

const unaryCases: Case[] = [
  ...["Abs", "Ceil", "Cos", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish", "LeakyRelu", "Neg"],
  ...[
    "Relu",
    "Round",
    "Selu",
    "Sigmoid",
    "Sign",
    "Sin",
    "Softplus",
    "Softsign",
    "Tan",
    "Tanh",
    "Atan",
    "Sinh",
  ],
  ...["Cosh", "Asinh", "Celu", "ThresholdedRelu", "Identity", "Mish", "LogSoftmax", "Softmax"],
].map((op): Case => ({ op, feeds: [x], opset: op === "Mish" ? 18 : 17 }));

const cases: Case[] = [
  ...unaryCases,
  ...["Log", "Sqrt", "Reciprocal", "Acosh"].map(
    (op): Case => ({
      op,
      feeds: [op === "Acosh" ? ndarray([1.5, 2, 7]) : positive],
    }),
  ),
  ...["Asin", "Acos", "Atanh"].map((op): Case => ({ op, feeds: [ndarray([-0.9, 0.1, 0.7])] })),
  { op: "Gelu", feeds: [x], opset: 20 },
  { op: "Gelu", feeds: [x], opset: 20, attributes: { approximate: "tanh" } },
  { op: "HardSigmoid", feeds: [x], attributes: { alpha: { float: 0.3 }, beta: { float: 0.4 } } },
  { op: "Elu", feeds: [x], attributes: { alpha: { float: 0.7 } } },
  { op: "IsNaN", feeds: [ndarray([1, Number.NaN, 3])], outputs: ["bool"] },
  ...["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "PRelu"].map(
    (op): Case => ({
      op,
      feeds: [x],
      stored: [numbers([3, 1], 5)],
    }),
  ),
  ...["Add", "Sub", "Mul", "Div"].map(
    (op): Case => ({
      op,
      feeds: [numbers([2, 3], 1, "int64")],
      stored: [ints([2, 3, 5])],
      outputs: ["int64"],
    }),
  ),
  { op: "Mod", feeds: [x], stored: [scalar(0.7)], attributes: { fmod: 1 } },
  ...[2, 3, 0.5, -1].map((n): Case => ({ op: "Pow", feeds: [positive], stored: [scalar(n)] })),
  ...["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"].map(
    (op): Case => ({
      op,
      feeds: [numbers([2, 3], 2, "int64")],
      stored: [ints([2, 1, 3])],
      outputs: ["bool"],
    }),
  ),
  ...["And", "Or", "Xor"].map(
    (op): Case => ({
      op,
      feeds: [bits],
      stored: [ndarray([1, 1, 0], { dtype: "bool" })],
      outputs: ["bool"],
    }),
  ),
  { op: "Not", feeds: [bits], outputs: ["bool"] },
  { op: "Where", feeds: [bits], stored: [numbers([2, 3], 4), numbers([3], 5)] },
  { op: "Cast", feeds: [x], attributes: { to: 7 }, outputs: ["int64"] },
  { op: "CastLike", feeds: [x], stored: [ints([1])], outputs: ["int64"], opset: 15 },
  { op: "Clip", feeds: [x], stored: [scalar(-0.5), scalar(0.8)] },
  { op: "Clip", feeds: [x], stored: [null, scalar(0.8)] },
  { op: "Dropout", feeds: [x] },
  // Shapes.
  { op: "Reshape", feeds: [x], stored: [ints([0, -1])] },
  { op: "Reshape", feeds: [x], stored: [ints([4, 2, 3])], attributes: { allowzero: 1 }, opset: 14 },
  { op: "Flatten", feeds: [x], attributes: { axis: 2 } },
  { op: "Flatten", feeds: [x], attributes: { axis: -1 } },
  { op: "Transpose", feeds: [x], attributes: { perm: [1, 2, 0] } },
  { op: "Transpose", feeds: [x] },
  { op: "Squeeze", feeds: [numbers([1, 3, 1])], stored: [ints([-1])] },
  { op: "Squeeze", feeds: [numbers([1, 3, 1])] },
  { op: "Squeeze", feeds: [numbers([1, 3, 1])], attributes: { axes: [0] }, opset: 12 },
  { op: "Unsqueeze", feeds: [x], stored: [ints([0, -1])] },
  { op: "Unsqueeze", feeds: [x], attributes: { axes: [1, 3] }, opset: 12 },
  { op: "Concat", feeds: [x, numbers([2, 1, 4], 2)], attributes: { axis: 1 } },
  {
    op: "Split",
    feeds: [x],
    stored: [ints([1, 3])],
    attributes: { axis: 2 },
    outputs: ["float32", "float32"],
  },
  {
    op: "Split",
    feeds: [numbers([2, 5])],
    attributes: { axis: -1, num_outputs: 3 },
    opset: 18,
    outputs: ["float32", "float32", "float32"],
    note: "uneven",
  },
  {
    op: "Split",
    feeds: [x],
    attributes: { axis: 1, split: [2, 1] },
    opset: 12,
    outputs: ["float32", "float32"],
  },
  { op: "Slice", feeds: [x], stored: [ints([1, -3]), ints([3, 2 ** 40]), ints([1, 2])] },
  { op: "Slice", feeds: [x], stored: [ints([-1, 0]), ints([-100, 4]), ints([2, 1]), ints([-2, 2])] },
  {
    op: "Slice",
    feeds: [x],
    stored: [
      ints([1]),
      { dtype: "int64", shape: [1], data: BigInt64Array.of(2n ** 63n - 1n) },
      ints([2]),
      ints([-1]),
    ],
    note: "backwards to the end",
  },
  { op: "Expand", feeds: [numbers([3, 1])], stored: [ints([2, 1, 4])] },
  { op: "Tile", feeds: [x], stored: [ints([2, 1, 3])] },
  { op: "Pad", feeds: [x], stored: [ints([0, 1, 2, 1, 0, 3]), scalar(1.5)] },
  { op: "Pad", feeds: [x], stored: [ints([0, -1, 2, 0, 0, -1])], note: "negative" },
  { op: "Pad", feeds: [x], stored: [ints([1, 2]), null, ints([2])], opset: 18, note: "axes" },
  ...["reflect", "edge"].map(
    (mode): Case => ({
      op: "Pad",
      feeds: [x],
      stored: [ints([0, 1, 2, 0, 2, 3])],
      attributes: { mode },
    }),
  ),
  { op: "Pad", feeds: [x], stored: [ints([0, 1, 2, 0, 2, 3])], attributes: { mode: "wrap" }, opset: 19 },
  { op: "DepthToSpace", feeds: [numbers([1, 8, 2, 3])], attributes: { blocksize: 2 } },
  { op: "DepthToSpace", feeds: [numbers([1, 8, 2, 3])], attributes: { blocksize: 2, mode: "CRD" } },
  { op: "SpaceToDepth", feeds: [numbers([1, 2, 4, 6])], attributes: { blocksize: 2 } },
  { op: "Shape", feeds: [x], attributes: { start: 1, end: -1 }, opset: 15, outputs: ["int64"] },
  { op: "Size", feeds: [x], outputs: ["int64"] },
  { op: "ConstantOfShape", stored: [ints([2, 3])], attributes: { value: { tensor: ndarray([2.5]) } } },
  { op: "Range", stored: [scalar(1), scalar(4), scalar(0.75)] },
  { op: "Range", stored: [scalar(5, "int64"), scalar(0, "int64"), scalar(-2, "int64")], outputs: ["int64"] },
  { op: "EyeLike", feeds: [numbers([3, 4])], attributes: { k: 1 } },
  {
    op: "NonZero",
    stored: [
      ndarray([
        [0, 2],
        [3, 0],
      ]),
    ],
    outputs: ["int64"],
  },
  { op: "Trilu", feeds: [x], stored: [scalar(1, "int64")], attributes: { upper: 1 } },
  { op: "Trilu", feeds: [x], attributes: { upper: 0 } },
  {
    op: "OneHot",
    feeds: [ints([0, 2, -1, 5])],
    stored: [scalar(4, "int64"), ndarray([-1, 3])],
    attributes: { axis: 0 },
  },
  // Indices.
  { op: "Gather", feeds: [x, ints([2, 0, -1, 1], [2, 2])], attributes: { axis: 1 } },
  { op: "Gather", feeds: [x], stored: [ints([1], [])], attributes: { axis: 2 } },
  { op: "Gather", feeds: [x], stored: [ints([-1, 0])], attributes: { axis: -1 } },
  { op: "GatherElements", feeds: [x, ints([0, 1, 1, -1], [1, 1, 4])], attributes: { axis: 1 } },
  { op: "GatherND", feeds: [x, ints([0, 2, 1, -1], [2, 2])] },
  { op: "ScatterND", feeds: [x, ints([0, 2, 1, 0], [2, 2]), numbers([2, 4], 9)] },
  {
    op: "ScatterElements",
    feeds: [numbers([2, 3]), ints([2, 0], [2, 1]), numbers([2, 1], 4)],
    attributes: { axis: 1 },
  },
  { op: "CumSum", feeds: [x], stored: [scalar(1, "int64")], attributes: { exclusive: 1, reverse: 1 } },
  {
    op: "TopK",
    feeds: [x],
    stored: [ints([2])],
    attributes: { axis: 1, largest: 0 },
    outputs: ["float32", "int64"],
  },
  { op: "ArgMax", feeds: [x], attributes: { axis: 1 }, outputs: ["int64"] },
  { op: "ArgMin", feeds: [x], attributes: { axis: -1, keepdims: 0 }, outputs: ["int64"] },
  // Reductions.
  ...[
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceSumSquare",
  ].map((op): Case => ({ op, feeds: [x], attributes: { axes: [0, -1], keepdims: 0 } })),
  { op: "ReduceLogSum", feeds: [positive], attributes: { axes: [1] } },
  { op: "ReduceSum", feeds: [x], stored: [ints([1])], attributes: { keepdims: 0 } },
  { op: "ReduceSum", feeds: [x], attributes: { noop_with_empty_axes: 1 } },
  { op: "ReduceMean", feeds: [x], stored: [ints([-1, 1])], opset: 18 },
  { op: "ReduceMax", feeds: [numbers([2, 3], 1, "int64")], outputs: ["int64"] },
  { op: "ReduceProd", stored: [ints([2, 3, 4])], outputs: ["int64"] },
  { op: "Softmax", feeds: [x], attributes: { axis: 1 }, opset: 12, note: "over all axes from 1 on" },
  { op: "Softmax", feeds: [x], attributes: { axis: 1 } },
  // Products.
  { op: "MatMul", feeds: [x, numbers([4, 5], 2)] },
  { op: "MatMul", feeds: [numbers([4]), numbers([2, 4, 3], 2)] },
  { op: "MatMul", feeds: [numbers([2, 3, 4]), numbers([4], 2)] },
  {
    op: "Gemm",
    feeds: [numbers([4, 3]), numbers([5, 4], 2)],
    stored: [numbers([5], 3)],
    attributes: { transA: 1, transB: 1, alpha: { float: 0.5 }, beta: { float: 2 } },
  },
  {
    op: "FusedMatMul",
    domain: "com.microsoft",
    feeds: [x, numbers([2, 5, 4], 2)],
    attributes: { transB: 1, alpha: { float: 0.3 } },
  },
  { op: "Einsum", feeds: [x, numbers([2, 5, 4], 2)], attributes: { equation: "bij, bkj -> bik" } },
  { op: "Einsum", feeds: [x], attributes: { equation: "...i->..." } },
  ...["zeros", "border", "reflection"].map(
    (padding): Case => ({
      op: "GridSample",
      feeds: [image, numbers([2, 3, 5, 2], 8)],
      attributes: { padding_mode: padding, align_corners: padding === "border" ? 1 : 0 },
    }),
  ),
  // Windows.
  {
    op: "Conv",
    feeds: [image],
    stored: [numbers([5, 4, 3, 2], 2), numbers([5], 3)],
    attributes: { pads: [0, 1, 2, 0], strides: [2, 1] },
  },
  {
    op: "Conv",
    feeds: [image],
    stored: [numbers([4, 1, 3, 3], 2)],
    attributes: { group: 4, dilations: [2, 1], pads: [2, 1, 2, 1] },
  },
  {
    op: "Conv",
    feeds: [numbers([2, 3, 9])],
    stored: [numbers([4, 3, 3], 2)],
    attributes: { auto_pad: "VALID" },
  },
  {
    op: "Conv",
    feeds: [numbers([1, 2, 4, 5, 4])],
    stored: [numbers([3, 2, 2, 3, 2], 2)],
    attributes: { pads: [1, 1, 0, 0, 1, 1] },
  },
  ...["SAME_UPPER", "SAME_LOWER"].map(
    (mode): Case => ({
      op: "Conv",
      feeds: [image],
      stored: [numbers([2, 4, 4, 3], 2)],
      attributes: { auto_pad: mode, strides: [2, 2] },
    }),
  ),
  {
    op: "ConvTranspose",
    feeds: [image],
    stored: [numbers([4, 3, 3, 2], 2), numbers([3], 3)],
    attributes: { strides: [2, 3], pads: [1, 0, 0, 1], output_padding: [1, 0] },
  },
  {
    op: "ConvTranspose",
    feeds: [image],
    stored: [numbers([4, 2, 3, 3], 2)],
    attributes: { group: 2, strides: [2, 2], auto_pad: "SAME_UPPER" },
  },
  {
    op: "ConvTranspose",
    feeds: [image],
    stored: [numbers([4, 2, 3, 3], 2)],
    attributes: { strides: [2, 2], output_shape: [14, 12] },
  },
  {
    op: "MaxPool",
    feeds: [image],
    attributes: { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 0, 1] },
  },
  { op: "MaxPool", feeds: [image], attributes: { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 } },
  {
    op: "MaxPool",
    feeds: [image],
    attributes: { kernel_shape: [3, 3], strides: [2, 2], auto_pad: "SAME_UPPER" },
  },
  {
    op: "AveragePool",
    feeds: [image],
    attributes: { kernel_shape: [3, 3], strides: [2, 1], pads: [1, 1, 1, 1] },
  },
  {
    op: "AveragePool",
    feeds: [image],
    attributes: { kernel_shape: [3, 3], strides: [2, 1], pads: [1, 0, 0, 1], count_include_pad: 1 },
  },
  {
    op: "AveragePool",
    feeds: [image],
    attributes: { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1, pads: [0, 1, 0, 1] },
  },
  {
    op: "AveragePool",
    feeds: [image],
    attributes: { kernel_shape: [2, 3], strides: [2, 2], auto_pad: "SAME_LOWER" },
  },
  { op: "GlobalAveragePool", feeds: [image] },
  { op: "GlobalMaxPool", feeds: [image] },
  // Resampling.
  ...["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"].flatMap((mode) =>
    ["nearest", "linear", "cubic"].map(
      (kind): Case => ({
        op: "Resize",
        feeds: [numbers([1, 2, 5, 4], 7)],
        stored: [null, ndarray([1, 1, 1.6, 2.25])],
        attributes: { mode: kind, coordinate_transformation_mode: mode },
      }),
    ),
  ),
  { op: "Resize", feeds: [image], stored: [null, null, ints([2, 4, 3, 11])], attributes: { mode: "linear" } },
  ...["floor", "ceil", "round_prefer_ceil"].map(
    (mode): Case => ({
      op: "Resize",
      feeds: [image],
      stored: [null, ndarray([1, 1, 2, 0.5])],
      attributes: { mode: "nearest", nearest_mode: mode, coordinate_transformation_mode: "asymmetric" },
    }),
  ),
  // Norms.
  {
    op: "BatchNormalization",
    feeds: [image],
    stored: [numbers([4], 1), numbers([4], 2), numbers([4], 3), ndarray([0.5, 1, 2, 3])],
    attributes: { epsilon: { float: 1e-3 } },
  },
  { op: "LayerNormalization", feeds: [x], stored: [numbers([4], 1), numbers([4], 2)] },
  { op: "LayerNormalization", feeds: [x], stored: [numbers([3, 4], 1)], attributes: { axis: 1 } },
  { op: "InstanceNormalization", feeds: [image], stored: [numbers([4], 1), numbers([4], 2)] },
  {
    op: "GroupNormalization",
    feeds: [image],
    stored: [numbers([4], 1), numbers([4], 2)],
    attributes: { num_groups: 2 },
    opset: 21,
  },
  { op: "RMSNormalization", feeds: [x], stored: [numbers([4], 1)], opset: 23 },
  { op: "LpNormalization", feeds: [x], attributes: { axis: 1, p: 1 } },
  { op: "LpNormalization", feeds: [x] },
  { op: "MeanVarianceNormalization", feeds: [image] },
  // Sequences.
  {
    op: "GRU",
    feeds: [numbers([5, 2, 3])],
    stored: [
      numbers([1, 12, 3], 2),
      numbers([1, 12, 4], 3),
      numbers([1, 24], 4),
      null,
      numbers([1, 2, 4], 5),
    ],
    attributes: { hidden_size: 4, linear_before_reset: 1, direction: "reverse" },
    outputs: ["float32", "float32"],
  },
  {
    op: "GRU",
    feeds: [numbers([5, 2, 3])],
    stored: [numbers([2, 12, 3], 2), numbers([2, 12, 4], 3), null, ndarray([5, 3], { dtype: "int32" })],
    attributes: { hidden_size: 4, linear_before_reset: 1, direction: "bidirectional" },
    outputs: ["float32", "float32"],
  },
  {
    op: "LSTM",
    feeds: [numbers([5, 2, 3])],
    stored: [
      numbers([2, 16, 3], 2),
      numbers([2, 16, 4], 3),
      numbers([2, 32], 4),
      null,
      numbers([2, 2, 4], 5),
      numbers([2, 2, 4], 6),
    ],
    attributes: { hidden_size: 4, direction: "bidirectional" },
    outputs: ["float32", "float32", "float32"],
  },
  // Stored in few bits.
  {
    op: "DequantizeLinear",
    feeds: [ndarray([1, 200, 3, 4, 5, 6], { shape: [2, 3], dtype: "uint8" })],
    stored: [ndarray([0.5, 0.25, 2]), ndarray([3, 2, 1], { dtype: "uint8" })],
    attributes: { axis: 1 },
  },
  // Fused by ONNX Runtime's optimisers.
  { op: "BiasGelu", domain: "com.microsoft", feeds: [x], stored: [numbers([4], 2)] },
  { op: "FastGelu", domain: "com.microsoft", feeds: [x], stored: [numbers([4], 2)], tolerance: 1e-4 },
  { op: "Gelu", domain: "com.microsoft", feeds: [x] },
  { op: "QuickGelu", domain: "com.microsoft", feeds: [x] },
  {
    op: "SkipLayerNormalization",
    domain: "com.microsoft",
    feeds: [x, numbers([2, 3, 4], 6)],
    stored: [numbers([4], 2), numbers([4], 3), numbers([4], 4)],
    attributes: { epsilon: { float: 1e-5 } },
  },
  {
    op: "SkipSimplifiedLayerNormalization",
    domain: "com.microsoft",
    feeds: [x, numbers([2, 3, 4], 6)],
    stored: [numbers([4], 2)],
    attributes: { epsilon: { float: 1e-5 } },
  },
  { op: "SimplifiedLayerNormalization", feeds: [x], stored: [numbers([4], 2)] },
  {
    op: "Attention",
    domain: "com.microsoft",
    feeds: [x],
    stored: [
      numbers([4, 12], 2),
      numbers([12], 3),
      ndarray(
        [
          [1, 1, 0],
          [1, 1, 1],
        ],
        { dtype: "int32" },
      ),
    ],
    attributes: { num_heads: 2 },
    tolerance: 1e-4,
  },
  {
    op: "Attention",
    domain: "com.microsoft",
    feeds: [x],
    stored: [numbers([4, 12], 2), numbers([12], 3)],
    attributes: { num_heads: 2, unidirectional: 1 },
    tolerance: 1e-4,
  },
];

function modelOfCase({
  op,
  domain = "",
  feeds = [],
  stored = [],
  attributes,
  opset = 17,
  outputs = ["float32"],
}: Case) {
  const fed = feeds.map((array, i) => [`x${i}`, array] as const);
  const initializers = stored.flatMap((array, i) => (array ? [[`w${i}`, array] as const] : []));
  const names = outputs.map((_, i) => `y${i}`);
  const graph = graphOf(
    {
      nodes: [
        {
          op,
          domain,
          inputs: [...fed.map(([name]) => name), ...stored.map((array, i) => (array ? `w${i}` : ""))],
          outputs: names,
          ...(attributes && { attributes }),
        },
      ],
      inputs: Object.fromEntries(fed.map(([name, { dtype, shape }]) => [name, { dtype, shape }])),
      outputs: names,
      initializers: Object.fromEntries(initializers),
    },
    Object.fromEntries(names.map((name, i) => [name, outputs[i] as DType])),
  );
  return {
    model: bytesOf(modelOf(graph, opset, domain === "" ? {} : { [domain]: 1 })),
    feeds: Object.fromEntries(fed),
  };
}

describe("every operator gives ONNX Runtime's results", () => {
  it.each(
    cases.map(
      (one, i) =>
        [
          `${i} ${one.op} ${one.opset ?? 17} ${JSON.stringify(one.attributes ?? {})} ${one.note ?? ""}`,
          one,
        ] as const,
    ),
  )("%s", async (_, one) => {
    const { model, feeds } = modelOfCase(one);
    await expectSameAsOrt(model, feeds, one.tolerance);
  });

  it("has a case for each, or is tested elsewhere", () => {
    const elsewhere = ["Constant", "If", "Loop"];
    const tested = new Set([...cases.map(({ op }) => op), ...elsewhere]);
    expect(supportedOnnxOps().flatMap(({ op }) => (tested.has(op) ? [] : [op]))).toEqual([]);
  });
});
