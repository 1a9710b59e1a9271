import type { DType, NDArray } from "../../src/index.ts";
import { ndarray } from "../../src/index.ts";
import type { AttributeInput } from "./support.ts";
import { numbers } from "./support.ts";

/** A node, what it is fed, and what it has stored. */
export interface Case {
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

export const ints = (values: readonly number[], shape = [values.length]): NDArray =>
  ndarray([...values], { shape, dtype: "int64" });
export const scalar = (value: number, dtype: DType = "float32"): NDArray =>
  ndarray([value], { shape: [], dtype });
export const x = numbers([2, 3, 4]);
const positive = ndarray(
  Array.from(numbers([2, 3, 4]).data as Float32Array, (v) => Math.abs(v) + 0.1),
  { shape: [2, 3, 4] },
);
const bits = ndarray([1, 0, 1, 0, 0, 1], { shape: [2, 3], dtype: "bool" });
export const image = numbers([2, 4, 7, 6], 3);

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

/** Arithmetic, shapes, indices, reductions. */
export const arrayCases: readonly Case[] = [
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
];
